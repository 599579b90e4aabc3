/*
 * What asks for huge pages, under the policies' key huge=, and what does not. This program brings
 * its own os.h functions, so libhakos is not linked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "alloc/classes.h"
#include "alloc/heap.h"
#include "alloc/os.h"
#include "alloc/spans.h"
#include "tests/unit/os_fake.h"

#define SUPER ((size_t)2 << 20)
#define MIB   ((size_t)1 << 20)

enum { MOST = 1000 };
static struct {
    char *p;
    size_t bytes;
} asked[MOST];
static unsigned nasked;
static bool merge;        /* what follows on the last one is one with it */
static bool slow, refuse; /* what the system says */
static unsigned ntried;

bool hak_os_huge_try(void *p) {
    ntried++;
    assert_true(nasked > 0 && (merge || p == asked[nasked - 1].p));
    return !slow;
}

int hak_os_huge(void *p, size_t bytes) {
    if (refuse)
        return EBUSY;
    if (merge && nasked > 0 && p == asked[nasked - 1].p + asked[nasked - 1].bytes) {
        asked[nasked - 1].bytes += bytes;
        return 0;
    }
    if (nasked < MOST) {
        asked[nasked].p = p;
        asked[nasked].bytes = bytes;
    }
    nasked++;
    return 0;
}

int hak_os_reserve(size_t bytes, size_t align, void **out) {
    return os_fake_reserve(bytes, align, out);
}

int hak_os_commit(void *p, size_t bytes) {
    return mprotect(p, bytes, PROT_READ | PROT_WRITE) ? errno : 0;
}

int hak_os_purge(void *p, size_t bytes, bool lazy) {
    return madvise(p, bytes, lazy ? MADV_FREE : MADV_DONTNEED) ? errno : 0;
}

int hak_os_unmap(void *p, size_t bytes) {
    (void)p, (void)bytes;
    return ENOTSUP;
}

int hak_os_map(void *p, size_t bytes) {
    (void)p, (void)bytes;
    return ENOTSUP;
}

int hak_os_release(void *p, size_t bytes) {
    return munmap(p, bytes) ? errno : 0;
}

int hak_os_populate(void *p, size_t bytes) {
    (void)p, (void)bytes;
    return 0;
}

static int move_fails = ENOTSUP;

int hak_os_move(void *from, void *to, size_t bytes) {
    (void)from, (void)to, (void)bytes;
    return move_fails;
}

uint64_t hak_os_now(void) {
    return 0;
}

static void begin(const char *policy) {
    struct hakp_spec spec;
    assert_int_equal(hakp_parse(policy, &spec, NULL, 0), 0);
    assert_int_equal(hak_core_init(&spec), 0);
}

static void fill(struct hak_heap *h, size_t bytes) {
    for (size_t i = 0; i < bytes / 512; i++)
        assert_non_null(hak_heap_alloc(h, 512));
}

#define SLAB ((size_t)1 << HAK_UNIT_SHIFT)

/* The same, a slab of each of 32 classes in turn. */
static void fill_mixed(struct hak_heap *h, size_t bytes) {
    for (size_t n = 0; n < bytes / SLAB; n++) {
        size_t size = hak_class_size(HAK_LINEAR_CLASSES + 1 + n % 32);
        for (size_t i = 0; i < SLAB / size; i++)
            assert_non_null(hak_heap_alloc(h, size));
    }
}

/* Each test in a process of its own: the core begins once. */
static void apart(void (*test)(void)) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        test();
        _exit(0);
    }
    assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void slabs(void) {
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new(), *other = hak_heap_new();
    fill_mixed(h, 7 * MIB);
    assert_int_equal(nasked, 0);
    fill_mixed(h, 24 * MIB);
    assert_in_range(nasked, 8, 13);
    for (unsigned i = 0; i < nasked; i++) {
        assert_int_equal((uintptr_t)asked[i].p % SUPER, 0);
        assert_int_equal(asked[i].bytes, SUPER);
        assert_true(i == 0 || asked[i].p != asked[i - 1].p);
    }
    unsigned before = nasked; /* all heaps take theirs from the same SuperSlabs */
    fill(other, 5 * MIB);
    assert_in_range(nasked, before + 2, before + 3);
}

/* Few size classes leave little idle in a SuperSlab, and have a quarter of that to hold. */
static void slabs_of_few(void) {
    begin("never:huge=16MiB");
    struct hak_heap *h = hak_heap_new();
    fill(h, 3 * MIB);
    assert_int_equal(nasked, 0);
    fill(h, 8 * MIB);
    assert_in_range(nasked, 3, 4);
    unsigned before = nasked;
    fill_mixed(h, 4 * MIB - 1); /* the first of these SuperSlabs follows one of few */
    assert_in_range(nasked, before, before + 1);
}

static bool overlap(const char *p, size_t bytes, unsigned k) {
    return p < asked[k].p + asked[k].bytes && asked[k].p < p + bytes;
}

static void objects(void) { /* they ask for what fills whole pages, and nothing lies between */
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    fill(h, 10 * MIB);
    assert_non_null(hak_heap_alloc(h, 3 * MIB)); /* what does not ask, behind the SuperSlabs */
    merge = true;
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = nasked;
        size_t size = 4 * MIB + i * MIB / 3;
        char *p = hak_heap_alloc(h, size), *q = hak_heap_alloc(h, 40000),
             *r = hak_heap_alloc(h, 3 * MIB);
        assert_true(p && q && r);
        assert_int_equal(nasked, before + 1);
        assert_int_equal((uintptr_t)asked[before].p % SUPER, 0);
        assert_int_equal(asked[before].bytes % SUPER, 0);
        assert_true(asked[before].p >= p && asked[before].p < p + SUPER);
        assert_true(asked[before].p + asked[before].bytes <= p + size);
        assert_true(asked[before].p + asked[before].bytes > p + size - SUPER);
        for (unsigned k = 0; k < nasked; k++)
            assert_true(!overlap(q, 40000, k) && !overlap(r, 3 * MIB, k) &&
                        (k == before || !overlap(p, size, k)));
    }
}

static void objects_again(void) { /* an address asks once; growth asks for what is new */
    begin("never:huge=32MiB");
    merge = true;
    struct hak_heap *h = hak_heap_new();
    assert_non_null(hak_heap_alloc(h, 5 * MIB)); /* the process holds too little */
    assert_int_equal(nasked, 0);
    char *p = hak_heap_alloc(h, 20 * MIB);
    assert_int_equal(nasked, 1);
    hak_heap_free(h, p);
    assert_ptr_equal(hak_heap_alloc(h, 20 * MIB), p);
    assert_int_equal(nasked, 1);
    char *moved = hak_heap_realloc(h, p, 30 * MIB), *end;
    assert_int_equal(nasked, 2);
    end = asked[1].p + asked[1].bytes;
    assert_ptr_equal(hak_heap_realloc(h, moved, 40 * MIB), moved);
    assert_int_equal(nasked, 2);
    assert_true(asked[1].p + asked[1].bytes > end + 8 * MIB);
}

/* Where the first huge page of an object comes slowly, the others are not asked for; where the
 * system refuses, none is, and none is counted. */
static void objects_slow(void) {
    struct hak_core_stats stats;
    begin("eager:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    slow = true;
    char *p = hak_heap_alloc(h, 20 * MIB), *q;
    assert_int_equal(nasked, 1);
    assert_int_equal(asked[0].bytes, SUPER);
    slow = false; /* the next time the rest is asked for */
    hak_heap_free(h, p);
    assert_ptr_equal(hak_heap_alloc(h, 20 * MIB), p);
    assert_int_equal(nasked, 3);
    assert_ptr_equal(asked[1].p, asked[0].p + SUPER);
    assert_ptr_equal(asked[2].p, asked[1].p + SUPER);
    refuse = true;
    q = hak_heap_alloc(h, 20 * MIB);
    fill(h, 40 * MIB);
    assert_int_equal(nasked, 3);
    hak_heap_free(h, q);
    hak_core_stats(&stats);
    uint64_t before = stats.released_pages;
    q = hak_heap_alloc(h, 18 * MIB - 4096);
    hak_heap_free(h, q);
    hak_core_stats(&stats);
    assert_int_equal(stats.released_pages - before, (18 * MIB - 4096) / 4096);
}

/* However often it refuses, nothing is used up. */
static void objects_refused(void) {
    begin("eager:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    merge = refuse = true;
    for (unsigned i = 0; i < 10000; i++)
        hak_heap_free(h, hak_heap_alloc(h, 20 * MIB));
    assert_int_equal(nasked, 0);
    refuse = false;
    assert_non_null(hak_heap_alloc(h, 20 * MIB));
    assert_int_equal(nasked, 1);
}

/* What an earlier object left in memory says nothing of how quickly huge pages come. */
static void objects_dirty(void) {
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    slow = true;
    char *p = hak_heap_alloc(h, 20 * MIB);
    assert_true(nasked == 1 && ntried == 1);
    hak_heap_free(h, p);
    assert_ptr_equal(hak_heap_alloc(h, 20 * MIB), p);
    assert_int_equal(ntried, 1);
    assert_true(asked[nasked - 1].p + asked[nasked - 1].bytes > p + 18 * MIB);
}

/* A move that fails may leave a mapping that was not asked for. */
static void objects_unmoved(void) {
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    merge = true;
    char *p = hak_heap_alloc(h, 20 * MIB);
    assert_non_null(hak_heap_alloc(h, 3 * MIB)); /* what does not ask, between the two */
    assert_int_equal(nasked, 1);
    move_fails = EFAULT;
    assert_ptr_not_equal(hak_heap_realloc(h, p, 30 * MIB), p);
    assert_int_equal(nasked, 3);
    assert_ptr_equal(asked[2].p, asked[1].p);
    assert_int_equal(asked[2].bytes, asked[1].bytes);
}

/* A smaller object in a span that has asked ends within a huge page, all of which comes in. */
static void objects_counted(void) {
    struct hak_core_stats stats;
    begin("eager:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    char *p = hak_heap_alloc(h, 20 * MIB);
    size_t bytes = 18 * MIB - 4096,
           end = ((uintptr_t)p + bytes + SUPER - 1) / SUPER * SUPER - (uintptr_t)p;
    hak_heap_free(h, p);
    hak_core_stats(&stats);
    uint64_t before = stats.released_pages;
    assert_int_equal(before, 20 * MIB / 4096);
    assert_ptr_equal(hak_heap_alloc(h, bytes), p);
    hak_heap_free(h, p);
    hak_core_stats(&stats);
    assert_int_equal(stats.released_pages - before, (end <= 20 * MIB ? end : bytes) / 4096);
}

static void counted(void) { /* a huge page's slabs may be resident from end to end */
    struct hak_core_stats stats;
    static void *p[40 * MIB / 512];
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++)
        p[i] = hak_heap_alloc(h, 512);
    void *last = hak_heap_alloc(h, 1024); /* touches one page of its slab */
    uint64_t pages = (uint64_t)nasked * SUPER / 4096;
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++)
        hak_heap_free(h, p[i]);
    hak_heap_free(h, last);
    hak_core_trim(h);
    hak_core_stats(&stats);
    assert_in_range(stats.released_pages, 40 * MIB / 4096, 40 * MIB / 4096 + pages);
    assert_true(stats.released_pages > 40 * MIB / 4096 + 10); /* the last slab's other pages */
}

static void filled_anew(void) { /* trim gives back what the kernel has put back */
    static char *p[40 * MIB / 512];
    size_t n = sizeof p / sizeof p[0];
    begin("never:huge=8MiB");
    struct hak_heap *h = hak_heap_new();
    for (size_t i = 0; i < n; i++)
        p[i] = hak_heap_alloc(h, 512);
    for (size_t i = 0; i < n; i++)
        hak_heap_free(h, p[i]);
    hak_core_trim(h);
    char *late = p[n - 1000];
    *late = 1; /* in the kernel's place */
    hak_core_trim(h);
    assert_int_equal(*late, 0);
}

static void without(void) {
    begin("never");
    struct hak_heap *h = hak_heap_new();
    fill(h, 40 * MIB);
    assert_non_null(hak_heap_alloc(h, 40 * MIB));
    assert_int_equal(nasked, 0);
}

static void count_beyond(void *ctx, enum hak_span_event ev, const struct hak_span *span,
                         uint32_t pages) {
    (void)ev, (void)pages;
    if (span && span->used_pages > ((uint64_t)span->units << HAK_UNIT_SHIFT) / hak_os_page_size())
        ++*(unsigned *)ctx;
}

/* What a large object's span holds ends with the span: giving it back leaves the blocks behind it
 * alone. Once a rounding up to huge pages did not. */
static void neighbours(void) {
    static unsigned beyond;
    static unsigned char *small[1000];
    const unsigned n = sizeof small / sizeof small[0];
    hak_core_observe(count_beyond, &beyond);
    begin("eager:huge=1B");
    struct hak_heap *h = hak_heap_new();
    for (size_t size = MIB; size <= 16 * MIB; size += MIB / 4) {
        void *large = hak_heap_alloc(h, size);
        assert_non_null(large);
        for (unsigned i = 0; i < n; i++) {
            small[i] = hak_heap_alloc(h, 1000);
            assert_non_null(small[i]);
            memset(small[i], (int)(i % 255 + 1), 1000);
        }
        hak_heap_free(h, large);
        for (unsigned i = 0; i < n; i++)
            assert_true(small[i][0] == i % 255 + 1 && small[i][999] == i % 255 + 1);
    }
    assert_int_equal(beyond, 0);
}

#define APART(test)                                                                                \
    static void test_##test(void **state) {                                                        \
        (void)state;                                                                               \
        apart(test);                                                                               \
    }

APART(slabs)
APART(slabs_of_few)
APART(objects)
APART(objects_again)
APART(objects_slow)
APART(objects_refused)
APART(objects_dirty)
APART(objects_unmoved)
APART(objects_counted)
APART(counted)
APART(filled_anew)
APART(without)
APART(neighbours)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabs),           cmocka_unit_test(test_slabs_of_few),
        cmocka_unit_test(test_objects),         cmocka_unit_test(test_objects_again),
        cmocka_unit_test(test_objects_slow),    cmocka_unit_test(test_objects_refused),
        cmocka_unit_test(test_objects_dirty),   cmocka_unit_test(test_objects_unmoved),
        cmocka_unit_test(test_objects_counted), cmocka_unit_test(test_counted),
        cmocka_unit_test(test_without),         cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_filled_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
