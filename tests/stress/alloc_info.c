/*
 * glibc's windows into malloc, as programs use them: mallinfo2, mallinfo, malloc_info,
 * malloc_stats, mallopt. Run it under LD_PRELOAD of libhakmem (and under none: then it checks
 * glibc, which keeps the same promises). Exits 0 if all holds. malloc_stats prints to stderr.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* The number after `key` in the part of the text that begins at `from`. */
static unsigned long long number(const char *from, const char *key) {
    const char *at = from ? strstr(from, key) : NULL;
    return at ? strtoull(at + strlen(key), NULL, 10) : ~0ull;
}

static int xml(unsigned long long live) {
    static char text[1 << 20];
    FILE *f = fmemopen(text, sizeof text, "w");
    CHECK(f && malloc_info(1, f) == EINVAL && malloc_info(0, f) == 0 && fclose(f) == 0);
    CHECK(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
    const char *end = strstr(text, "</malloc>");
    CHECK(end && strcmp(end, "</malloc>\n") == 0);
    const char *whole = strstr(text, "</heap>");
    CHECK(whole && number(whole, "<system type=\"current\" size=\"") >= live);
    CHECK(number(whole, "<aspace type=\"total\" size=\"") >= live);
    int open = 0; /* each element that is opened is closed */
    for (const char *p = text; (p = strchr(p, '<')); p++) {
        const char *q = strchr(p, '>');
        open += p[1] == '/' ? -1 : q[-1] == '/' ? 0 : 1;
        CHECK(open >= 0);
    }
    CHECK(open == 0);
    return 0;
}

int main(void) {
    enum { N = 3000, SIZE = 1000, LARGE = 5 << 20 };
    static void *p[N];
    struct mallinfo2 a = mallinfo2(), b;
    for (int i = 0; i < N; i++)
        p[i] = malloc(SIZE);
    void *large = malloc(LARGE);
    b = mallinfo2();
    CHECK(b.uordblks + b.hblkhd >= a.uordblks + a.hblkhd + (size_t)N * SIZE + LARGE);
    CHECK(b.hblks >= a.hblks + 1 && b.hblkhd >= a.hblkhd + LARGE);
    CHECK(b.arena + b.hblkhd >= (size_t)N * SIZE + LARGE);
    /* (deprecated, and still called) */
    struct mallinfo (*old)(void) = (struct mallinfo(*)(void))dlsym(RTLD_DEFAULT, "mallinfo");
    CHECK(old && (size_t)old().uordblks == mallinfo2().uordblks);
    if (xml((size_t)N * SIZE))
        return 1;
    malloc_stats();
    for (int i = 0; i < N; i++)
        free(p[i]);
    free(large);
    CHECK(mallinfo2().uordblks + N / 2 * SIZE < b.uordblks);
    CHECK(mallinfo2().hblks == a.hblks);
    CHECK(mallopt(M_MXFAST, 64) == 1 && mallopt(M_MXFAST, -1) == 0 && mallopt(M_MXFAST, 4096) == 0);
    CHECK(mallopt(M_MMAP_THRESHOLD, 65536) == 1 && mallopt(-4711, 0) == 1);
    CHECK(mallopt(M_TRIM_THRESHOLD, 65536) == 1);
    puts("ok");
    return 0;
}
