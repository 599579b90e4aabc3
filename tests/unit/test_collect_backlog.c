/* The collector's backlog: what goes in comes out, in order, queue by queue, within the bound. */
#include "tracer/collect_backlog.h"
#include "tracer/rt/trace_shm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define QUEUES 3

static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* The next record of a stream that x stands for: mostly what programs do, and what none would. */
static void make(struct hakt_taken *t, uint32_t i, uint64_t *x) {
    static const uint8_t ops[] = {HAKT_SHM_CALLOC, HAKT_SHM_REALLOC_BEGIN, HAKT_SHM_PVALLOC,
                                  HAKT_SHM_MMAP, HAKT_SHM_MORE};
    static const uint64_t odd[] = {0, 1, 7, UINT64_MAX, 1ull << 63, 0xffff800000000008};
    uint64_t r = next_random(x);
    t->ptr[i] = r % 16 == 0 ? odd[r >> 8 & 3] : 0x7f0000000000 + (r >> 20 & 0xffff) * 16;
    t->ptr[i] = r % 64 == 1 ? odd[4 + (r >> 8 & 1)] : t->ptr[i];
    t->size[i] = r % 32 == 2 ? UINT64_MAX - (r >> 60) : r >> 40 & 0x3fff;
    t->time[i] = r % 128 == 3 ? r : (r % 128 == 4 ? 5 : 1000000 + (r >> 50));
    t->op[i] = r % 8 == 5 ? ops[r % 5] : (r & 64 ? HAKT_SHM_MALLOC : HAKT_SHM_FREE);
    t->op[i] |= r & 128 ? HAKT_STAMPED : 0;
    t->align[i] = r % 16 == 6 ? (uint8_t)(r >> 58) : 0;
}

static uint32_t put(struct hakt_queue *q, struct hakt_store *s, uint64_t *in, uint32_t n) {
    struct hakt_taken t = {.n = n};
    if (hakt_queue_reserve(q, s) != 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        make(&t, i, in);
    hakt_queue_put(q, &t);
    assert_int_equal(t.at, t.n);
    return n;
}

static uint32_t take(struct hakt_queue *q, struct hakt_store *s, uint64_t *out) {
    struct hakt_taken got, want;
    hakt_queue_take(q, s, &got);
    assert_int_equal(got.at, 0);
    for (uint32_t i = 0; i < got.n; i++) {
        make(&want, i, out);
        assert_true(got.ptr[i] == want.ptr[i]);
        assert_true(got.size[i] == want.size[i]);
        assert_true(got.time[i] == want.time[i]);
        assert_int_equal(got.op[i], want.op[i]);
        assert_int_equal(got.align[i], want.align[i]);
    }
    return got.n;
}

static void what_goes_in_comes_out(void **state) {
    struct hakt_queue q[QUEUES] = {{0}};
    uint64_t in[QUEUES] = {1, 2, 3}, out[QUEUES] = {1, 2, 3}, x = 4, held[QUEUES] = {0};
    struct hakt_store s;
    (void)state;
    hakt_store_init(&s, 256 << 10);
    for (unsigned step = 0; step < 60000; step++) {
        uint64_t r = next_random(&x);
        unsigned k = r >> 8 & 0xff, which = k % QUEUES;
        /* grows to the bound, then shrinks, again and again */
        if ((r & 15) < (step / 5000 % 2 == 0 ? 12 : 4))
            held[which] += put(&q[which], &s, &in[which], 1 + (uint32_t)(r >> 32) % HAKT_TAKEN_MAX);
        else
            held[which] -= take(&q[which], &s, &out[which]);
        assert_int_equal(q[which].records, held[which]);
        assert_true(s.bytes <= s.bytes_max + QUEUES * (16u << 10));
    }
    assert_true(s.peak >= s.bytes_max);
    for (unsigned k = 0; k < QUEUES; k++) {
        while (held[k] > 0)
            held[k] -= take(&q[k], &s, &out[k]);
        assert_int_equal(take(&q[k], &s, &out[k]), 0);
    }
    assert_int_equal(s.bytes, 0);
    hakt_store_fini(&s);
}

/* A bound of nothing: each queue has one segment all the same, and no more. */
static void nobody_is_shut_out(void **state) {
    struct hakt_queue q[QUEUES] = {{0}};
    uint64_t in[QUEUES] = {1, 2, 3}, out[QUEUES] = {1, 2, 3}, n[QUEUES] = {0}, more;
    struct hakt_store s;
    (void)state;
    hakt_store_init(&s, 0);
    for (unsigned k = 0; k < QUEUES; k++) {
        while ((more = put(&q[k], &s, &in[k], HAKT_TAKEN_MAX)) > 0)
            n[k] += more;
        assert_true(n[k] >= HAKT_TAKEN_MAX && n[k] < 8192);
    }
    for (unsigned k = 0; k < QUEUES; k++) {
        assert_int_equal(take(&q[k], &s, &out[k]), HAKT_TAKEN_MAX);
        hakt_queue_clear(&q[k], &s);
    }
    assert_int_equal(s.bytes, 0);
    for (int i = 0; i < 100; i++)
        hakt_store_trim(&s);
    assert_int_equal(s.slab_count, 0);
    hakt_store_fini(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(nobody_is_shut_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
