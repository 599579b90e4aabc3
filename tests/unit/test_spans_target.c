/* Where a target ends a round. The policies of today keep all or nothing, so this program brings
 * a policy of its own, whose answer the test sets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/spans.h"

static struct hakp_target answer;
static struct hakp_event heard;
static unsigned inits;

void hakp_init(struct hakp_policy *p, const struct hakp_spec *spec) {
    p->spec = *spec;
    inits++;
}

void hakp_event(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    (void)p;
    heard = *ev;
    *out = answer;
}

static uint32_t released[64];
static unsigned calls, fail_call;

static int release(void *ctx, const struct hak_release *r) {
    (void)ctx;
    if (calls == fail_call) {
        calls++;
        return 22;
    }
    for (uint32_t i = 0; i < r->spans; i++)
        released[r->unit + i]++;
    calls++;
    return 0;
}

/* Eight spans of 10 pages, freed at 1000, 1001, ..., at units 2, 4, 6, ... */
static struct hak_span v[8];
static void start(struct hak_spans *s) {
    const struct hakp_spec spec = {.kind = HAKP_NEVER};
    memset(released, 0, sizeof released);
    calls = 0;
    fail_call = 1000;
    answer = (struct hakp_target){.keep_pages = UINT64_MAX,
                                  .max_age_ns = UINT64_MAX,
                                  .kind_spans = UINT64_MAX,
                                  .next_tick_ns = UINT64_MAX};
    hak_spans_init(s, &spec, 4096, release, NULL);
    for (uint32_t i = 0; i < 8; i++) {
        hak_spans_add_active(s, 16);
        v[i] = (struct hak_span){.unit = 2 * (i + 1), .units = 1, .used_pages = 10};
        hak_spans_put(s, &v[i], 1000 + i);
    }
    assert_int_equal(calls, 0);
}

/* The first n of v, and only they, have been given back. */
static void expect_gone(unsigned n) {
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(released[2 * (i + 1)], i < n ? 1 : 0);
}

static void test_events(void **state) {
    (void)state;
    struct hak_spans s;
    start(&s);
    assert_int_equal(heard.kind, HAKP_EV_DIRTY);
    assert_int_equal(heard.now_ns, 1007);
    assert_int_equal(heard.span_pages, 10);
    assert_int_equal(heard.dirty_pages, 80);
    assert_int_equal(heard.dirty_spans, 8);
    assert_int_equal(heard.active_pages, 0);
    hak_spans_take(&s, 0, 1100);
    assert_int_equal(heard.kind, HAKP_EV_REUSED);
    assert_int_equal(heard.now_ns, 1100);
    assert_int_equal(heard.dirty_pages, 70);
    assert_int_equal(heard.dirty_spans, 7);
    assert_int_equal(heard.active_pages, 16);
    hak_spans_tell(&s, HAKP_EV_PRESSURE, 1200);
    assert_int_equal(heard.kind, HAKP_EV_PRESSURE);
    assert_int_equal(heard.span_pages, 0);
}

static void test_keep_pages(void **state) {
    (void)state;
    struct hak_spans s;
    start(&s);
    answer.keep_pages = 80;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 2000), 0);
    expect_gone(0);
    answer.keep_pages = 79; /* one span too many: the oldest alone goes */
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 2000), 10);
    expect_gone(1);
    answer.keep_pages = 41;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 2000), 30);
    expect_gone(4);
    assert_int_equal(s.dirty_pages, 40);
    assert_int_equal(s.released.rounds, 2);
}

static void test_max_age(void **state) {
    (void)state;
    struct hak_spans s;
    start(&s);
    answer.max_age_ns = 50;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 1050), 0);
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 1053), 30);
    expect_gone(3);
    answer.keep_pages = 20; /* both limits hold */
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 1054), 30);
    expect_gone(6);
    answer.keep_pages = UINT64_MAX;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 900), 0); /* a clock that stands behind */
}

/* A span that cannot go is passed over: a younger one goes, so that the target holds. */
static void test_failure_passes_over(void **state) {
    (void)state;
    struct hak_spans s;
    start(&s);
    fail_call = 0;
    answer.keep_pages = 60;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 2000), 20);
    assert_int_equal(calls, 3);
    assert_int_equal(released[2], 0);
    assert_int_equal(released[4], 1);
    assert_int_equal(released[6], 1);
    assert_int_equal(released[8], 0);
    assert_int_equal(s.dirty_pages, 60);
    answer.keep_pages = 50; /* the next round begins with it again: it is still the oldest */
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 2000), 10);
    assert_int_equal(released[2], 1);
    assert_int_equal(released[8], 0);
}

/* TICK comes with the first call at or after its time that brings no other event. */
static void test_ticks(void **state) {
    (void)state;
    struct hak_spans s;
    struct hak_span clean = {.unit = 40, .units = 1};
    start(&s);
    heard.kind = HAKP_EV_DIRTY;
    hak_spans_look(&s, 5000);
    assert_int_equal(heard.kind, HAKP_EV_DIRTY); /* not asked for */
    answer.next_tick_ns = 3000;
    hak_spans_tell(&s, HAKP_EV_PRESSURE, 2000);
    hak_spans_look(&s, 2999);
    assert_int_equal(heard.kind, HAKP_EV_PRESSURE);
    hak_spans_take(&s, 0, 3000); /* REUSED tells the time */
    assert_int_equal(heard.kind, HAKP_EV_REUSED);
    assert_int_equal(heard.since_ns, 1007);
    assert_int_equal(heard.oldest_ns, 1000);
    answer.next_tick_ns = 4000;
    hak_spans_look(&s, 3000);
    assert_int_equal(heard.kind, HAKP_EV_TICK);
    assert_int_equal(heard.since_ns, 0);
    hak_spans_add_active(&s, 16);
    hak_spans_put(&s, &clean, 4001); /* no event of its own */
    assert_int_equal(heard.kind, HAKP_EV_TICK);
    assert_int_equal(heard.now_ns, 4001);
    assert_int_equal(heard.active_pages, 16);
    assert_int_equal(heard.peak_pages, 32);
    assert_null(hak_spans_take(&s, 7, 4002)); /* nor has this; the answer is still in the past */
    assert_int_equal(heard.now_ns, 4002);
    assert_int_equal(heard.peak_pages, 16);
    answer.next_tick_ns = UINT64_MAX;
    assert_ptr_equal(hak_spans_take(&s, 0, 4003), &clean);
    assert_int_equal(heard.now_ns, 4003);
    assert_int_equal(heard.kind, HAKP_EV_TICK);
    hak_spans_look(&s, UINT64_MAX - 1);
    assert_int_equal(heard.now_ns, 4003);
    answer.keep_pages = 0;
    hak_spans_tell(&s, HAKP_EV_PRESSURE, 5000);
    hak_spans_tell(&s, HAKP_EV_PRESSURE, 5001);
    assert_int_equal(heard.oldest_ns, UINT64_MAX);
}

/* Another clock: the policy begins anew, and ages count from there. */
static void test_restart(void **state) {
    (void)state;
    struct hak_spans s;
    start(&s);
    hak_spans_restart(&s, 100);
    assert_int_equal(heard.kind, HAKP_EV_START);
    assert_int_equal(heard.now_ns, 100);
    assert_int_equal(heard.oldest_ns, 100);
    assert_int_equal(heard.dirty_pages, 80);
    answer.max_age_ns = 50;
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 150), 0);
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TICK, 151), 80);
    expect_gone(8);
}

/* A policy begins when the first span is wanted, and then anew: whatever was told before, at the
 * start or by another clock, was of a time when there was nothing. */
static void test_begins_with_first_span(void **state) {
    (void)state;
    const struct hakp_spec never = {.kind = HAKP_NEVER};
    for (int another_clock = 0; another_clock < 2; another_clock++) {
        struct hak_spans s;
        start(&s);
        hak_spans_init(&s, &never, 4096, release, NULL);
        if (another_clock)
            hak_spans_restart(&s, 50);
        inits = 0;
        assert_null(hak_spans_take(&s, HAK_KIND_SMALL, 77));
        assert_int_equal(inits, 1);
        assert_int_equal(heard.kind, HAKP_EV_START);
        assert_int_equal(heard.now_ns, 77);
        hak_spans_add_active(&s, 16);
        assert_null(hak_spans_take(&s, HAK_KIND_SMALL, 78));
        assert_int_equal(inits, 1);
        hak_spans_restart(&s, 20); /* now there is one */
        assert_null(hak_spans_take(&s, HAK_KIND_SMALL, 21));
        assert_int_equal(inits, 2);
        assert_int_equal(heard.now_ns, 20);
    }
}

/* Another policy: spans that the old one's min kept out of sight are seen, and count as the oldest;
 * those below the new one's min are seen no more. */
static void test_switch(void **state) {
    (void)state;
    const struct hakp_spec all = {.kind = HAKP_NEVER},
                           none = {.kind = HAKP_NEVER, .min_bytes = 1 << 20};
    struct hak_spans s;
    start(&s);
    hak_spans_switch(&s, &none, 2000);
    assert_int_equal(heard.kind, HAKP_EV_START);
    assert_int_equal(s.dirty_spans, 0);
    answer.keep_pages = 0;
    hak_spans_tell(&s, HAKP_EV_TRIM, 2001);
    assert_int_equal(calls, 0);
    answer.keep_pages = 30;
    hak_spans_switch(&s, &all, 2002);
    assert_int_equal(s.dirty_spans, 3);
    assert_int_equal(s.released.spans, 5);
    for (unsigned i = 0; i < 8; i++) /* the oldest went, as if nothing had been switched */
        assert_int_equal(released[v[i].unit], i < 5);
    struct hak_span *top = hak_spans_take(&s, HAK_KIND_SMALL, 2003);
    assert_ptr_equal(top, &v[7]);
    assert_int_equal(top->state, HAK_SPAN_DIRTY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_keep_pages),
        cmocka_unit_test(test_max_age),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_begins_with_first_span),
        cmocka_unit_test(test_failure_passes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
