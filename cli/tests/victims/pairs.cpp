// Counts the instructions that a pair of malloc and free executes: a child goes through pairs of
// which none is recorded, and its parent steps through it one instruction at a time. Prints the
// least of several pairs. (Now and then one is more, when the thread's totals are due.)

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile block;

static void pair() {
    block = malloc(64);
    free(block);
}

static int child() {
    const int warm_up = 1000, measured = 20;
    for (int i = 0; i < warm_up; i++) pair();
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 2;
    for (int i = 0; i < measured; i++) {
        raise(SIGSTOP);
        pair();
    }
    raise(SIGSTOP);
    return 0;
}

// Steps until the child stops itself again. -1: it has ended.
static long steps_to_stop(pid_t pid) {
    for (long steps = 0;; steps++) {
        int status;
        if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) return -1;
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return -1;
        if (WSTOPSIG(status) == SIGSTOP) return steps;
    }
}

int main() {
    pid_t pid = fork();
    if (pid == 0) _exit(child());
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        puts("ptrace is not allowed here");
        return 2;
    }
    long least = -1;
    for (long steps; (steps = steps_to_stop(pid)) >= 0;)
        least = least < 0 ? steps : std::min(least, steps);
    printf("%ld\n", least);
    return 0;
}
