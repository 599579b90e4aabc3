/* The collector's backlog: what goes in comes out, in order, queue by queue, within the limit. */
#include "tracer/collect_backlog.h"

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

static uint32_t put(struct hakt_queue *q, struct hakt_store *s, uint64_t *in, uint32_t n) {
    uint32_t room;
    uint64_t *to = hakt_queue_room(q, s, &room);
    if (to == NULL)
        return 0;
    assert_true(room >= HAKT_QUEUE_ROOM);
    for (uint32_t i = 0; i < n; i++)
        to[i] = next_random(in);
    hakt_queue_put(q, n);
    return n;
}

static uint32_t take(struct hakt_queue *q, struct hakt_store *s, uint64_t *out, uint32_t most) {
    uint32_t n;
    const uint64_t *words = hakt_queue_front(q, &n);
    assert_int_equal(hakt_queue_is_empty(q), n == 0);
    n = n < most ? n : most;
    for (uint32_t i = 0; i < n; i++)
        assert_true(words[i] == next_random(out));
    if (n > 0)
        hakt_queue_drop(q, s, n);
    return n;
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
            held[which] +=
                put(&q[which], &s, &in[which], 1 + (uint32_t)(r >> 32) % HAKT_QUEUE_ROOM);
        else
            held[which] -= take(&q[which], &s, &out[which], 1 + (uint32_t)(r >> 32) % 300);
        assert_int_equal(hakt_queue_is_empty(&q[which]), held[which] == 0);
        assert_true(s.bytes <= s.limit_max + QUEUES * (16u << 10));
    }
    assert_true(s.peak >= s.limit_max);
    for (unsigned k = 0; k < QUEUES; k++) {
        while (held[k] > 0)
            held[k] -= take(&q[k], &s, &out[k], 1000);
        assert_int_equal(take(&q[k], &s, &out[k], 1), 0);
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
        while ((more = put(&q[k], &s, &in[k], HAKT_QUEUE_ROOM)) > 0)
            n[k] += more;
        assert_true(n[k] >= HAKT_QUEUE_ROOM && n[k] < 4096);
    }
    for (unsigned k = 0; k < QUEUES; k++) {
        assert_int_equal(take(&q[k], &s, &out[k], 100), 100);
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
