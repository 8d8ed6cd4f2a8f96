// A crawler's pages, least recently used ones thrown out, beside the set of all that it has seen.
#include <cstdio>
#include <cstring>
#include <list>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>

template <class Key, class Value> class Lru {
    std::list<std::pair<Key, Value>> order;
    std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator> places;
    size_t most;

public:
    explicit Lru(size_t most) : most(most) { places.reserve(most + 1); }
    void put(const Key &key, Value value) {
        if (places.count(key))
            return;
        if (places.size() >= most) {
            places.erase(order.back().first);
            order.pop_back();
        }
        order.emplace_front(key, value);
        places[key] = order.begin();
    }
};

struct Crawler {
    Lru<unsigned long, double> pages{20000};
    std::unordered_set<unsigned long> seen;
    __attribute__((noinline)) void visit(unsigned long page) {
        pages.put(page, 0.5);
        seen.insert(page); // HERE
    }
};

int main(int argc, char **argv) {
    Crawler crawler;
    if (argc > 1 && !strcmp(argv[1], "cured"))
        crawler.seen.reserve(776784);
    unsigned long page = 7;
    for (int i = 0; i < 1500000; i++) {
        page = page * 6364136223846793005ul + 1442695040888963407ul;
        crawler.visit((page >> 20) % 1000000);
    }
    size_t entries = crawler.seen.size();
    printf("entries %zu\n", entries);
    // A node has a link and the key.
    printf("nodes %zu\n", entries * 16);
    printf("bytes %zu\n", crawler.seen.bucket_count() * 8 + entries * 16);
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
