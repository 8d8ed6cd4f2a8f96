/* What a victim in C tells of its containers: sizes that it read off them after each insert. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

struct told {
    const char *shape, *family;
    size_t tables[64];
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

/* Prints what was told of each. */
static inline void told_print(const struct told *told, int count) {
    for (int i = 0; i < count; i++) {
        printf("%s{\"shape\":\"%s\",\"family\":\"%s\",\"tables\":[", i ? ",\n" : "[",
               told[i].shape, told[i].family);
        for (int t = 0; t < told[i].count; t++) {
            printf("%s%zu", t ? "," : "", told[i].tables[t]);
        }
        printf("],\"born_elsewhere\":%s,\"live\":%zu}",
               told[i].born_elsewhere ? "true" : "false",
               told[i].count ? told[i].tables[told[i].count - 1] : 0);
    }
    printf("]\n");
}
