// What a C++ program does with maps all day, in about two seconds: it fills them, asks them, and
// drops them. Prints a sum, so that nothing is optimised away.
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

static uint64_t state = 7;
static uint64_t next_random() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// One large map that grows from nothing, and is asked five times as often as it is filled.
static uint64_t one_large_map() {
    std::unordered_map<uint64_t, uint64_t> squares;
    for (uint64_t i = 0; i < 800000; i++) {
        squares[i * 2654435761u] = i * i;
    }
    uint64_t sum = 0;
    for (int i = 0; i < 4000000; i++) {
        auto found = squares.find(next_random() % 1000000 * 2654435761u);
        sum += found == squares.end() ? 1 : found->second;
    }
    return sum;
}

// An index from words to the places where they stand.
static uint64_t words() {
    std::unordered_map<std::string, std::vector<uint32_t>> index;
    for (uint32_t place = 0; place < 1500000; place++) {
        uint64_t word = next_random() % (1 + next_random() % 100000);
        index["word-" + std::to_string(word)].push_back(place);
    }
    uint64_t sum = 0;
    for (const auto &[word, places] : index) {
        sum += word.size() * places.back();
    }
    return sum;
}

// Small sets that live as long as a request does.
static uint64_t requests() {
    uint64_t sum = 0;
    for (int request = 0; request < 20000; request++) {
        std::unordered_set<uint32_t> seen;
        for (int i = 0; i < 40; i++) {
            seen.insert(next_random() % 60);
        }
        sum += seen.size();
    }
    return sum;
}

// An ordered map in which old entries make room for new ones.
static uint64_t ordered() {
    std::map<uint64_t, uint64_t> latest;
    for (uint64_t i = 0; i < 400000; i++) {
        latest[next_random()] = i;
        if (latest.size() > 50000) {
            latest.erase(latest.begin());
        }
    }
    return latest.begin()->first;
}

int main() {
    printf("%llu\n", (unsigned long long)(one_large_map() + words() + requests() + ordered()));
    return 0;
}
