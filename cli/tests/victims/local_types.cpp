// Containers of types that no other object can name: their functions have no mangled names in the
// debug information.
#include <string>
#include <unordered_map>
#include <vector>

namespace {
struct Row {
    long a, b;
    std::string text;
};

__attribute__((noinline)) void fill(std::vector<Row> &rows, int count) {
    for (int i = 0; i < count; i++) {
        rows.push_back(Row{i, i, ""});
    }
}
} // namespace

__attribute__((noinline)) static size_t count_all(int count) {
    struct Entry {
        int x, y;
    };
    std::unordered_map<std::string, Entry> entries;
    for (int i = 0; i < count; i++) {
        entries[std::to_string(i)] = Entry{i, i};
    }
    return entries.size();
}

int main() {
    std::vector<Row> rows;
    fill(rows, 5000);
    return count_all(5000) + rows.size() == 10000 ? 0 : 1;
}
