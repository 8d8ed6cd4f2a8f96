/* OpenSSL's LHASH: its array of pointers grows by realloc; its statistics tell how many. */
#include "told.h"
#include <openssl/bio.h>
#include <openssl/lhash.h>
#include <string.h>

static struct told told[] = {{.shape = "fill_lhash", .family = "openssl_lhash", .born_elsewhere = 1}};
static unsigned long hash(const void *item) { return (unsigned long)item * 2654435761u; }
static int compare(const void *a, const void *b) { return a != b; }

static size_t allocated(OPENSSL_LHASH *lhash, BIO *bio) {
    char *text;
    BIO_reset(bio);
    OPENSSL_LH_node_stats_bio(lhash, bio);
    BIO_reset(bio);
    OPENSSL_LH_stats_bio(lhash, bio);
    long bytes = BIO_get_mem_data(bio, &text);
    char copy[4096] = {0};
    memcpy(copy, text, bytes < 4095 ? bytes : 4095);
    char *found = strstr(copy, "num_alloc_nodes");
    return found ? strtoul(strchr(found, '=') + 1, NULL, 10) : 0;
}

__attribute__((noinline)) static void fill_lhash(OPENSSL_LHASH *lhash, BIO *bio) {
    for (unsigned long i = 1; i <= 20000; i++) {
        OPENSSL_LH_insert(lhash, (void *)(i * 16));
        if (i % 8 == 0) {
            told_size(told, allocated(lhash, bio) * sizeof(void *));
        }
    }
}

int main(void) {
    OPENSSL_LHASH *lhash = OPENSSL_LH_new(hash, compare);
    BIO *bio = BIO_new(BIO_s_mem());
    fill_lhash(lhash, bio);
    told_print(told, 1);
    return 0;
}
