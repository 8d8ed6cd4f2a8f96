/* GLib's GHashTable as a set of small keys: an array of keys and one of hashes, each grown by
 * realloc; their number of slots is the first field of the structure. */
#include "told.h"
#include <glib.h>

static struct told told[] = {{.shape = "fill_keys", .family = "glib_hash"},
                             {.shape = "fill_keys", .family = "glib_hash"},
                             {.shape = "append_array", .family = "glib_array"}};

__attribute__((noinline)) static void fill_keys(void) {
    GHashTable *table = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (gsize i = 1; i <= 100000; i++) {
        g_hash_table_add(table, (gpointer)i);
        gsize slots = *(gsize *)table;
        told_size(&told[0], slots * sizeof(guint));
        told_size(&told[1], slots * sizeof(guint));
    }
}

__attribute__((noinline)) static void append_array(GArray *array) {
    for (long i = 0; i < 100000; i++) {
        g_array_append_val(array, i);
        /* Sizes are powers of two. */
        gsize bytes = 16;
        while (bytes < array->len * sizeof(long)) {
            bytes *= 2;
        }
        told_size(&told[2], bytes);
    }
}

int main(void) {
    fill_keys();
    append_array(g_array_new(FALSE, FALSE, sizeof(long)));
    told_print(told, 3);
    return 0;
}
