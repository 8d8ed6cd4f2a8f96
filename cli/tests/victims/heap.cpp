// Blocks of many sizes, most of them freed again; prints the bytes that are live at the end.
#include <cstdio>
#include <cstdlib>
#include <vector>

int main() {
    std::vector<void *> blocks;
    std::vector<size_t> sizes;
    blocks.reserve(400000);
    sizes.reserve(400000);
    size_t live = 400000 * (sizeof(void *) + sizeof(size_t));
    for (size_t i = 0; i < 400000; i++) {
        // One in a hundred is at or above the floor.
        size_t size = i % 100 == 0 ? 4096 : 16 + i % 400;
        blocks.push_back(std::malloc(size));
        sizes.push_back(size);
        live += size;
    }
    for (size_t i = 0; i < blocks.size(); i++) {
        if (i % 4 != 0) {
            std::free(blocks[i]);
            live -= sizes[i];
        }
    }
    std::printf("%zu\n", live);
    std::fflush(stdout);
    std::_Exit(0);
}
