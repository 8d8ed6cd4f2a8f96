// A library in C++ that a program without any of it loads. As a program (-DHOST) that program; with
// -DOPERATORS one that has two operators of its own after all.

#include <cstdio>

#ifdef HOST
#include <dlfcn.h>

#ifdef OPERATORS
#include <cstdlib>
#include <new>

// With a header, so that nobody else can free what it gives.
void *operator new(size_t size) {
    char *block = static_cast<char *>(std::malloc(size + 16));
    if (block == nullptr)
        throw std::bad_alloc();
    return block + 16;
}
void operator delete(void *block) noexcept {
    if (block != nullptr)
        std::free(static_cast<char *>(block) - 16);
}
void operator delete(void *block, size_t) noexcept { operator delete(block); }
#endif

int main(int, char **arguments) {
    for (int round = 0; round < 2; round++) {
        void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            std::puts(dlerror());
            return 1;
        }
        auto work = reinterpret_cast<void (*)()>(dlsym(library, "work"));
        work();
        dlclose(library);
    }
    std::puts(dlsym(RTLD_DEFAULT, "work") == nullptr ? "gone" : "there");
    return 0;
}
#else
#include <new>
#include <thread>
#include <vector>

// Needed before the program gets the library's handle, and while the loader holds its lock: by
// another thread too.
struct Early {
    int *numbers = nullptr;
    Early() {
        std::thread([this] { numbers = new int[3000]; }).join();
    }
    ~Early() { delete[] numbers; }
} early;

extern "C" __attribute__((noinline)) void work() {
    std::vector<int> all;
    size_t resizes = 0, last = 0;
    for (int i = 0; i < 100000; i++) {
        all.push_back(i);
        resizes += last != 0 && all.capacity() != last;
        last = all.capacity();
    }
    std::printf("work %zu %zu\n", resizes, last * sizeof(int));
    volatile size_t much = size_t{1} << 50;
    try {
        char *block = new char[much];
        asm volatile("" : : "r"(block) : "memory");
        delete[] block;
    } catch (const std::bad_alloc &error) {
        std::puts(error.what());
    }
}
#endif
