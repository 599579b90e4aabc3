/* The allocator's core: placement, reuse, caches, remote frees, retirement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "alloc/internal.h"

static void use_policy(const char *text) {
    struct hakp_spec spec;
    assert_int_equal(hakp_parse(text, &spec, NULL, 0), 0);
    assert_int_equal(hak_core_init(&spec), 0);
}

static struct hak_core_stats stats(void) {
    struct hak_core_stats s;
    hak_core_stats(&s);
    return s;
}

/* Every size has the smallest class that holds it, and the spacing keeps its promise. */
static void classes_fit(void **state) {
    (void)state;
    for (size_t n = 1; n <= HAK_MEDIUM_MAX; n++) {
        unsigned c = hak_class_of(n);
        assert_in_range(c, 1, HAK_CLASSES - 1);
        assert_true(hak_class_size(c) >= n);
        if (c > 1)
            assert_true(hak_class_size(c - 1) < n);
        assert_int_equal(hak_class_of(hak_class_size(c)), c);
        if (n > 128)
            assert_true((hak_class_size(c) - n) * 8 < n);
    }
}

static void last_freed_is_first_reused(void **state) {
    struct hak_heap *h = *state;
    void *a = hak_heap_alloc(h, 100), *b = hak_heap_alloc(h, 100);
    hak_heap_free(h, a);
    hak_heap_free(h, b);
    assert_ptr_equal(hak_heap_alloc(h, 100), b);
    assert_ptr_equal(hak_heap_alloc(h, 100), a);
    hak_heap_free(h, a);
    hak_heap_free(h, b);
}

/* What one class gives back, another takes: the fault of 2025, where freed slabs were lost and the
 * pool ran dry, shows as committed space that grows with the rounds. */
static void pool_never_runs_dry(void **state) {
    struct hak_heap *h = *state;
    enum { N = 20000 };
    static void *p[N];
    uint64_t after_first = 0;
    for (unsigned round = 0; round < 60; round++) {
        size_t size = 16 + round % 20 * 50;
        for (unsigned i = 0; i < N; i++)
            assert_non_null(p[i] = hak_heap_alloc(h, i % 2 ? size : 1000));
        for (unsigned i = 0; i < N; i++)
            hak_heap_free(h, p[i]);
        if (round == 20)
            after_first = stats().committed_bytes;
    }
    assert_int_equal(stats().committed_bytes, after_first);
    assert_true(stats().released_spans == 0);
    hak_core_trim(h);
    assert_int_equal(stats().active_pages, 0);
}

static void eager_leaves_nothing_dirty(void **state) {
    struct hak_heap *h = *state;
    use_policy("eager");
    void *p[200];
    for (unsigned i = 0; i < 200; i++)
        p[i] = hak_heap_alloc(h, 30000 + i * 1000);
    for (unsigned i = 0; i < 200; i++)
        hak_heap_free(h, p[i]);
    hak_core_trim(h);
    struct hak_core_stats s = stats();
    assert_int_equal(s.dirty_pages, 0);
    assert_true(s.released_pages > 200 * 8);
    assert_true(s.release_calls > 0 && s.release_failures == 0);
}

/* A heap's blocks freed through another heap: its owner gets them back, in any order. */
static void remote_frees_come_home(void **state) {
    struct hak_heap *a = *state, *b = hak_heap_new();
    assert_non_null(b);
    enum { N = 5000 };
    static void *p[N];
    for (unsigned i = 0; i < N; i++)
        p[i] = hak_heap_alloc(a, 48 + i % 3 * 500);
    uint64_t committed = stats().committed_bytes;
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < N; i++)
            hak_heap_free(b, p[(i * 7919) % N]);
        for (unsigned i = 0; i < N; i++)
            p[i] = hak_heap_alloc(a, 48 + i % 3 * 500);
    }
    assert_true(stats().committed_bytes <= committed + HAK_SUPER);
    for (unsigned i = 0; i < N; i++)
        hak_heap_free(b, p[i]);
    hak_heap_retire(b);
    hak_core_trim(a);
    assert_int_equal(stats().active_pages, 0);
}

/* The slabs of a heap that retired serve others, also while blocks of it are still in use. */
static void retired_heaps_are_taken_over(void **state) {
    struct hak_heap *a = *state, *b = hak_heap_new();
    void *keep[64], *p[64];
    for (unsigned i = 0; i < 64; i++) {
        keep[i] = hak_heap_alloc(b, 5000);
        memset(keep[i], 7, 5000);
    }
    hak_heap_free(b, keep[0]);
    hak_heap_retire(b);
    uint64_t active = stats().active_pages;
    p[0] = hak_heap_alloc(a, 5000);
    assert_ptr_equal(p[0], keep[0]);
    assert_int_equal(stats().active_pages, active);
    for (unsigned i = 1; i < 64; i++) {
        assert_int_equal(((char *)keep[i])[4999], 7);
        hak_heap_free(a, keep[i]);
    }
    hak_heap_free(a, p[0]);
    b = hak_heap_new(); /* the same heap again */
    assert_int_equal(stats().retired_heaps, 0);
    hak_core_trim(b);
    hak_core_trim(a);
    hak_heap_retire(b);
    assert_int_equal(stats().active_pages, 0);
}

/* What others free of a heap that retired goes to the pool as it becomes empty: no new thread, no
 * refill and no trim is needed. */
static void freed_after_the_thread(void **state) {
    enum { N = 600 };
    struct hak_heap *a = *state, *b = hak_heap_new();
    static void *p[N];
    for (unsigned i = 0; i < N; i++)
        p[i] = hak_heap_alloc(b, 5000);
    hak_heap_retire(b);
    uint64_t active = stats().active_pages;
    for (unsigned i = 0; i < N; i++)
        hak_heap_free(a, p[i]);
    assert_true(stats().active_pages < active / 8); /* what is left is on a's lists */
    hak_core_trim(a);
    assert_int_equal(stats().active_pages, 0);
    assert_int_equal(stats().retired_heaps, 1);
    hak_heap_new();
}

/* A slab that has free blocks stays with its dead thread's heap, whose successor will want them;
 * the block that others free there goes back to it all the same, and the last one frees the slab.
 */
static void freed_into_a_dead_threads_slab(void **state) {
    struct hak_heap *a = *state, *b = hak_heap_new();
    void *p[3];
    for (unsigned i = 0; i < 3; i++)
        p[i] = hak_heap_alloc(b, 4500);
    hak_heap_retire(b); /* the slab is not full */
    struct hak_slab *s = hak_slab_lookup(p[0]);
    uint64_t active = stats().active_pages;
    hak_heap_free(a, p[0]);
    hak_heap_free(a, p[1]);
    assert_ptr_equal(hak_slab_owner(s), b);
    assert_int_equal(stats().active_pages, active);
    b = hak_heap_new();
    void *again = hak_heap_alloc(b, 4500);
    assert_true(again == p[0] || again == p[1]);
    hak_heap_free(b, again);
    hak_heap_retire(b);
    hak_heap_free(a, p[2]);
    assert_true(stats().active_pages < active);
    assert_int_equal(s->use, HAK_UNIT_FREE);
    hak_heap_new();
}

/* A free span serves an object of a quarter of its size, and none much smaller. */
static void near_spans_serve(void **state) {
    struct hak_heap *h = *state;
    const size_t mib = (size_t)1 << 20;
    char *p = hak_heap_alloc(h, 400 * mib), *q = hak_heap_alloc(h, 150 * mib);
    assert_true(p && q && p != q);
    hak_heap_free(h, p);
    assert_ptr_equal(hak_heap_alloc(h, 160 * mib), p);
    hak_heap_free(h, p);
    char *r = hak_heap_alloc(h, 60 * mib);
    assert_ptr_not_equal(r, p);
    hak_heap_free(h, q); /* the smallest that fits goes first */
    assert_ptr_equal(hak_heap_alloc(h, 140 * mib), q);
    hak_heap_free(h, q);
    hak_heap_free(h, r);
}

/* What grows by realloc grows in place most of the time, and keeps its contents. */
static void growth_has_room(void **state) {
    struct hak_heap *h = *state;
    unsigned moves = 0;
    char *p = NULL;
    for (size_t n = 1000; n < (size_t)6 << 20; n += n / 4) {
        char *q = hak_heap_realloc(h, p, n);
        assert_non_null(q);
        moves += n > HAK_MEDIUM_MAX && q != p;
        for (size_t at = 900; p && at < n / 2; at *= 2)
            assert_int_equal(q[at], (char)at);
        for (size_t at = 900; at < n; at *= 2)
            q[at] = (char)at;
        p = q;
    }
    assert_in_range(moves, 1, 4); /* of 21 steps */
    hak_heap_free(h, p);
}

/* A bin that swings keeps more; emptied, it starts small again. */
static void magazines_grow(void **state) {
    enum { N = 4000, SIZE = 64 };
    struct hak_heap *h = *state;
    static void *p[N];
    struct hak_bin *bin = &h->bin[hak_class_of(SIZE)];
    assert_int_equal(bin->magazine, bin->start);
    for (unsigned i = 0; i < N; i++)
        p[i] = hak_heap_alloc(h, SIZE);
    assert_int_equal(bin->magazine, bin->start);
    for (unsigned i = 0; i < N; i++)
        hak_heap_free(h, p[i]);
    assert_int_equal(bin->magazine, bin->limit);
    assert_in_range(bin->nspare + (unsigned)(bin->magazine - bin->room), bin->limit,
                    2 * bin->limit + 1);
    hak_core_trim(h);
    assert_int_equal(bin->magazine, bin->start);
    assert_int_equal(stats().active_pages, 0);
}

/* Large calloc after reuse, after purge and after a move is zero. */
static void calloc_is_zero(void **state) {
    struct hak_heap *h = *state;
    static const char *policies[] = {"never", "eager", "eager:how=unmap", "eager:how=free"};
    for (unsigned i = 0; i < 4; i++) {
        use_policy(policies[i]);
        for (size_t n = 70000; n < 3u << 20; n = n * 3 / 2) {
            unsigned char *p = hak_heap_alloc(h, n);
            memset(p, 0xab, hak_usable_size(p));
            p = hak_heap_realloc(h, p, n * 2);
            assert_int_equal(p[n - 1], 0xab);
            memset(p, 0xab, hak_usable_size(p));
            hak_heap_free(h, p);
            unsigned char *q[2] = {hak_heap_calloc(h, n), hak_heap_calloc(h, n * 2)};
            for (unsigned k = 0; k < 2; k++) {
                for (size_t j = 0; j < n * (k + 1); j++)
                    if (q[k][j])
                        fail_msg("%s: byte %zu of %zu is %u", policies[i], j, n * (k + 1), q[k][j]);
                hak_heap_free(h, q[k]);
            }
        }
    }
}

static void foreign_pointers_are_seen(void **state) {
    int on_stack = 0;
    (void)state;
    assert_null(hak_slab_lookup(&on_stack));
    assert_null(hak_slab_lookup((void *)8));
    assert_null(hak_slab_lookup((void *)UINTPTR_MAX));
    void *p = malloc(10); /* libc's own: these tests do not replace malloc */
    assert_null(hak_slab_lookup(p));
    free(p);
}

static int setup(void **state) {
    use_policy("never");
    *state = hak_heap_new();
    return *state == NULL;
}

static int teardown(void **state) {
    hak_heap_retire(*state);
    return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_fit),
        T(last_freed_is_first_reused),
        T(pool_never_runs_dry),
        T(eager_leaves_nothing_dirty),
        T(remote_frees_come_home),
        T(retired_heaps_are_taken_over),
        T(freed_after_the_thread),
        T(freed_into_a_dead_threads_slab),
        T(near_spans_serve),
        T(growth_has_room),
        T(magazines_grow),
        T(calloc_is_zero),
        T(foreign_pointers_are_seen),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
