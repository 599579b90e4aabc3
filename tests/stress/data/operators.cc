// C++'s operators new and delete, edge by edge. Argument "limit": RLIMIT_DATA stands, so new must fail.
#include <dlfcn.h>
#include <sys/resource.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

static int failed;
#define CHECK(x) ((x) ? (void)0 : (void)(failed++, std::printf("line %d: %s\n", __LINE__, #x)))

static int handler_calls;
static void handler() {
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct alignas(256) wide {
    char c[256];
};
struct odd {
    int *counter;
    ~odd() { ++*counter; }
};

static size_t huge() { // no compiler may know it
    return std::getenv("PATH") ? SIZE_MAX / 2 - 100 : 1;
}

static void sizes() {
    for (size_t n = 0; n < 70000; n = n * 9 / 8 + 1) {
        char *p = static_cast<char *>(::operator new(n)), *q = new char[n + 1];
        CHECK(p && reinterpret_cast<uintptr_t>(p) % 16 == 0 && p != q);
        std::memset(p, 1, n);
        std::memset(q, 2, n + 1);
        CHECK(n == 0 || p[n - 1] == 1);
        ::operator delete(p, n);
        delete[] q;
    }
}

static void forms() {
    for (size_t align = 8; align <= 1 << 20; align *= 2) {
        std::align_val_t a{align};
        void *v[] = {::operator new(40, a), ::operator new[](40, a), ::operator new(40, a, std::nothrow),
                     ::operator new[](40, a, std::nothrow)};
        for (void *p : v)
            CHECK(p && reinterpret_cast<uintptr_t>(p) % align == 0);
        ::operator delete(v[0], a);
        ::operator delete[](v[1], 40, a);
        ::operator delete(v[2], a, std::nothrow);
        ::operator delete[](v[3], a, std::nothrow);
    }
    wide *w = new wide;
    CHECK(reinterpret_cast<uintptr_t>(w) % 256 == 0);
    delete w;
    int gone = 0;
    odd *o = new odd[5];
    for (int i = 0; i < 5; i++)
        o[i].counter = &gone;
    delete[] o;
    CHECK(gone == 5);
    ::operator delete(nullptr);
    ::operator delete(::operator new(10, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](10, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](10), 10);
}

static void no_memory() {
    int caught = 0;
    try {
        char *volatile p = new char[huge()];
        CHECK(!p);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    std::set_new_handler(handler);
    try {
        void *volatile p = ::operator new(huge());
        CHECK(!p);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    CHECK(handler_calls == 3);
    try {
        void *volatile p = ::operator new(huge(), std::align_val_t{64});
        CHECK(!p);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    CHECK(caught == 3);
    CHECK(!::operator new(huge(), std::nothrow));
    CHECK(!::operator new[](huge(), std::nothrow));
    CHECK(!::operator new(huge(), std::align_val_t{64}, std::nothrow));
}

int main() {
    sizes();
    forms();
    no_memory();
    Dl_info at;
    void *op = dlsym(RTLD_DEFAULT, "_Znwm");
    std::printf("%d failed, new from %s\n", failed, dladdr(op, &at) ? at.dli_fname : "?");
    return failed != 0;
}
