// An allocator with the operators of C++ in it, as libjemalloc and libtcmalloc have them: they do
// not go through `malloc`. With -DGOES_ON some of them do; with -DPARTLY there are but two, and the
// C++ library has the rest.

#include <cerrno>
#include <cstddef>
#include <new>

extern "C" void *__libc_malloc(size_t);
extern "C" void *__libc_calloc(size_t, size_t);
extern "C" void *__libc_realloc(void *, size_t);
extern "C" void *__libc_memalign(size_t, size_t);
extern "C" void __libc_free(void *);

extern "C" {
void *malloc(size_t size) { return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return __libc_realloc(block, size); }
void free(void *block) { __libc_free(block); }
void *aligned_alloc(size_t align, size_t size) { return __libc_memalign(align, size); }
// The word before the block, without its flags (glibc's malloc.c).
size_t malloc_usable_size(void *block) {
    return block == nullptr ? 0 : (static_cast<size_t *>(block)[-1] & ~size_t{7}) - sizeof(size_t);
}
}

__attribute__((always_inline)) static inline void *take(size_t size, size_t align) {
#ifdef GOES_ON
    return align == 0 ? malloc(size) : aligned_alloc(align, size);
#else
    return align == 0 ? __libc_malloc(size) : __libc_memalign(align, size);
#endif
}

__attribute__((always_inline)) static inline void *take_or_ask(size_t size, size_t align) {
    for (;;) {
        if (void *block = take(size, align))
            return block;
        std::new_handler handler = std::get_new_handler();
        if (handler == nullptr)
            return nullptr;
        handler();
    }
}

__attribute__((always_inline)) static inline void *take_or_throw(size_t size, size_t align) {
    if (void *block = take_or_ask(size, align))
        return block;
    throw std::bad_alloc();
}

__attribute__((always_inline)) static inline void *take_or_null(size_t size, size_t align) noexcept {
    try {
        return take_or_ask(size, align);
    } catch (...) {
        return nullptr;
    }
}

using Align = std::align_val_t;
using Quiet = const std::nothrow_t &;

void *operator new(size_t size) { return take_or_throw(size, 0); }
void operator delete(void *block) noexcept { __libc_free(block); }
#ifndef PARTLY
void *operator new[](size_t size) { return take_or_throw(size, 0); }
void *operator new(size_t size, Quiet) noexcept { return take_or_null(size, 0); }
void *operator new[](size_t size, Quiet) noexcept { return take_or_null(size, 0); }
void *operator new(size_t size, Align align) { return take_or_throw(size, size_t(align)); }
void *operator new[](size_t size, Align align) { return take_or_throw(size, size_t(align)); }
void *operator new(size_t size, Align align, Quiet) noexcept {
    return take_or_null(size, size_t(align));
}
void *operator new[](size_t size, Align align, Quiet) noexcept {
    return take_or_null(size, size_t(align));
}
void operator delete[](void *block) noexcept { __libc_free(block); }
void operator delete(void *block, size_t) noexcept { __libc_free(block); }
void operator delete[](void *block, size_t) noexcept { __libc_free(block); }
void operator delete(void *block, Quiet) noexcept { __libc_free(block); }
void operator delete[](void *block, Quiet) noexcept { __libc_free(block); }
void operator delete(void *block, Align) noexcept { __libc_free(block); }
void operator delete[](void *block, Align) noexcept { __libc_free(block); }
void operator delete(void *block, size_t, Align) noexcept { __libc_free(block); }
void operator delete[](void *block, size_t, Align) noexcept { __libc_free(block); }
#ifdef GOES_ON
void operator delete(void *block, Align, Quiet) noexcept { free(block); }
void operator delete[](void *block, Align, Quiet) noexcept { free(block); }
#else
void operator delete(void *block, Align, Quiet) noexcept { __libc_free(block); }
void operator delete[](void *block, Align, Quiet) noexcept { __libc_free(block); }
#endif
#endif
