/* Open addressing: a table of twice the size is filled from the old one, which is freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct table { unsigned long *slots; size_t size, used; };

static size_t place(struct table *table, unsigned long key) {
    size_t at = key * 0x9E3779B97F4A7C15ul & (table->size - 1);
    while (table->slots[at] && table->slots[at] != key)
        at = (at + 1) & (table->size - 1);
    return at;
}

__attribute__((noinline)) static void grow(struct table *table, size_t size) {
    struct table old = *table;
    table->size = size;
    table->slots = calloc(size, sizeof *table->slots); /* HERE */
    for (size_t at = 0; at < old.size; at++)
        if (old.slots[at])
            table->slots[place(table, old.slots[at])] = old.slots[at];
    free(old.slots);
}

__attribute__((noinline)) static void put(struct table *table, unsigned long key) {
    if (table->used * 2 >= table->size)
        grow(table, table->size * 2);
    table->slots[place(table, key)] = key;
    table->used++;
}

int main(int argc, char **argv) {
    struct table flows = {0};
    grow(&flows, argc > 1 && !strcmp(argv[1], "cured") ? 1 << 21 : 64);
    for (unsigned long key = 1; key <= 1000000; key++)
        put(&flows, key);
    printf("bytes %zu\n", flows.size * sizeof *flows.slots);
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
