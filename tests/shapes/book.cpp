// Quotes that a class appends one by one, in a member function of a template.
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <vector>

template <class Quote> class Book {
public:
    std::vector<Quote> quotes;
    long count = 0;
    __attribute__((noinline)) void on(const Quote &quote) {
        quotes.push_back(quote); // HERE
        count++; // Else the call would be a jump, which leaves no frame behind.
    }
};

struct Quote {
    long time;
    double bid, ask;
    int venue;
};

int main(int argc, char **argv) {
    Book<Quote> book;
    if (argc > 1 && !strcmp(argv[1], "cured"))
        book.quotes.reserve(1 << 20);
    for (int i = 0; i < 1 << 20; i++)
        book.on({i, 1.0, 2.0, i % 7});
    printf("bytes %zu\n", book.quotes.capacity() * sizeof(Quote));
    printf("ready %d\n", getpid());
    fflush(stdout);
    return getchar() == 'x';
}
