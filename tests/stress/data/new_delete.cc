// Every operator new and delete of C++17, a known number of times, and (without an argument) an
// exception from a new that fails. Prints what a trace of it must hold, as trace_check does (marks: see trace_check.c).
#include <cstdio>
#include <cstdlib>
#include <new>

static const int n = 500;

static void *volatile keep;
static void *made(void *p) {
    keep = p; // or the compiler leaves new and delete out
    return keep;
}

int main(int argc, char **) {
    const std::align_val_t align{8}; // libstdc++ rounds the size up to a multiple of it
    int thrown = 0;
    for (int i = 0; i < n; i++) {
        operator delete(made(operator new(3108)));
        operator delete[](made(operator new[](3308)));
        operator delete(made(operator new(3508, std::nothrow)), std::nothrow);
        operator delete[](made(operator new[](3708, std::nothrow)), std::nothrow);
        operator delete(made(operator new(3008, align)), align);
        operator delete[](made(operator new[](3208, align)), align);
        operator delete(made(operator new(3408, align, std::nothrow)), align, std::nothrow);
        operator delete[](made(operator new[](3608, align, std::nothrow)), align, std::nothrow);
        operator delete(made(operator new(3108)), std::size_t{3108});
        operator delete[](made(operator new[](3308)), std::size_t{3308});
        operator delete(made(operator new(3008, align)), std::size_t{3008}, align);
        operator delete[](made(operator new[](3208, align)), std::size_t{3208}, align);
        operator delete(made(nullptr));
        free(made(malloc(3908)));
    }
    try {
        if (argc > 1) // mimalloc built as C ends the program here
            throw std::bad_alloc();
        made(operator new(static_cast<std::size_t>(-1) / 4));
    } catch (const std::bad_alloc &) {
        thrown++;
    }
    if (thrown != 1)
        return 1;
    static const int twice[8] = {1, 1, 1, 1, 0, 0, 0, 0}; // made by two of the lines above
    for (int kind = 0; kind < 8; kind++) {
        const int size = 3008 + 100 * kind, count = n * (1 + twice[kind]);
        std::printf("8 %s %d %d\n8 free %d %d\n", kind % 2 ? "malloc" : "aligned_alloc", size, count, size, count);
    }
    std::printf("8 malloc 3908 %d\n8 free 3908 %d\n", n, n);
    return 0;
}
