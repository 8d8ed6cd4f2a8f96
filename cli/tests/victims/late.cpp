// Allocates nothing large for a while, and then grows a vector.
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

int main() {
    free(malloc(16));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::vector<long> grown;
    for (long i = 0; i < 10000; i++) {
        grown.push_back(i);
    }
    return grown.size() == 10000 ? 0 : 1;
}
