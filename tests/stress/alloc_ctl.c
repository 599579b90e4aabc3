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

static int (*ctl)(const char *, void *, size_t *, const void *, size_t);

static uint64_t stat_of(size_t offset) {
    struct hakmem_stats s;
    size_t n = sizeof s;
    if (ctl("stats", &s, &n, NULL, 0) != 0)
        abort();
    return *(const uint64_t *)(const void *)((const char *)&s + offset);
}

#define STAT(field) stat_of(offsetof(struct hakmem_stats, field))

/* What an older program knows of the struct, classes and threads as arrays, JSON. */
static int shapes(void) {
    struct hakmem_stats s;
    struct hakmem_class class[200];
    struct hakmem_thread thread[4];
    size_t first = offsetof(struct hakmem_stats, used_bytes), n = first, found = 0;
    memset(&s, 0x5a, sizeof s);
    CHECK(ctl("stats", &s, &n, NULL, 0) == 0 && n == first && s.size == sizeof s);
    CHECK(s.used_bytes == 0x5a5a5a5a5a5a5a5au);
    n = first - 1;
    CHECK(ctl("stats", &s, &n, NULL, 0) == ENOSPC && n == sizeof s);

    enum { BLOCKS = 5000 };
    static void *p[BLOCKS];
    n = sizeof class;
    CHECK(ctl("stats.classes", class, &n, NULL, 0) == 0);
    uint64_t before = 0, after = 0;
    for (size_t i = 0; i < n / sizeof class[0]; i++)
        before += class[i].block_bytes == 4096 ? class[i].used : 0;
    for (int i = 0; i < BLOCKS; i++)
        p[i] = malloc(4000);
    n = sizeof class;
    CHECK(ctl("stats.classes", class, &n, NULL, 0) == 0);
    for (size_t i = 0; i < n / sizeof class[0]; i++) {
        found += class[i].block_bytes == 4096;
        after += class[i].block_bytes == 4096 ? class[i].used : 0;
        CHECK(class[i].used + class[i].cached <= class[i].blocks);
    }
    CHECK(found == 1 && after == before + BLOCKS);
    n = sizeof class[0] - 1;
    CHECK(ctl("stats.classes", class, &n, NULL, 0) == ENOSPC && n >= sizeof class[0]);
    n = sizeof thread;
    CHECK(ctl("stats.threads", thread, &n, NULL, 0) == 0 && n == sizeof thread[0]);
    CHECK(thread[0].state == HAKMEM_THREAD_LIVE && thread[0].used_bytes >= BLOCKS * 4096u);
    for (int i = 0; i < BLOCKS; i++)
        free(p[i]);

    char *json = NULL;
    n = 0;
    CHECK(ctl("stats.json", &s, &n, NULL, 0) == ENOSPC && n > 500);
    n += 1000;
    json = malloc(n);
    CHECK(ctl("stats.json", json, &n, NULL, 0) == 0 && n == strlen(json) + 1);
    CHECK(json[0] == '{' && strstr(json, "\"classes\": [") && json[n - 2] == '\n');
    free(json);
    return 0;
}

static void burst(void) {
    void *p[16];
    for (int i = 0; i < 16; i++)
        memset(p[i] = malloc(1 << 20), 1, 1 << 20);
    for (int i = 0; i < 16; i++)
        free(p[i]);
}

/* The policy changes while the program runs. */
static int switches(void) {
    char text[128];
    size_t n = sizeof text;
    uint64_t had = STAT(policy_switches), calls;
    CHECK(ctl("policy", NULL, NULL, "never", 5) == 0);
    CHECK(ctl("policy", text, &n, "partial:7", 10) == 0 && strcmp(text, "never") == 0);
    n = sizeof text;
    CHECK(ctl("policy", text, &n, NULL, 0) == 0 && strcmp(text, "partial:n=7") == 0);
    CHECK(ctl("policy", NULL, NULL, "parcial:7", 9) == EINVAL);
    CHECK(ctl("policy", NULL, NULL, text, 0) == EINVAL);
    CHECK(ctl("policy", NULL, NULL, "never", 5) == 0 && STAT(policy_switches) == had + 3);
    calls = STAT(release_calls);
    burst();
    CHECK(STAT(release_calls) == calls && STAT(dirty_bytes) >= 16u << 20);
    CHECK(ctl("policy", NULL, NULL, "eager", 5) == 0); /* what is dirty goes at the switch */
    CHECK(STAT(release_calls) > calls && STAT(dirty_bytes) == 0);
    calls = STAT(release_calls);
    burst();
    CHECK(STAT(release_calls) >= calls + 16 && STAT(dirty_bytes) == 0);
    return 0;
}

int main(int argc, char **argv) {
    ctl = (int (*)(const char *, void *, size_t *, const void *, size_t))dlsym(RTLD_DEFAULT,
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
    CHECK(ctl(NULL, text, &n, NULL, 0) == EINVAL);
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
    CHECK(b.version == HAKMEM_STATS_VERSION && b.used_bytes <= b.active_bytes);
    CHECK(b.large_objects >= N && b.large_bytes >= (uint64_t)N * BYTES);
    CHECK(mallinfo2().uordblks == b.used_bytes && mallinfo2().hblkhd == b.large_bytes);
    for (int i = 0; i < N; i++)
        free(p[i]);
    CHECK(ctl("trim", NULL, NULL, NULL, 0) == 0);
    CHECK(ctl("stats", &b, &n, NULL, 0) == 0);
    CHECK(b.active_bytes <= a.active_bytes && b.dirty_bytes == 0);
    CHECK(b.released_bytes >= (uint64_t)N * BYTES && b.release_failures == 0);
    CHECK(shapes() == 0 && switches() == 0);
    puts("ok");
    return 0;
}
