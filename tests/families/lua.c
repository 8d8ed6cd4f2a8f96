/* Lua's tables: the array part and the hash part, as the interpreter's allocator is asked. */
#include "told.h"
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

static struct told told[] = {{.shape = "fill_array", .family = "lua_table"},
                             {.shape = "fill_hash", .family = "lua_table"}};
static struct told *now;

static void *l_alloc(void *ud, void *at, size_t osize, size_t nsize) {
    (void)ud;
    if (nsize == 0) {
        free(at);
        return NULL;
    }
    /* Of a new object the kind is told in place of its size; a table's parts have none. */
    int is_table = now && (at || osize == 0);
    void *block = realloc(at, nsize);
    if (is_table) {
        told_block(now, nsize, block);
    }
    return block;
}

__attribute__((noinline)) static void fill_array(lua_State *L) {
    lua_newtable(L);
    for (lua_Integer i = 1; i <= 100000; i++) {
        lua_pushinteger(L, i);
        lua_rawseti(L, -2, i);
    }
}

__attribute__((noinline)) static void fill_hash(lua_State *L) {
    lua_newtable(L);
    for (lua_Integer i = 1; i <= 50000; i++) {
        lua_pushinteger(L, i);
        lua_rawseti(L, -2, -i * 3);
    }
}

int main(void) {
    lua_State *L = lua_newstate(l_alloc, NULL);
    now = &told[0];
    fill_array(L);
    now = &told[1];
    fill_hash(L);
    now = NULL;
    told_print(told, 2);
    return 0;
}
