// The standard library's containers, libstdc++'s or libc++'s.
#include "told.hpp"
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#ifdef _LIBCPP_VERSION
#define FAMILY(name) "libcxx_" name
#else
#define FAMILY(name) "libstdcxx_" name
#endif

// Bytes of a node: asked of the library itself.
template <class Container, class Value> static size_t node_bytes(Value value) {
    Container one;
    one.insert(value);
    told::begin();
    Container other;
    other.reserve(2);
    size_t before = told::count;
    other.insert(value);
    told::watching = false;
    return told::blocks[before].bytes;
}

__attribute__((noinline)) static void fill_map(std::unordered_map<long, long> &map) {
    for (long i = 0; i < 200000; i++) {
        map[i * 7] = i;
    }
}
__attribute__((noinline)) static void fill_set(std::unordered_set<long> &set) {
    for (long i = 0; i < 50000; i++) {
        set.insert(i);
    }
}
__attribute__((noinline)) static void push_vector(std::vector<long> &vector) {
    for (long i = 0; i < 300000; i++) {
        vector.push_back(i);
    }
}
__attribute__((noinline)) static void reserve_vector(std::vector<int> &vector) {
    vector.reserve(1000);
    vector.resize(5000);
    vector.resize(100);
    vector.shrink_to_fit();
    // Not the last act: a free by a jump is not known to be the library's.
    asm volatile("" ::: "memory");
}
__attribute__((noinline)) static void append_string(std::string &string) {
    for (long i = 0; i < 100000; i++) {
        string.push_back('x');
    }
}
// Of a size that gives the blocks one that no array of pointers has.
struct Element {
    long a, b, c;
};

// The first array comes with the container itself.
__attribute__((noinline)) static void *push_deque() {
    auto *deque = new std::deque<Element>;
    for (long i = 0; i < 400000; i++) {
        deque->push_back({i, i, i});
    }
    return deque;
}
__attribute__((noinline)) static void fill_tree(std::map<long, long> &map) {
    for (long i = 0; i < 1000; i++) {
        map[i] = i;
    }
}
__attribute__((noinline)) static void fill_tree_set(std::set<int> &set) {
    for (int i = 0; i < 1000; i++) {
        set.insert(i);
    }
}

int main() {
    size_t node = node_bytes<std::unordered_map<long, long>>(std::pair<const long, long>(1, 1));
    auto *map = new std::unordered_map<long, long>;
    told::begin();
    fill_map(*map);
    told::end("fill_map", FAMILY("hashtable"), node);

    node = node_bytes<std::unordered_set<long>>(1L);
    auto *set = new std::unordered_set<long>;
    told::begin();
    fill_set(*set);
    told::end("fill_set", FAMILY("hashtable"), node);

    auto *vector = new std::vector<long>;
    told::begin();
    push_vector(*vector);
    told::end("push_vector", FAMILY("vector"));

    auto *reserved = new std::vector<int>;
    told::begin();
    reserve_vector(*reserved);
    told::end("reserve_vector", FAMILY("vector"));

    auto *string = new std::string;
    told::begin();
    append_string(*string);
    told::end("append_string", FAMILY("string"));

    // A deque's elements lie in blocks of one size; what grows is the array that points at them.
    told::begin();
    push_deque();
    // The object, and the blocks.
    told::leave_out(0);
#ifdef _LIBCPP_VERSION
    told::end("push_deque", FAMILY("deque"), 4096 / sizeof(Element) * sizeof(Element));
#else
    told::end("push_deque", FAMILY("deque"), 512 / sizeof(Element) * sizeof(Element));
#endif

    auto *tree = new std::map<long, long>;
    told::begin();
    fill_tree(*tree);
    told::end_nodes("fill_tree", FAMILY("tree"));

    auto *tree_set = new std::set<int>;
    told::begin();
    fill_tree_set(*tree_set);
    told::end_nodes("fill_tree_set", FAMILY("tree"));
    told::finish();
}
