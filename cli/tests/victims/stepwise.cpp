// A table that is filled by functions whose last act is to call the one that fills it, and a dict of
// this program's own that moves its entries a few at a time. Both live at the end.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

struct Table {
    uint64_t *slots;
    size_t room, used;
};

// The function of the container: grows tables for others.
__attribute__((noinline)) static void table_fill(Table *table, uint64_t from, uint64_t to) {
    for (uint64_t key = from; key < to; key++) {
        if (table->used == table->room) {
            size_t room = table->room ? table->room * 2 : 512;
            uint64_t *slots = static_cast<uint64_t *>(calloc(room, 8));
            for (size_t at = 0; at < table->room; at++)
                slots[at] = table->slots[at];
            free(table->slots);
            table->slots = slots;
            table->room = room;
        }
        table->slots[table->used++] = key;
    }
}

static Table small_table, large_table;

__attribute__((noinline)) static void fill_small(uint64_t keys) {
    small_table.used = 0;
    table_fill(&small_table, 1, keys);
}

__attribute__((noinline)) static void fill_large(uint64_t keys) {
    large_table.used = 0;
    table_fill(&large_table, 2, keys);
}

struct Entry {
    uint64_t key;
    Entry *next;
};

struct Half {
    Entry **slots;
    size_t room, used;
};

static Half halves[2];
static long moving = -1;

static size_t slot(uint64_t key, size_t room) { return (key * 0x9e3779b97f4a7c15ull >> 20) & (room - 1); }

static void dict_expand(size_t room) {
    halves[1].slots = static_cast<Entry **>(calloc(room, sizeof(Entry *)));
    halves[1].room = room;
    halves[1].used = 0;
    moving = 0;
}

static void dict_step() {
    Entry *entry = halves[0].slots[moving];
    while (entry) {
        Entry *next = entry->next;
        size_t at = slot(entry->key, halves[1].room);
        entry->next = halves[1].slots[at];
        halves[1].slots[at] = entry;
        halves[1].used++;
        entry = next;
    }
    if (static_cast<size_t>(++moving) == halves[0].room) {
        free(halves[0].slots);
        halves[0] = halves[1];
        moving = -1;
    }
}

__attribute__((noinline)) static void dict_set(uint64_t key) {
    if (moving >= 0)
        dict_step();
    else if (halves[0].used >= halves[0].room)
        dict_expand(halves[0].room * 2);
    Half *half = &halves[moving >= 0];
    Entry *entry = static_cast<Entry *>(malloc(sizeof *entry));
    size_t at = slot(key, half->room);
    entry->key = key;
    entry->next = half->slots[at];
    half->slots[at] = entry;
    half->used++;
}

int main() {
    fill_small(512 << 8);
    fill_large(512 << 8);
    halves[0] = {static_cast<Entry **>(calloc(16, sizeof(Entry *))), 16, 0};
    for (uint64_t key = 0; key < 400000; key++)
        dict_set(key);
    _Exit(0);
}
