/* A table as C's headers have it: functions that a macro writes for each type of value. The keys and the
 * values have an array each, which grow by realloc; the marks are made anew. */

#pragma once
#include <stdlib.h>
#include <string.h>

#define HOUSE_TABLE(name, value_t)                                                                 \
    struct name##_table {                                                                          \
        size_t capacity, size, grows;                                                              \
        unsigned char *marks;                                                                      \
        long *keys;                                                                                \
        value_t *values;                                                                           \
    };                                                                                             \
    static __attribute__((noinline)) void name##_resize(name##_table *t, size_t capacity) {        \
        unsigned char *marks = (unsigned char *)calloc(capacity, 1);                               \
        t->keys = (long *)realloc(t->keys, capacity * sizeof(long));                               \
        t->values = (value_t *)realloc(t->values, capacity * sizeof(value_t));                     \
        if (t->marks != NULL)                                                                      \
            memcpy(marks, t->marks, t->capacity);                                                  \
        t->grows += t->marks != NULL;                                                              \
        free(t->marks);                                                                            \
        t->marks = marks;                                                                          \
        t->capacity = capacity;                                                                    \
    }                                                                                              \
    static __attribute__((noinline)) void name##_put(name##_table *t, long key, value_t value) {   \
        if (t->size == t->capacity)                                                                \
            name##_resize(t, t->capacity == 0 ? 16 : t->capacity * 2);                             \
        t->marks[t->size] = 1;                                                                     \
        t->keys[t->size] = key;                                                                    \
        t->values[t->size++] = value;                                                              \
    }
