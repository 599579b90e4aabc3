/*
 * The malloc family edge by edge, as glibc 2.36 defines it: run it under LD_PRELOAD of an allocator
 * (and under none: then it checks glibc itself). Prints a line a failure and "ok N checks".
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned checks, failures;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        checks++;                                                                                  \
        if (!(cond)) {                                                                             \
            failures++;                                                                            \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
        }                                                                                          \
    } while (0)

/* Volatile, so that no compiler knows better. */
static volatile size_t huge = SIZE_MAX, odd = 24;

static int filled(const unsigned char *p, size_t n, unsigned char v) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != v)
            return 0;
    return 1;
}

static void sizes(void) {
    void *p = malloc(0), *q = malloc(0);
    CHECK(p && q && p != q);
    free(p);
    free(q);
    for (size_t n = 1; n < 3u << 20; n += n / 7 + 1) {
        unsigned char *a = malloc(n);
        CHECK(a && (uintptr_t)a % 16 == 0);
        CHECK(malloc_usable_size(a) >= n);
        memset(a, 0x5a, malloc_usable_size(a));
        unsigned char *z = calloc(n, 1);
        CHECK(z && filled(z, n, 0));
        memset(z, 0xff, malloc_usable_size(z));
        CHECK(filled(a, n, 0x5a));
        free(z);
        z = calloc(1, n);
        CHECK(z && filled(z, n, 0));
        free(z);
        free(a);
    }
}

static void overflow(void) {
    errno = 0;
    CHECK(!malloc(huge) && errno == ENOMEM);
    errno = 0;
    CHECK(!malloc(huge / 2 + 1) && errno == ENOMEM);
    errno = 0;
    CHECK(!calloc(huge / 2, 3) && errno == ENOMEM);
    errno = 0;
    CHECK(!reallocarray(NULL, huge / 2, 3) && errno == ENOMEM);
    errno = 0;
    CHECK(!pvalloc(huge) && errno == ENOMEM);
    errno = 0;
    CHECK(!memalign(4096, huge) && errno == ENOMEM);
    char *p = malloc(100);
    strcpy(p, "still here");
    errno = 0;
    CHECK(!realloc(p, huge) && errno == ENOMEM && !strcmp(p, "still here"));
    errno = 0;
    CHECK(!realloc(p, (size_t)1 << 46) && errno == ENOMEM && !strcmp(p, "still here"));
    free(p);
}

static void alignment(void) {
    for (size_t al = 1; al <= (size_t)1 << 30; al <<= 1) {
        for (size_t n = 0; n < 200000; n = n * 3 + 1) {
            unsigned char *p = memalign(al, n);
            CHECK(p && (uintptr_t)p % al == 0);
            if (!p)
                continue;
            memset(p, 0x77, n);
            CHECK(malloc_usable_size(p) >= n);
            p = realloc(p, n + 5000);
            CHECK(p && filled(p, n, 0x77));
            free(p);
        }
    }
    void *p = (void *)1;
    CHECK(posix_memalign(&p, odd / 8, 10) == EINVAL && p == (void *)1);
    CHECK(posix_memalign(&p, odd / 6, 10) == EINVAL && p == (void *)1);
    CHECK(posix_memalign(&p, odd - 24, 10) == EINVAL && p == (void *)1);
    CHECK(posix_memalign(&p, odd, 10) == EINVAL && p == (void *)1);
    CHECK(posix_memalign(&p, 64, huge / 2) == ENOMEM);
    CHECK(posix_memalign(&p, 64, 10) == 0 && (uintptr_t)p % 64 == 0);
    free(p);
    p = aligned_alloc(256, 300);
    CHECK(p && (uintptr_t)p % 256 == 0);
    free(p);
    p = memalign(odd * 2, 10); /* the next power of two */
    CHECK(p && (uintptr_t)p % 64 == 0);
    free(p);
    errno = 0;
    CHECK(!memalign(huge / 2 + 2, 10) && errno == EINVAL);
    p = valloc(10);
    CHECK(p && (uintptr_t)p % 4096 == 0);
    free(p);
    p = pvalloc(4097);
    CHECK(p && (uintptr_t)p % 4096 == 0 && malloc_usable_size(p) >= 8192);
    free(p);
}

static void reallocation(void) {
    for (size_t n = 1; n < 9u << 20; n += n / 3 + 1) {
        unsigned char *p = malloc(n);
        memset(p, 0x33, n);
        size_t m = n * 2 + 1;
        p = realloc(p, m);
        CHECK(p && filled(p, n, 0x33));
        memset(p, 0x44, m);
        p = realloc(p, n);
        CHECK(p && filled(p, n, 0x44));
        size_t k = n / 9 + 1;
        p = realloc(p, k);
        CHECK(p && filled(p, k < n ? k : n, 0x44));
        free(p);
    }
    unsigned char *grow = NULL;
    for (size_t n = 1; n < 40u << 20; n += n / 16 + 1) {
        grow = realloc(grow, n);
        CHECK(grow != NULL);
        grow[n - 1] = (unsigned char)n;
    }
    free(grow);
    CHECK(realloc(malloc(10), 0) == NULL);
    void *p = realloc(NULL, 10);
    CHECK(p);
    free(p);
    p = reallocarray(NULL, 10, 10);
    CHECK(p && malloc_usable_size(p) >= 100);
    free(p);
}

static void errno_kept(void) {
    for (size_t n = 1; n < 64u << 20; n *= 3) {
        void *p = malloc(n);
        errno = 1234;
        free(p);
        CHECK(errno == 1234);
    }
    errno = 1234;
    free(NULL);
    CHECK(errno == 1234);
    CHECK(malloc_usable_size(NULL) == 0);
    malloc_trim(0);
}

/* calloc after reuse and after purge: dirty the same sizes over and over. */
static void zeroes(void) {
    for (int round = 0; round < 4; round++) {
        for (size_t n = 50000; n < 4u << 20; n = n * 5 / 3) {
            unsigned char *p = malloc(n);
            memset(p, 0xee, malloc_usable_size(p));
            free(p);
            if (round & 1)
                malloc_trim(0);
            p = calloc(1, n);
            CHECK(filled(p, n, 0));
            free(p);
        }
    }
}

int main(void) {
    sizes();
    overflow();
    alignment();
    reallocation();
    errno_kept();
    zeroes();
    Dl_info where;
    void *(*volatile m)(size_t) = malloc;
    printf("%s %u checks, %u failed, malloc from %s\n", failures ? "FAILED" : "ok", checks,
           failures, dladdr((void *)m, &where) ? where.dli_fname : "?");
    return failures != 0;
}
