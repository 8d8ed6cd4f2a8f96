// A block so large that the C library maps it alone, and moves its pages when it grows.
#include <cstdio>
#include <cstdlib>
#include <cstring>

__attribute__((noinline)) static void grow(char **block, size_t bytes) {
    *block = static_cast<char *>(realloc(*block, bytes));
    memset(*block, 1, bytes);
}

int main() {
    char *block = static_cast<char *>(malloc(size_t{1} << 20));
    int moved = 0;
    for (int log2 = 21; log2 <= 26; log2++) {
        char *before = block;
        // Something behind it, so that it cannot stay.
        void *behind = malloc(size_t{1} << 20);
        grow(&block, size_t{1} << log2);
        moved += block != before;
        free(behind);
    }
    printf("%d\n", moved);
    free(block);
}
