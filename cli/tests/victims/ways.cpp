// Ways in which a program can come by its memory, leave it, and end. Each grows tables of known
// sizes; what it did it says in one line for each process: pid, resizes, allocated, live.
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapgrow.h"

extern char **environ;

// The last table stays with the caller. Sizes double from 4096 on, `times` of them.
extern "C" __attribute__((noinline)) void *grow_table(int times) {
    void *table = malloc(4096);
    for (int i = 1; i <= times; i++) {
        table = realloc(table, 4096ul << i);
        memset(table, i, 4096ul << i);
    }
    return table;
}

static unsigned long sum(int times) { return 4096ul * ((2ul << times) - 1); }

static void tell(int resizes, unsigned long allocated, unsigned long live) {
    char line[128];
    int length =
        snprintf(line, sizeof line, "%d %d %lu %lu\n", getpid(), resizes, allocated, live);
    if (write(1, line, length) != length) {
        abort();
    }
}

// Grows, keeps the last table and says so.
static void grow_and_tell(int times) {
    grow_table(times);
    tell(times, sum(times), 4096ul << times);
}

static void wait_for(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) {
        abort();
    }
}

static jmp_buf back;
static volatile int leave = 1;

__attribute__((noinline)) static void jump_out(int depth) {
    if (depth == 0) {
        grow_table(3);
        if (leave) {
            longjmp(back, 1);
        }
    } else {
        jump_out(depth - 1);
    }
    asm volatile("" ::: "memory");
}

__attribute__((noinline)) static void throw_out(int depth) {
    if (depth == 0) {
        grow_table(3);
        if (leave) {
            throw std::runtime_error("thrown");
        }
    } else {
        throw_out(depth - 1);
    }
    asm volatile("" ::: "memory");
}

struct AtThreadEnd {
    void *table = nullptr;
    ~AtThreadEnd() {
        free(table);
        grow_table(2);
    }
};
static thread_local AtThreadEnd at_end;

static void *thread_with_destructor(void *) {
    at_end.table = grow_table(4);
    return nullptr;
}

static void *free_elsewhere(void *table) {
    free(table);
    return nullptr;
}

static void run_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, body, argument) != 0 ||
        pthread_join(thread, nullptr) != 0) {
        abort();
    }
}

static volatile sig_atomic_t signals;
static void count_signal(int) { signals = signals + 1; }

int main(int, char **argv) {
    std::string way = argv[1];
    if (way == "return") {
        grow_and_tell(5);
    } else if (way == "exit") {
        grow_and_tell(5);
        exit(0);
    } else if (way == "_exit") {
        grow_and_tell(5);
        _exit(0);
    } else if (way == "quick_exit") {
        grow_and_tell(5);
        quick_exit(0);
    } else if (way == "exit_group") {
        grow_and_tell(5);
        syscall(SYS_exit_group, 0);
    } else if (way == "killed") {
        grow_and_tell(5);
        kill(getpid(), SIGKILL);
    } else if (way == "exec") {
        // Both programs of this process tell the same.
        grow_and_tell(5);
        char *arguments[] = {argv[0], const_cast<char *>("return"), nullptr};
        execv("/proc/self/exe", arguments);
        abort();
    } else if (way == "failed-exec") {
        grow_table(2);
        char *arguments[] = {const_cast<char *>("/nonexistent"), nullptr};
        execv("/nonexistent", arguments);
        grow_table(5);
        tell(7, sum(2) + sum(5), (4096ul << 2) + (4096ul << 5));
    } else if (way == "fork" || way == "_Fork" || way == "clone") {
        void *inherited = grow_table(5);
        pid_t child = way == "fork"    ? fork()
                      : way == "_Fork" ? _Fork()
                                       : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            free(inherited);
            grow_and_tell(3);
            _exit(0);
        }
        wait_for(child);
        tell(5, sum(5), 4096ul << 5);
    } else if (way == "vfork") {
        pid_t child = vfork();
        if (child == 0) {
            execl("/proc/self/exe", argv[0], "return", (char *)nullptr);
            _exit(1);
        }
        wait_for(child);
        grow_and_tell(4);
    } else if (way == "posix_spawn") {
        pid_t child;
        char *arguments[] = {argv[0], const_cast<char *>("return"), nullptr};
        if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) {
            abort();
        }
        wait_for(child);
        grow_and_tell(4);
    } else if (way == "daemon") {
        // Closes all descriptors in the child, which tells through the file it was given.
        grow_table(1);
        pid_t child = fork();
        if (child == 0) {
            setsid();
            for (int fd = 3; fd < 256; fd++) {
                close(fd);
            }
            grow_and_tell(6);
            exit(0);
        }
        wait_for(child);
        tell(1, sum(1), 4096ul << 1);
    } else if (way == "longjmp") {
        if (setjmp(back) == 0) {
            jump_out(10);
        }
        grow_table(4);
        tell(7, sum(3) + sum(4), (4096ul << 3) + (4096ul << 4));
    } else if (way == "throw") {
        try {
            throw_out(10);
        } catch (const std::runtime_error &) {
        }
        grow_table(4);
        tell(7, sum(3) + sum(4), (4096ul << 3) + (4096ul << 4));
    } else if (way == "dlopen") {
        for (int round = 0; round < 3; round++) {
            void *library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
            if (!library) {
                abort();
            }
            auto grow = (void (*)(int))dlsym(library, "grow_in_library");
            grow(3);
            dlclose(library);
        }
        tell(9, 3 * sum(3), 3 * (4096ul << 3));
    } else if (way == "tls-destructor") {
        run_thread(thread_with_destructor, nullptr);
        tell(6, sum(4) + sum(2), 4096ul << 2);
    } else if (way == "other-thread") {
        run_thread(free_elsewhere, grow_table(5));
        grow_table(2);
        tell(7, sum(5) + sum(2), 4096ul << 2);
    } else if (way == "start-stop") {
        grow_table(2);
        mapgrow_set_recording(0);
        void *unseen = grow_table(6);
        mapgrow_set_recording(1);
        free(unseen);
        grow_table(3);
        tell(5, sum(2) + sum(3), (4096ul << 2) + (4096ul << 3));
    } else if (way == "dumps-itself") {
        grow_and_tell(3);
        char path[4096] = "", little[4] = "";
        if (mapgrow_dump(path, sizeof path) != MAPGROW_OK || access(path, R_OK) != 0) {
            return 3;
        }
        if (mapgrow_snapshot(nullptr, 0) != MAPGROW_OK) {
            return 4;
        }
        if (mapgrow_dump(little, sizeof little) != MAPGROW_PATH_CUT || little[3] != 0 ||
            memcmp(little, path, 3) != 0) {
            return 5;
        }
    } else if (way == "signal") {
        // It owns SIGUSR1, and gets every one of them.
        struct sigaction action = {};
        action.sa_handler = count_signal;
        sigaction(SIGUSR1, &action, nullptr);
        grow_and_tell(3);
        for (int i = 0; i < 5; i++) {
            raise(SIGUSR1);
        }
        return signals == 5 ? 0 : 1;
    } else {
        return 2;
    }
    return 0;
}
