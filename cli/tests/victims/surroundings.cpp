// A program in narrow surroundings: does what its first argument says, and ends with 7 if all is as it
// should be.
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#ifndef PR_TSC_SIGSEGV
#define PR_TSC_SIGSEGV 2
#endif

static int as_it_should_be(bool good) { return good ? 7 : 1; }

__attribute__((noinline)) static uint64_t fill(uint64_t entries) {
    std::unordered_map<uint64_t, uint64_t> map;
    for (uint64_t i = 0; i < entries; i++) map[i * 7] = i;
    return map.size();
}

// Blocks that replace each other, without any container's own code.
__attribute__((noinline)) static void churn(int rounds) {
    while (rounds--) {
        char *old = nullptr;
        for (size_t size = 256; size < (128u << 10); size *= 2) {
            char *block = static_cast<char *>(malloc(size));
            free(old);
            old = block;
        }
        free(old);
    }
}

// Only what malloc and stdio need.
static bool enter_sandbox(bool by_prctl, bool threads) {
    std::vector<uint32_t> allowed = {SYS_read, SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap,
                                     SYS_mprotect, SYS_futex, SYS_exit, SYS_exit_group,
                                     SYS_rt_sigreturn, SYS_newfstatat};
    if (threads)
        for (uint32_t call : {SYS_clone3, SYS_clone, SYS_set_robust_list, SYS_rseq, SYS_madvise,
                              SYS_rt_sigprocmask})
            allowed.push_back(call);
    std::vector<sock_filter> filter = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (uint32_t call : allowed) {
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return false;
    if (by_prctl) return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

static int sandbox(const std::string &how) {
    setvbuf(stdout, nullptr, _IONBF, 0);
    // A question whether there are filters at all is none yet.
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr, 0, 0);
    if (how != "late") fill(1000);
    // The C library's own first thread, and its first heap for one, ask for more.
    if (how == "threads") std::thread([] { fill(1000); }).join();
    if (!enter_sandbox(how != "call", how == "threads")) return 2;
    uint64_t size = fill(50000);
    churn(200);
    if (how == "threads") {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) threads.emplace_back([] { fill(5000), churn(20); });
        for (auto &thread : threads) thread.join();
    }
    printf("%llu\n", static_cast<unsigned long long>(size));
    return as_it_should_be(size == 50000);
}

// For good: a program that is started so does not get past the loader, which reads the counter, too.
static int no_counter() {
    fill(1000);
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0)) return 2;
    return as_it_should_be(fill(50000) == 50000);
}

static long kernel(long number, long first, long second, long third) {
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(first), "S"(second), "d"(third)
                 : "rcx", "r11", "memory");
    return result;
}

static const unsigned by_hand = 1;

static void forbid_and_allocate(int, siginfo_t *, void *context) {
    long result = kernel(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, by_hand);
    churn(20);
    static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RAX] = result;
}

// A signal comes when the counter is forbidden already, and the call is not back yet.
static int no_counter_in_handler() {
    fill(1000);
    struct sigaction action = {};
    action.sa_sigaction = forbid_and_allocate;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, nullptr);
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_TSC, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, by_hand, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 2;
    // The recorder does not see it.
    long set = kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, reinterpret_cast<long>(&program));
    if (set || prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0)) return 2;
    return as_it_should_be(fill(50000) == 50000);
}

// Only read, write, exit.
static int strict() {
    fill(1000);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)) return 2;
    std::vector<char *> blocks;
    for (int i = 0; i < 8; i++) free(malloc(2048 + i));
    syscall(SYS_exit, 7);
    return 1;
}

static int locked() {
    churn(1);
    if (mlockall(MCL_CURRENT | MCL_FUTURE)) return printf("mlockall: %s\n", strerror(errno)), 1;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmLck:", 6)) fputs(line + 6, stdout);
    fclose(status);
    churn(20);
    return 7;
}

static void *churn_in_thread(void *) { return churn(20), nullptr; }

static void *fork_in_thread(void *) {
    pid_t child = fork();
    if (!child) {
        churn(20);
        _exit(42);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return reinterpret_cast<void *>(static_cast<long>(status));
}

// On a thread's stack of so many bytes: the first record of the process, another thread's, a child's.
static int thread_stack(const std::string &what, size_t bytes) {
    if (what != "first") churn(5);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, bytes)) return 2;
    pthread_t thread;
    bool forks = what == "fork";
    if (pthread_create(&thread, &attributes, forks ? fork_in_thread : churn_in_thread, nullptr)) return 2;
    void *result;
    pthread_join(thread, &result);
    return as_it_should_be(reinterpret_cast<long>(result) == (forks ? 42 << 8 : 0));
}

static ucontext_t outside, inside;
static void coroutine() { churn(5); }

// Prints how many bytes of a coroutine's stack were written to.
static int coroutine_stack(size_t bytes, bool warm) {
    const size_t below = 65536;
    if (warm) churn(5);
    auto *memory = static_cast<unsigned char *>(mmap(nullptr, bytes + below, PROT_READ | PROT_WRITE,
                                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(memory, 0xA5, bytes + below);
    getcontext(&inside);
    inside.uc_stack.ss_sp = memory + below;
    inside.uc_stack.ss_size = bytes;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    swapcontext(&outside, &inside);
    size_t first = 0;
    while (first < bytes + below && memory[first] == 0xA5) first++;
    printf("%zu\n", below + bytes - first);
    return as_it_should_be(first >= below);
}

static volatile bool stop;
static const size_t guard = 4096;
static unsigned char *stacks[8];
static size_t stack_bytes;

static void *storm_thread(void *number) {
    long id = reinterpret_cast<long>(number);
    stack_t stack = {};
    stack.ss_size = stack_bytes;
    stacks[id] = static_cast<unsigned char *>(malloc(stack_bytes + guard));
    memset(stacks[id], 0xA5, stack_bytes + guard);
    stack.ss_sp = stacks[id] + guard;
    if (sigaltstack(&stack, nullptr)) perror("sigaltstack");
    long changed = 0;
    errno = 77;
    while (!stop) {
        churn(1);
        changed += errno != 77;
        errno = 77;
    }
    return reinterpret_cast<void *>(changed);
}

// The signal that asks for a dump, again and again, to threads with small signal stacks.
static int storm(int signals, size_t bytes) {
    stack_bytes = bytes;
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) pthread_create(&threads[i], nullptr, storm_thread, reinterpret_cast<void *>(i));
    usleep(20000);
    for (int i = 0; i < signals; i++) {
        if (i % 2) kill(getpid(), SIGUSR1);
        else pthread_kill(threads[i % 8], SIGUSR1);
    }
    stop = true;
    long changed = 0, smashed = 0;
    for (auto &thread : threads) {
        void *result;
        pthread_join(thread, &result);
        changed += reinterpret_cast<long>(result);
    }
    for (auto *stack : stacks)
        for (size_t i = 0; i < guard; i++) smashed += stack[i] != 0xA5;
    printf("smashed %ld, errno changed %ld\n", smashed, changed);
    return as_it_should_be(!smashed && !changed);
}

// Another file in the place of standard error.
static int stderr_replaced(const char *path) {
    fill(1000);
    close(2);
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    return as_it_should_be(file == 2 && write(2, "data\n", 5) == 5);
}

static volatile bool ready;

// Dumps, one after another, until it is killed.
static int dumps() {
    fill(50000);
    if (write(1, "ready\n", 6) != 6) return 2;
    for (;;) raise(SIGUSR1);
}

static void *dump_until_cancelled(void *kind) {
    int before;
    pthread_setcanceltype(kind ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED, &before);
    ready = true;
    // A cancellation point that does nothing: a deferred request is taken here at the latest.
    for (;;) raise(SIGUSR1), pthread_testcancel();
}

// Threads are cancelled at any moment, also in a dump; then one more dump is asked for.
static int cancelled() {
    fill(50000);
    for (long i = 0; i < 200; i++) {
        pthread_t thread;
        void *result;
        ready = false;
        if (pthread_create(&thread, nullptr, dump_until_cancelled, reinterpret_cast<void *>(i % 2))) return 2;
        while (!ready) usleep(100);
        usleep(static_cast<useconds_t>(rand() % 3000));
        pthread_cancel(thread);
        pthread_join(thread, &result);
        if (result != PTHREAD_CANCELED) return 1;
    }
    if (write(1, "last\n", 5) != 5 || getchar() == EOF) return 1;
    raise(SIGUSR1);
    _exit(7);
}

static sigjmp_buf back;
static void jump(int) { siglongjmp(back, 1); }

static void *send_jumps(void *to) {
    while (!ready) usleep(100);
    for (int i = 0; i < 2000; i++) {
        pthread_kill(*static_cast<pthread_t *>(to), SIGUSR2);
        usleep(50);
    }
    stop = true;
    return nullptr;
}

// A handler jumps away, at any moment, also out of a dump; then one more dump is asked for.
static int jumps() {
    static pthread_t main_thread, sender;
    fill(50000);
    struct sigaction action = {};
    action.sa_handler = jump;
    sigaction(SIGUSR2, &action, nullptr);
    main_thread = pthread_self();
    pthread_create(&sender, nullptr, send_jumps, &main_thread);
    sigsetjmp(back, 1);
    ready = true;
    while (!stop) raise(SIGUSR1);
    signal(SIGUSR2, SIG_IGN);
    pthread_join(sender, nullptr);
    if (write(1, "last\n", 5) != 5 || read(0, &action, 1) != 1) return 1;
    raise(SIGUSR1);
    _exit(7);
}

int main(int count, char **words) {
    auto word = [&](int at) { return std::string(at < count ? words[at] : ""); };
    auto number = [&](int at) { return at < count ? strtoul(words[at], nullptr, 0) : 0; };
    std::string what = word(1);
    if (what == "fill") return as_it_should_be(fill(50000) == 50000);
    if (what == "sandbox") return sandbox(word(2));
    if (what == "no-counter") return no_counter();
    if (what == "no-counter-in-handler") return no_counter_in_handler();
    if (what == "strict") return strict();
    if (what == "locked") return locked();
    if (what == "thread") return thread_stack(word(2), number(3));
    if (what == "coroutine") return coroutine_stack(number(2), count > 3);
    if (what == "storm") return storm(number(2), number(3));
    if (what == "stderr") return stderr_replaced(words[2]);
    if (what == "jumps") return jumps();
    if (what == "dumps") return dumps();
    if (what == "cancelled") return cancelled();
    if (what == "wait") {
        fill(50000);
        printf("ready\n");
        fflush(stdout);
        getchar();
        return 7;
    }
    return 2;
}
