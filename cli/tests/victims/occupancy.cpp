// Fills hash tables of libstdc++, deletes from them, and says what is in them.

#include <cstdio>
#include <string>
#include <unordered_map>
#include <unordered_set>

template <class Table> __attribute__((noinline)) void say(const char *name, const Table &table) {
    size_t used = 0;
    for (size_t bucket = 0; bucket < table.bucket_count(); bucket++)
        used += table.bucket_size(bucket) > 0;
    printf("%s %zu %zu %zu\n", name, table.bucket_count(), used, table.size());
}

int main() {
    // Alive at the end.
    auto *numbers = new std::unordered_map<long, long>;
    for (long key = 0; key < 300000; key++)
        (*numbers)[key * 7919] = key;
    for (long key = 0; key < 300000; key += 3)
        numbers->erase(key * 7919);
    say("numbers", *numbers);
    auto *names = new std::unordered_set<std::string>;
    for (int key = 0; key < 50000; key++)
        names->insert("name " + std::to_string(key));
    say("names", *names);
    auto *emptied = new std::unordered_map<int, int>;
    for (int key = 0; key < 10000; key++)
        (*emptied)[key] = key;
    emptied->clear();
    say("emptied", *emptied);
}
