/* A ring that doubles by realloc while its reader lags behind, and is empty now. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct job { long id, payload[5]; };
static struct job *ring;
static size_t size, length;

__attribute__((noinline)) static void push(long id) {
    if (length == size) {
        size = size ? size * 2 : 64;
        ring = realloc(ring, size * sizeof *ring); /* HERE */
    }
    ring[length++] = (struct job){id, {id}};
}

int main(void) {
    for (long id = 0; id < 1 << 20; id++)
        push(id);
    length = 0;
    printf("bytes %zu\n", size * sizeof *ring);
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
