// Boost's hash containers: open addressing (1.81 on) and nodes.
#include "told.hpp"
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered_map.hpp>

__attribute__((noinline)) static void fill_flat(boost::unordered_flat_map<long, long> &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}
__attribute__((noinline)) static void fill_nodes(boost::unordered_map<long, long> &map) {
    for (long i = 0; i < 100000; i++) {
        map[i * 7] = i;
    }
}

int main() {
    auto *flat = new boost::unordered_flat_map<long, long>;
    told::begin();
    fill_flat(*flat);
    told::end("fill_flat", "boost_unordered");
    boost::unordered_map<long, long> one;
    one.reserve(2);
    told::begin();
    one[1] = 1;
    size_t node = told::blocks[told::count - 1].bytes;
    auto *nodes = new boost::unordered_map<long, long>;
    told::begin();
    fill_nodes(*nodes);
    // The array of buckets, and one of groups of buckets.
    told::end_pairs("fill_nodes", "boost_unordered", node);
    told::finish();
}
