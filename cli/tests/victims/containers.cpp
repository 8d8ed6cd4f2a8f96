// Containers of libstdc++ that grow, and their own account of it: for each shape the sizes of
// its tables, read off the container after every operation.
#include <cstdio>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

static bool first = true;

static void tell(const char *shape, const char *family, const std::vector<size_t> &tables,
                 size_t live) {
    std::printf("%s{\"shape\":\"%s\",\"family\":\"%s\",\"live\":%zu,\"tables\":[",
                first ? "[" : ",\n", shape, family, live);
    for (size_t i = 0; i < tables.size(); i++) {
        std::printf("%s%zu", i ? "," : "", tables[i]);
    }
    std::printf("]}");
    first = false;
}

template <class Map> static size_t table(const Map &map) {
    // A table of one bucket lies in the container itself.
    return map.bucket_count() > 1 ? map.bucket_count() * sizeof(void *) : 0;
}

static void follow(std::vector<size_t> &tables, size_t bytes) {
    if (bytes && (tables.empty() || tables.back() != bytes)) {
        tables.push_back(bytes);
    }
}

__attribute__((noinline)) static void fill_map(std::unordered_map<long, long> &map, long n,
                                               std::vector<size_t> &tables) {
    for (long i = 0; i < n; i++) {
        map[i * 7] = i;
        follow(tables, table(map));
    }
}

__attribute__((noinline)) static void fill_set(std::unordered_set<std::string> &set, long n,
                                               std::vector<size_t> &tables) {
    for (long i = 0; i < n; i++) {
        set.insert("k" + std::to_string(i));
        follow(tables, table(set));
    }
}

__attribute__((noinline)) static void shrink_map(std::unordered_map<long, long> &map, long keep,
                                                 std::vector<size_t> &tables) {
    map.reserve(100000);
    follow(tables, table(map));
    for (long i = 0; i < 60000; i++) {
        map[i] = i;
    }
    for (long i = keep; i < 60000; i++) {
        map.erase(i);
    }
    map.rehash(0);
    follow(tables, table(map));
}

__attribute__((noinline)) static void push_vector(std::vector<long> &vector, long n,
                                                  std::vector<size_t> &tables) {
    for (long i = 0; i < n; i++) {
        vector.push_back(i);
        follow(tables, vector.capacity() * sizeof(long));
    }
}

__attribute__((noinline)) static void reserve_vector(std::vector<int> &vector,
                                                     std::vector<size_t> &tables) {
    vector.reserve(1000);
    follow(tables, vector.capacity() * sizeof(int));
    vector.resize(5000);
    follow(tables, vector.capacity() * sizeof(int));
    vector.resize(100);
    vector.shrink_to_fit();
    follow(tables, vector.capacity() * sizeof(int));
}

__attribute__((noinline)) static void append_string(std::string &string, long n,
                                                    std::vector<size_t> &tables) {
    for (long i = 0; i < n; i++) {
        string.push_back('x');
        if (string.capacity() > 15) {
            follow(tables, string.capacity() + 1);
        }
    }
}

__attribute__((noinline)) static void fill_tree(std::map<long, long> &map, long n) {
    for (long i = 0; i < n; i++) {
        map[i] = i;
    }
}

int main() {
    // What is told must not grow while it is being measured.
    std::vector<size_t> tables;
    tables.reserve(1000);
    {
        std::unordered_map<long, long> map;
        fill_map(map, 300000, tables);
    }
    tell("fill_map", "libstdcxx_hashtable", tables, 0);
    tables.clear();
    auto *set = new std::unordered_set<std::string>;
    fill_set(*set, 20000, tables);
    tell("fill_set", "libstdcxx_hashtable", tables, tables.back());
    tables.clear();
    auto *shrunk = new std::unordered_map<long, long>;
    shrink_map(*shrunk, 100, tables);
    tell("shrink_map", "libstdcxx_hashtable", tables, tables.back());
    tables.clear();
    {
        std::vector<long> vector;
        push_vector(vector, 500000, tables);
    }
    tell("push_vector", "libstdcxx_vector", tables, 0);
    tables.clear();
    auto *reserved = new std::vector<int>;
    reserve_vector(*reserved, tables);
    tell("reserve_vector", "libstdcxx_vector", tables, tables.back());
    tables.clear();
    {
        std::string string;
        append_string(string, 100000, tables);
    }
    tell("append_string", "libstdcxx_string", tables, 0);
    tables.clear();
    auto *tree = new std::map<long, long>;
    fill_tree(*tree, 1000);
    for (int i = 0; i < 1000; i++) {
        tables.push_back(sizeof(std::_Rb_tree_node<std::pair<const long, long>>));
    }
    tell("fill_tree", "libstdcxx_tree", tables, 1000 * tables.back());
    std::printf("]\n");
}
