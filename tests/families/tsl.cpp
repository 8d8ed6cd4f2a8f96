// Maps that keep their table in a vector of the standard library.
#include "told.hpp"
#include <tsl/hopscotch_map.h>
#include <tsl/robin_map.h>
#include <tsl/robin_set.h>

__attribute__((noinline)) static void fill_robin(tsl::robin_map<long, long> &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}
__attribute__((noinline)) static void fill_robin_set(tsl::robin_set<int> &set) {
    for (int i = 0; i < 50000; i++) {
        set.insert(i * 7);
    }
}
__attribute__((noinline)) static void fill_hopscotch(tsl::hopscotch_map<long, long> &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}

int main() {
    auto *robin = new tsl::robin_map<long, long>;
    told::begin();
    fill_robin(*robin);
    told::end("fill_robin", "tsl_robin");
    auto *set = new tsl::robin_set<int>;
    told::begin();
    fill_robin_set(*set);
    told::end("fill_robin_set", "tsl_robin");
    auto *hopscotch = new tsl::hopscotch_map<long, long>;
    told::begin();
    fill_hopscotch(*hopscotch);
    told::end("fill_hopscotch", "tsl_hopscotch");
    told::finish();
}
