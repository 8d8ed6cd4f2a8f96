/* Ruby's hashes: the entries and the bins of a table, as Ruby's own structure and its account of
   the table's memory tell them. */
#include "told.h"
#include <ruby.h>
#include <ruby/st.h>

struct st_table *rb_hash_tbl(VALUE, const char *file, int line);

static struct told told[] = {{.shape = "fill_hash", .family = "ruby_hash"},
                             {.shape = "fill_hash", .family = "ruby_hash"}};

/* A hash of up to eight entries has no table of this kind. */
enum { SMALL = 8 };

__attribute__((noinline)) static void fill_hash(VALUE hash) {
    /* An entry is its hash, its key and its value. */
    const size_t entry = 3 * sizeof(st_data_t);
    for (int i = 0; i < 50000; i++) {
        rb_hash_aset(hash, INT2FIX(i), INT2FIX(-i));
        if (i >= SMALL) {
            struct st_table *table = rb_hash_tbl(hash, __FILE__, __LINE__);
            size_t entries = entry << table->entry_power;
            told_size(&told[0], entries);
            told_size(&told[1], rb_st_memsize(table) - entries - sizeof *table);
        }
    }
}

int main(int argc, char **argv) {
    ruby_sysinit(&argc, &argv);
    ruby_init();
    VALUE hash = rb_hash_new();
    rb_gc_register_address(&hash);
    fill_hash(hash);
    told_print(told, 2);
    return 0;
}
