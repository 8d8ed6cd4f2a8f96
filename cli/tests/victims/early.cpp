// A library that allocates under a lock of the C library's before any other code runs, and
// (-DHOST) a program without C++ that needs the lock, and finds no error of the loader's.

#include <clocale>
#include <cstdio>
#include <dlfcn.h>
#include <locale.h>

#ifdef HOST
extern "C" int is_early();

int main() {
    const char *error = dlerror();
    std::puts(error == nullptr ? "no error" : error);
    // Under the same lock, though there is no such locale. One that was given back twice is
    // had once more.
    for (int times = 0; times < 3; times++)
        std::setlocale(LC_CTYPE, "nowhere");
    std::puts(is_early() ? "early" : "late");
    return 0;
}
#else
static locale_t early;

__attribute__((constructor)) static void begin() {
    early = newlocale(LC_ALL_MASK, "POSIX", nullptr);
}

extern "C" int is_early() { return early != nullptr; }
#endif
