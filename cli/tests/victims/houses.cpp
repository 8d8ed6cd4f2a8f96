// Containers that no catalogue has, each filled by a function of the program's own. Each prints what it
// was: the function, how often its tables grew, how many tables one has, and what they hold.

#include "house_map.hpp"
#include "house_table.h"
#include <cstdio>

HOUSE_TABLE(scores, double)

namespace {

struct Stats {
    house::FlatMap<unsigned long, double> rates;
    house::FlatMap<unsigned long, unsigned> flags;
    house::SlotMap<unsigned long, long> seen;
};

// A table of the program's own, in C, that two of its functions use.
struct Chain {
    long **buckets;
    size_t count, used, grows;
};

__attribute__((noinline)) void chain_resize(Chain *chain, size_t count) {
    long **buckets = static_cast<long **>(calloc(count, sizeof *buckets));
    for (size_t at = 0; at < chain->count; ++at)
        buckets[at] = chain->buckets[at];
    chain->grows += chain->count != 0;
    free(chain->buckets);
    chain->buckets = buckets;
    chain->count = count;
}

__attribute__((noinline)) void chain_put(Chain *chain, long *entry) {
    if (chain->used == chain->count)
        chain_resize(chain, chain->count == 0 ? 16 : chain->count * 2);
    chain->buckets[chain->used++] = entry;
}

void told(const char *function, size_t grows, size_t tables, size_t bytes) {
    printf("%s %zu %zu %zu\n", function, grows, tables, bytes);
}

__attribute__((noinline)) void set_rates(Stats &stats, int count) {
    for (int at = 0; at < count; ++at)
        stats.rates.put(at, 1.0);
    told("set_rates", stats.rates.grows, 1, stats.rates.bytes());
}

__attribute__((noinline)) void set_flags(Stats &stats, int count) {
    for (int at = 0; at < count; ++at)
        stats.flags.put(at, 1);
    told("set_flags", stats.flags.grows, 1, stats.flags.bytes());
}

__attribute__((noinline)) void mark_seen(Stats &stats, int count) {
    for (int at = 0; at < count; ++at)
        stats.seen.put(at, at);
    told("mark_seen", stats.seen.grows, 1, stats.seen.bytes());
}

__attribute__((noinline)) void add_scores(scores_table &scores, int count) {
    for (int at = 0; at < count; ++at)
        scores_put(&scores, at, 0.5);
    size_t entry = sizeof(long) + sizeof(double) + 1;
    told("add_scores", scores.grows * 3, 3, scores.capacity * entry);
}

__attribute__((noinline)) void open_sessions(Chain *chain, int count) {
    static long session;
    for (int at = 0; at < count; ++at)
        chain_put(chain, &session);
    told("open_sessions", chain->grows, 1, chain->count * sizeof(long *));
}

__attribute__((noinline)) void cache_urls(Chain *chain, int count) {
    static long url;
    for (int at = 0; at < count; ++at)
        chain_put(chain, &url);
    told("cache_urls", chain->grows, 1, chain->count * sizeof(long *));
}

} // namespace

int main() {
    static Stats stats;
    static scores_table scores;
    static Chain sessions, urls;
    set_rates(stats, 30000);
    set_flags(stats, 5000);
    mark_seen(stats, 20000);
    add_scores(scores, 10000);
    open_sessions(&sessions, 40000);
    cache_urls(&urls, 9000);
    fflush(stdout);
    // As services end: with all that they hold.
    _Exit(0);
}
