// Google's sparsehash: a table that is filled anew in a constructor, and taken by a swap.
#include "told.hpp"
#include <functional>
#include <memory>
#include <sparsehash/dense_hash_map>
#include <sparsehash/dense_hash_set>

// Its own allocator goes past `operator new`, where nothing is counted.
using Map = google::dense_hash_map<long, long, std::hash<long>, std::equal_to<long>,
                                   std::allocator<std::pair<const long, long>>>;
using Set = google::dense_hash_set<int, std::hash<int>, std::equal_to<int>, std::allocator<int>>;

// Asks for the first table.
template <class Table> __attribute__((noinline)) static void prepare(Table &table) {
    table.set_empty_key(-1);
}
__attribute__((noinline)) static void fill_map(Map &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}
__attribute__((noinline)) static void fill_set(Set &set) {
    for (int i = 0; i < 50000; i++) {
        set.insert(i * 7);
    }
}

int main() {
    auto *map = new Map;
    told::begin();
    prepare(*map);
    fill_map(*map);
    told::end("fill_map", "dense_hash_map", 0, true);
    auto *set = new Set;
    told::begin();
    prepare(*set);
    fill_set(*set);
    told::end("fill_set", "dense_hash_map", 0, true);
    told::finish();
}
