// Exports the names by which an interpreter is known, and keeps frames where version 3.13 keeps its
// own: of no functions at all, at addresses where nothing is, in the dead part of the stack. Nothing
// of that may be believed: blocks are allocated all the same, and errno stays what it was.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern "C" {
extern const unsigned long Py_Version;
const unsigned long Py_Version = 0x030d00f0;
char PyCode_Type[512], PyUnicode_Type[512], PyBytes_Type[512];
static uint64_t state[64];
void *PyThreadState_GetUnchecked() { return state; }
void *PyGILState_GetThisThreadState() { return state; }
}

// A frame: what it runs, the one that called it, ..., where in the code it is.
struct Frame {
    uint64_t words[16];
};

static Frame *frame(uint64_t code, uint64_t previous) {
    Frame *made = static_cast<Frame *>(std::calloc(1, sizeof(Frame)));
    made->words[0] = code;
    made->words[1] = previous;
    return made;
}

static uint64_t address(const void *of) { return reinterpret_cast<uint64_t>(of); }

// Code whose type is right and whose texts are not.
static uint64_t hollow_code(uint64_t text) {
    uint64_t *code = static_cast<uint64_t *>(std::calloc(64, 8));
    code[1] = address(PyCode_Type);
    code[14] = code[16] = code[17] = text;
    return address(code);
}

__attribute__((noinline)) static int allocate(uint64_t innermost) {
    state[9] = innermost;
    int changed = 0;
    for (int i = 0; i < 40; i++) {
        errno = 0;
        void *volatile block = std::malloc(3000 + 64 * i);
        std::free(block);
        changed += errno != 0;
    }
    state[9] = 0;
    return changed;
}

// The address of what is not there any more when the caller has it.
__attribute__((noinline)) static uint64_t dead_frame() {
    volatile Frame local;
    for (auto &word : local.words) word = 0x414141414140;
    return address(const_cast<Frame *>(&local));
}

int main() {
    const uint64_t nowhere = 0x10000, odd = 0x10001;
    int changed = 0;
    // Frames that are no function's, a ring of them, and none.
    Frame *foreign = frame(address(state), 0);
    changed += allocate(address(foreign));
    foreign->words[1] = address(foreign);
    changed += allocate(address(foreign));
    changed += allocate(nowhere) + allocate(odd) + allocate(dead_frame());
    // Functions of code that has no texts.
    for (uint64_t text : {uint64_t(0), nowhere, odd, address(state)}) {
        Frame *hollow = frame(hollow_code(text), 0);
        changed += allocate(address(hollow));
        hollow->words[1] = address(hollow);
        changed += allocate(address(hollow));
        hollow->words[1] = dead_frame();
        changed += allocate(address(hollow));
        hollow->words[1] = nowhere;
        changed += allocate(address(hollow));
    }
    std::printf("ok, errno changed %d times\n", changed);
}
