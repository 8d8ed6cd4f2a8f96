/* PostgreSQL's dynahash, in an extension that a backend of its own loads. Its directory of segments
   doubles; from 8 KiB on it lies in a block of its own, which PostgreSQL's own account of the
   table's memory shows. What is smaller comes out of PostgreSQL's arenas. */
#include <unistd.h>

#include "postgres.h"

#include "fmgr.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "told.h"

PG_MODULE_MAGIC;
void _PG_init(void);

/* Where the account is printed: standard output is the backend's. */
enum { ACCOUNT = 3 };
/* From so many entries on, the arena grows by blocks of this size alone. */
enum { MANY = 240000, ARENA_BLOCK = ALLOCSET_DEFAULT_MAXSIZE };

static struct told told[] = {{.shape = "fill_dynahash", .family = "postgres_dynahash"}};

struct entry {
    uint64 key;
    uint64 value[2];
};

__attribute__((noinline)) static void fill_dynahash(HTAB *table, MemoryContext account) {
    Size before = MemoryContextMemAllocated(account, false), directory = 0;
    for (uint64 key = 0; key < 2200000; key++) {
        bool found;
        hash_search(table, &key, HASH_ENTER, &found);
        Size now = MemoryContextMemAllocated(account, false);
        /* Where a new directory came, an old one went. */
        if (key > MANY && now > before && now - before < ARENA_BLOCK) {
            directory += now - before;
            told_size(told, directory);
        }
        before = now;
    }
}

void _PG_init(void) {
    HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(struct entry)};
    control.hcxt = AllocSetContextCreate(TopMemoryContext, "victim", ALLOCSET_DEFAULT_SIZES);
    HTAB *table = hash_create("victim", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    /* The table lives in a context of its own, below ours. */
    fill_dynahash(table, control.hcxt->firstchild);
    fflush(stdout);
    int backends = dup(STDOUT_FILENO);
    if (backends < 0 || dup2(ACCOUNT, STDOUT_FILENO) < 0) {
        abort();
    }
    told_print(told, 1);
    fflush(stdout);
    dup2(backends, STDOUT_FILENO);
    close(backends);
}
