/*
 * Reads libhakmem through hakmem_ctl, as a program would. Usage: alloc_ctl POLICY: exits 0 if the
 * policy in force is POLICY, its counts are sane, and a burst of large blocks moves them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc/hakmem.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int main(int argc, char **argv) {
    int (*ctl)(const char *, void *, size_t *, const void *, size_t) =
        (int (*)(const char *, void *, size_t *, const void *, size_t))dlsym(RTLD_DEFAULT,
                                                                             "hakmem_ctl");
    char text[128];
    size_t n = sizeof text;
    struct hakmem_stats a, b;
    CHECK(argc == 2 && ctl);
    CHECK(ctl("policy", text, &n, NULL, 0) == 0 && n == strlen(text) + 1);
    if (strcmp(text, argv[1]) != 0) {
        printf("FAILED: the policy is %s, not %s\n", text, argv[1]);
        return 1;
    }
    n = 1;
    CHECK(ctl("policy", text, &n, NULL, 0) == ENOSPC && n == strlen(argv[1]) + 1);
    CHECK(ctl("no such name", text, &n, NULL, 0) == ENOENT);
    CHECK(ctl("clock", NULL, NULL, text, 3) == EINVAL);
    n = sizeof a;
    CHECK(ctl("stats", &a, &n, NULL, 0) == 0 && n == sizeof a && a.size == sizeof a);
    enum { N = 64, BYTES = 1 << 20 };
    void *p[N];
    for (int i = 0; i < N; i++)
        memset(p[i] = malloc(BYTES), 1, BYTES);
    n = sizeof b;
    CHECK(ctl("stats", &b, &n, NULL, 0) == 0);
    CHECK(b.active_bytes >= a.active_bytes + (uint64_t)N * BYTES);
    CHECK(mallinfo2().uordblks == b.active_bytes);
    for (int i = 0; i < N; i++)
        free(p[i]);
    CHECK(ctl("trim", NULL, NULL, NULL, 0) == 0);
    CHECK(ctl("stats", &b, &n, NULL, 0) == 0);
    CHECK(b.active_bytes <= a.active_bytes && b.dirty_bytes == 0);
    CHECK(b.released_bytes >= (uint64_t)N * BYTES && b.release_failures == 0);
    puts("ok");
    return 0;
}
