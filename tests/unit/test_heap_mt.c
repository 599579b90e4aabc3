/* Heaps of several threads at once: hand-over, retirement, take-over. For TSan above all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "alloc/heap.h"

enum { THREADS = 4, SLOTS = 512, ROUNDS = 30000, WAVES = 3 };

static _Atomic(unsigned char *) slots[SLOTS];
static atomic_uint corrupt;

static void check_and_free(struct hak_heap *h, unsigned char *p) {
    if (!p)
        return;
    for (unsigned i = 1; i < p[0]; i++)
        if (p[i] != (unsigned char)(p[0] + i))
            atomic_fetch_add(&corrupt, 1);
    hak_heap_free(h, p);
}

static void *work(void *arg) {
    uint64_t x = (uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
    struct hak_heap *h = hak_heap_new();
    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        unsigned n = (unsigned)(x >> 33) % 255 + 1;
        size_t size = x >> 60 ? n : (size_t)n * 700;
        unsigned char *p = hak_heap_alloc(h, size);
        if (!p)
            break;
        p[0] = (unsigned char)n;
        for (unsigned k = 1; k < n; k++)
            p[k] = (unsigned char)(n + k);
        check_and_free(h, atomic_exchange(&slots[(x >> 20) % SLOTS], p));
    }
    hak_heap_retire(h);
    return NULL;
}

static void blocks_wander_between_threads(void **state) {
    (void)state;
    struct hakp_spec spec;
    hakp_parse("partial:4", &spec, NULL, 0);
    hak_core_init(&spec);
    for (unsigned wave = 0; wave < WAVES; wave++) {
        pthread_t id[THREADS];
        for (uintptr_t t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&id[t], NULL, work, (void *)(wave * THREADS + t)), 0);
        for (unsigned t = 0; t < THREADS; t++)
            pthread_join(id[t], NULL);
    }
    /* All heaps that retired; a few more than threads, as a heap that is being searched for slabs
     * is not there to be reused. */
    struct hak_heap *h[4 * THREADS];
    struct hak_core_stats s;
    unsigned n = 0;
    for (hak_core_stats(&s); s.retired_heaps && n < 4 * THREADS; hak_core_stats(&s))
        h[n++] = hak_heap_new();
    assert_in_range(n, 1, 4 * THREADS - 1);
    assert_int_equal(s.heaps, n);
    for (unsigned i = 0; i < SLOTS; i++)
        check_and_free(h[0], atomic_exchange(&slots[i], NULL));
    for (unsigned pass = 0; pass < 2; pass++) /* twice: pending lists are passed on */
        for (unsigned t = 0; t < n; t++)
            hak_core_trim(h[t]);
    hak_core_stats(&s);
    assert_int_equal(atomic_load(&corrupt), 0);
    assert_int_equal(s.active_pages, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_wander_between_threads)};
    return cmocka_run_group_tests_name("heap_mt", tests, NULL, NULL);
}
