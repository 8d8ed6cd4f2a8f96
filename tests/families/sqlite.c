/* SQLite's own hash table, which holds a schema's names: its array of buckets, as SQLite's
   structure tells it. Of its functions the library's header names none. */
#include "told.h"

struct HashElem;
struct _ht {
    unsigned int count;
    struct HashElem *chain;
};
/* As in SQLite's hash.h. */
typedef struct Hash {
    unsigned int htsize, count;
    struct HashElem *first;
    struct _ht *ht;
} Hash;
void sqlite3HashInit(Hash *);
void *sqlite3HashInsert(Hash *, const char *key, void *data);
int sqlite3_initialize(void);

static struct told told[] = {{.shape = "fill_hash", .family = "sqlite_hash"}};
static char names[100][16];

/* Bytes that SQLite asked for: unless it can ask the allocator for the size of a block, it keeps it
   in the eight bytes before. */
static size_t asked(const Hash *hash) {
    size_t bytes = hash->htsize * sizeof *hash->ht;
    return hash->ht && ((const size_t *)hash->ht)[-1] == bytes ? bytes + 8 : bytes;
}

__attribute__((noinline)) static void fill_hash(Hash *hash) {
    for (int i = 0; i < 100; i++) {
        sqlite3HashInsert(hash, names[i], &names[i]);
        told_size(told, asked(hash));
    }
}

int main(void) {
    static Hash hash;
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "table_%d", i);
    }
    if (sqlite3_initialize() != 0) {
        return 1;
    }
    sqlite3HashInit(&hash);
    fill_hash(&hash);
    told_print(told, 1);
    return 0;
}
