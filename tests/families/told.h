/* What a victim in C tells of its containers: sizes that it read off them after each insert. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

struct told {
    const char *shape, *family;
    size_t tables[64];
    /* Whether it grew where it lay: then there was no old table beside it. */
    int in_place[64];
    const void *at;
    int count;
    /* Its first table is another function's work. */
    int born_elsewhere;
};

/* The container's table has this size now. */
static inline void told_size(struct told *told, size_t bytes) {
    if (bytes && (told->count == 0 || told->tables[told->count - 1] != bytes)) {
        if (told->count == 64) {
            abort();
        }
        told->tables[told->count++] = bytes;
    }
}

/* The same of a table that lies there: one that `realloc` may have left in its place. */
static inline void told_block(struct told *told, size_t bytes, const void *at) {
    int before = told->count;
    told_size(told, bytes);
    if (told->count > before && before > 0) {
        told->in_place[before] = told->at == at;
    }
    told->at = at;
}

/* Prints what was told of each. */
static inline void told_print(const struct told *told, int count) {
    for (int i = 0; i < count; i++) {
        printf("%s{\"shape\":\"%s\",\"family\":\"%s\",\"tables\":[", i ? ",\n" : "[",
               told[i].shape, told[i].family);
        for (int t = 0; t < told[i].count; t++) {
            printf("%s%zu", t ? "," : "", told[i].tables[t]);
        }
        printf("],\"in_place\":[");
        for (int t = 0; t < told[i].count; t++) {
            printf("%s%d", t ? "," : "", told[i].in_place[t]);
        }
        printf("],\"born_elsewhere\":%s,\"live\":%zu}",
               told[i].born_elsewhere ? "true" : "false",
               told[i].count ? told[i].tables[told[i].count - 1] : 0);
    }
    printf("]\n");
}
