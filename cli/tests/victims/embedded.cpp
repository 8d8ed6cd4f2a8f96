// A program with an interpreter in it, which ends in the middle: the program goes on and fills a map.
#include <Python.h>

#include <cstdio>
#include <unordered_map>

static std::unordered_map<long, long> *later;

int main() {
    Py_Initialize();
    PyRun_SimpleString("D = {i: i for i in range(200000)}");
    Py_FinalizeEx();
    later = new std::unordered_map<long, long>;
    for (long i = 0; i < 500000; i++) (*later)[i] = i;
    std::printf("%zu\n", later->bucket_count());
}
