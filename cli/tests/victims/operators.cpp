// Everything that C++ allocates with: grows containers and tells how they grew, has some requests
// refused (but for an allocator that then ends the program: `operators given`), and uses each
// operator.

#include <cstdio>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

struct alignas(64) Wide {
    char bytes[64];
};

// Tells how a container grew from one figure of it, taken after each insert.
struct Grown {
    size_t resizes = 0, last = 0;
    void see(size_t now) {
        if (now != last && last != 0)
            resizes++;
        last = now;
    }
};

template <class T> __attribute__((noinline)) static std::vector<T> *fill_vector(const char *name) {
    auto *all = new std::vector<T>;
    Grown grown;
    for (int i = 0; i < 20000; i++) {
        all->push_back(T{});
        grown.see(all->capacity());
    }
    std::printf("%s %zu %zu\n", name, grown.resizes, all->capacity() * sizeof(T));
    return all;
}

std::vector<int> *fill_ints() { return fill_vector<int>("fill_vector<int>"); }
std::vector<Wide> *fill_wide() { return fill_vector<Wide>("fill_vector<Wide>"); }

static int refused = 0;

static void on_refusal() {
    if (++refused == 3)
        std::set_new_handler(nullptr);
}

__attribute__((noinline)) static void *keep(void *block) {
    asm volatile("" : : "r"(block) : "memory");
    return block;
}

template <class Request> static void refuse(Request request) {
    refused = 0;
    std::set_new_handler(on_refusal);
    try {
        request();
        std::puts("given");
    } catch (const std::bad_alloc &error) {
        std::printf("%s, after %d\n", error.what(), refused);
    }
}

static void be_refused() {
    volatile size_t much = size_t{1} << 50;
    refuse([&] { keep(new char[much]); });
    refuse([&] { keep(operator new(much)); });
    refuse([&] { keep(new Wide[much / 64]); });
    refuse([&] { keep(operator new(much, std::align_val_t{64})); });
    refuse([&] {
        if (keep(new (std::nothrow) char[much]) == nullptr)
            throw std::bad_alloc();
    });
}

int main(int count, char **) {
    keep(fill_ints());
    keep(fill_wide());
    if (count < 2)
        be_refused();
    const std::align_val_t wide{64};
    for (int i = 0; i < 1000; i++) {
        operator delete(keep(operator new(2000)));
        operator delete(keep(operator new(2000)), size_t{2000});
        operator delete(keep(operator new(2000, std::nothrow)), std::nothrow);
        operator delete[](keep(operator new[](2000)));
        operator delete[](keep(operator new[](2000)), size_t{2000});
        operator delete[](keep(operator new[](2000, std::nothrow)), std::nothrow);
        operator delete(keep(operator new(2048, wide)), wide);
        operator delete(keep(operator new(2048, wide)), size_t{2048}, wide);
        operator delete(keep(operator new(2048, wide, std::nothrow)), wide, std::nothrow);
        operator delete[](keep(operator new[](2048, wide)), wide);
        operator delete[](keep(operator new[](2048, wide)), size_t{2048}, wide);
        operator delete[](keep(operator new[](2048, wide, std::nothrow)), wide, std::nothrow);
    }
    // Below the floor: counted by their bytes, and now and then one of them stands for many.
    for (int i = 0; i < 200000; i++)
        keep(operator new(100));
    std::puts("end");
    std::fflush(stdout);
    return 0;
}
