// What a victim tells of its containers: the blocks that each asked for, counted in `operator
// new` and `operator delete`, which hand them on to malloc.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <new>

namespace told {
struct Block {
    void *at;
    size_t bytes;
    bool live;
};
// Blocks of the present shape, in the order in which they were asked for. Not a container of the
// library under test.
inline Block blocks[1 << 20];
inline size_t count;
inline bool watching;
inline bool first = true;

inline void begin() {
    count = 0;
    watching = true;
}

// The block of this number is not a table.
inline void leave_out(size_t number) {
    for (size_t i = number; i + 1 < count; i++) {
        blocks[i] = blocks[i + 1];
    }
    count--;
}

// Ends a shape. Blocks of `node` bytes are the container's nodes, of which nothing is told. The
// first table may be one that another function than the shape's asked for.
inline void end(const char *shape, const char *family, size_t node = 0,
                bool born_elsewhere = false) {
    watching = false;
    size_t live = 0;
    std::printf("%s{\"shape\":\"%s\",\"family\":\"%s\",\"tables\":[", first ? "[" : ",\n", shape,
                family);
    first = false;
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].bytes != node) {
            std::printf("%s%zu", comma, blocks[i].bytes);
            comma = ",";
            live += blocks[i].live ? blocks[i].bytes : 0;
        }
    }
    std::printf("],\"live\":%zu%s}", live, born_elsewhere ? ",\"born_elsewhere\":true" : "");
}

// Ends a shape of two tables that are always asked for together.
inline void end_pairs(const char *shape, const char *family, size_t node) {
    static Block both[sizeof blocks / sizeof blocks[0]];
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].bytes != node) {
            both[all++] = blocks[i];
        }
    }
    for (size_t half = 0; half < 2; half++) {
        count = 0;
        for (size_t i = half; i < all; i += 2) {
            blocks[count++] = both[i];
        }
        end(shape, family);
    }
}

// Ends a shape of nodes alone.
inline void end_nodes(const char *shape, const char *family) {
    watching = false;
    size_t live = 0;
    std::printf("%s{\"shape\":\"%s\",\"family\":\"%s\",\"nodes\":true,\"tables\":[",
                first ? "[" : ",\n", shape, family);
    first = false;
    for (size_t i = 0; i < count; i++) {
        std::printf("%s%zu", i ? "," : "", blocks[i].bytes);
        live += blocks[i].live ? blocks[i].bytes : 0;
    }
    std::printf("],\"live\":%zu}", live);
}

inline void finish() { std::printf("]\n"); }
} // namespace told

void *operator new(size_t bytes) {
    void *at = std::malloc(bytes);
    if (!at) {
        throw std::bad_alloc();
    }
    if (told::watching && told::count < sizeof told::blocks / sizeof told::blocks[0]) {
        told::blocks[told::count++] = {at, bytes, true};
    }
    return at;
}

void operator delete(void *at) noexcept {
    if (told::watching) {
        for (size_t i = told::count; at && i-- > 0;) {
            if (told::blocks[i].at == at && told::blocks[i].live) {
                told::blocks[i].live = false;
                break;
            }
        }
    }
    std::free(at);
}
void operator delete(void *at, size_t) noexcept { operator delete(at); }
