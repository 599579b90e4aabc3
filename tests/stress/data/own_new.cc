// A program's own plain operators stand above a preloaded library's, and the forms that it leaves out
// (array, sized, nothrow) call them, as the standard says: each block has a header here.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

static const uint64_t mark = 0x1234567890abcdef;
static int live;
void *operator new(std::size_t n) {
    uint64_t *p = static_cast<uint64_t *>(std::malloc(n + 16));
    if (!p)
        throw std::bad_alloc();
    p[0] = mark;
    live++;
    return p + 2;
}
void operator delete(void *p) noexcept {
    if (!p)
        return;
    uint64_t *head = static_cast<uint64_t *>(p) - 2;
    if (head[0] != mark)
        std::abort();
    live--;
    std::free(head);
}

struct point {
    int x[7];
};

int main() {
    point *one = new point, *many = new point[30], *quiet = new (std::nothrow) point[3];
    int made = live;
    delete one;
    delete[] many;
    ::operator delete[](quiet, std::nothrow);
    { std::string s(1000, 'x'), t = s + s; }
    std::printf("%d made, %d left\n", made, live);
    return made == 3 && live == 0 ? 0 : 1;
}
