// Loaded and unloaded again by the victim.
#include <cstdlib>
#include <cstring>

extern "C" __attribute__((visibility("default"))) void grow_in_library(int times) {
    void *table = malloc(4096);
    for (int i = 1; i <= times; i++) {
        table = realloc(table, 4096ul << i);
        memset(table, i, 4096ul << i);
    }
}
