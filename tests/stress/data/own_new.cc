// A program's own operators stand above those of a preloaded library.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

static int news, deletes;
void *operator new(size_t n) {
    news++;
    return std::malloc(n);
}
void operator delete(void *p) noexcept {
    deletes++;
    std::free(p);
}
void operator delete(void *p, size_t) noexcept {
    deletes++;
    std::free(p);
}

int main() {
    { std::string s(1000, 'x'), t = s + s; }
    std::printf("%d %d\n", news, deletes);
    return news >= 2 && news == deletes ? 0 : 1;
}
