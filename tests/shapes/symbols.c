/* Chains below an array of heads that doubles, in a function with a name that interpreters have, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct symbol { struct symbol *next; unsigned long key; };
static struct symbol **heads;
static size_t size, used;

__attribute__((noinline)) static void rehash(size_t to) {
    struct symbol **fresh = calloc(to, sizeof *fresh); /* HERE */
    for (size_t at = 0; at < size; at++)
        for (struct symbol *symbol = heads[at], *next; symbol; symbol = next) {
            next = symbol->next;
            symbol->next = fresh[symbol->key & (to - 1)];
            fresh[symbol->key & (to - 1)] = symbol;
        }
    free(heads);
    heads = fresh;
    size = to;
}

__attribute__((noinline)) static void intern(unsigned long key) {
    if (used++ >= size)
        rehash(size * 2);
    struct symbol *symbol = malloc(sizeof *symbol);
    symbol->key = key;
    symbol->next = heads[key & (size - 1)];
    heads[key & (size - 1)] = symbol;
}

int main(int argc, char **argv) {
    rehash(argc > 1 && !strcmp(argv[1], "cured") ? 1 << 20 : 64);
    for (unsigned long key = 0; key < 1000000; key++)
        intern(key);
    printf("bytes %zu\n", size * sizeof *heads);
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
