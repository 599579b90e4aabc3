/* The core on the real system under a virtual clock: when slow paths look at it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/heap.h"

#define MS ((uint64_t)1000000)

static struct hak_heap *heap;

static uint64_t calls(void) {
    struct hak_core_stats s;
    hak_core_stats(&s);
    return s.release_calls;
}

/* Frees a large object, under delay:10. Returns the release calls so far. */
static uint64_t free_large(uint64_t at) {
    void *p = hak_heap_alloc(heap, 1 << 20);
    assert_non_null(p);
    memset(p, 1, 1 << 20);
    hak_core_set_clock(at);
    hak_heap_free(heap, p);
    return calls();
}

static void test_take_and_put_look(void **state) {
    (void)state;
    uint64_t before = free_large(100 * MS);
    hak_core_set_clock(110 * MS - 1);
    void *other = hak_heap_alloc(heap, 3 << 20); /* a fresh span */
    assert_int_equal(calls(), before);
    hak_core_set_clock(110 * MS);
    hak_heap_free(heap, other); /* DIRTY brings the time */
    assert_int_equal(calls(), before + 1);
    hak_core_set_clock(120 * MS);
    other = hak_heap_alloc(heap, 200000); /* again a fresh span: nothing else happens */
    assert_int_equal(calls(), before + 2);
    hak_core_set_clock(200 * MS);
    hak_heap_free(heap, other);
}

/* A program of small blocks, none of which comes near the pool. */
static void test_refills_look(void **state) {
    (void)state;
    static void *v[20000];
    uint64_t before;
    for (int i = 0; i < 20000; i++)
        v[i] = hak_heap_alloc(heap, 100);
    hak_core_set_clock(300 * MS);
    before = free_large(400 * MS);
    hak_core_set_clock(409 * MS);
    for (int i = 100; i < 19900; i++) { /* not all: no slab becomes free */
        if (i % 16 != 0)
            hak_heap_free(heap, v[i]);
    }
    for (int i = 100; i < 19900; i++) {
        if (i % 16 != 0)
            v[i] = hak_heap_alloc(heap, 100);
    }
    assert_int_equal(calls(), before);
    hak_core_set_clock(410 * MS);
    hak_heap_free(heap, v[0]);
    v[0] = hak_heap_alloc(heap, 100);
    assert_int_equal(calls(), before); /* the hot path does not look */
    for (int round = 0; round < 4; round++) {
        for (int i = 100; i < 19900; i++) {
            if (i % 16 != 0)
                hak_heap_free(heap, v[i]);
        }
        for (int i = 100; i < 19900; i++) {
            if (i % 16 != 0)
                v[i] = hak_heap_alloc(heap, 100);
        }
    }
    assert_int_equal(calls(), before + 1);
    for (int i = 0; i < 20000; i++)
        hak_heap_free(heap, v[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take_and_put_look),
                                       cmocka_unit_test(test_refills_look)};
    struct hakp_spec spec;
    hak_core_set_clock(MS);
    if (hakp_parse("delay:10", &spec, NULL, 0) != 0 || hak_core_init(&spec) != 0)
        return 1;
    heap = hak_heap_new();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
