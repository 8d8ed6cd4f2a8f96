// Goes on until its standard input ends.
#include <unistd.h>

int main() {
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
