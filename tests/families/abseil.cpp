// Abseil's flat hash containers.
#include "told.hpp"
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <string>

__attribute__((noinline)) static void fill_flat_map(absl::flat_hash_map<long, long> &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}
__attribute__((noinline)) static void fill_flat_set(absl::flat_hash_set<int> &set) {
    for (int i = 0; i < 30000; i++) {
        set.insert(i);
    }
}

int main() {
    auto *map = new absl::flat_hash_map<long, long>;
    told::begin();
    fill_flat_map(*map);
    told::end("fill_flat_map", "abseil_flat");
    auto *set = new absl::flat_hash_set<int>;
    told::begin();
    fill_flat_set(*set);
    told::end("fill_flat_set", "abseil_flat");
    told::finish();
}
