/* uthash: macros, so that the user's own function asks for the memory. */
#include "told.h"
#include <uthash.h>

struct item {
    int key;
    UT_hash_handle hh;
};

static struct told told[] = {{.shape = "fill_uthash", .family = "unknown_container"}};
static struct item items[100000], *head;

__attribute__((noinline)) static void fill_uthash(void) {
    for (int i = 0; i < 100000; i++) {
        items[i].key = i;
        HASH_ADD_INT(head, key, &items[i]);
        told_size(told, head->hh.tbl->num_buckets * sizeof(UT_hash_bucket));
    }
}

int main(void) {
    fill_uthash();
    told_print(told, 1);
    return 0;
}
