// An index of words, built below a lambda, of which most are taken out again.
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <unordered_map>

int main(int argc, char **argv) {
    std::unordered_map<long, long> index;
    auto add = [&](long word) __attribute__((noinline)) {
        index[word] = word; // HERE
    };
    for (long word = 0; word < 900000; word++)
        add(word * 2654435761l);
    for (auto at = index.begin(); at != index.end();)
        at = at->second % 50 ? index.erase(at) : ++at;
    if (argc > 1 && !strcmp(argv[1], "cured"))
        index.rehash(0);
    printf("entries %zu\n", index.size());
    printf("nodes %zu\n", index.size() * 24);
    printf("bytes %zu\n", index.bucket_count() * 8 + index.size() * 24);
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
