/* Policies without a clock, as tables of events to targets, and what all policies share. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

struct step {
    enum hakp_event_kind kind;
    uint64_t dirty_spans; /* after the event, before the target is carried out */
    uint64_t keep;
};

static void run_steps(const char *text, const struct step *steps, size_t n) {
    struct hakp_spec spec = parsed(text);
    struct hakp_policy p;
    struct hakp_target t;
    hakp_init(&p, &spec);
    for (size_t i = 0; i < n; i++) {
        struct hakp_event ev = {.kind = steps[i].kind,
                                .now_ns = i * 1000,
                                .span_pages = 16,
                                .dirty_pages = steps[i].dirty_spans * 16,
                                .dirty_spans = steps[i].dirty_spans,
                                .active_pages = 1000,
                                .page_size = 4096};
        memset(&t, 0x5a, sizeof t);
        hakp_event(&p, &ev, &t);
        if (t.keep_pages != steps[i].keep)
            fail_msg("%s, step %zu: keeps %llu pages", text, i, (unsigned long long)t.keep_pages);
        assert_int_equal(t.how, spec.how);
        assert_int_equal(t.max_age_ns, ALL);
        assert_int_equal(t.kind_spans, ALL);
        assert_int_equal(t.next_tick_ns, ALL);
        assert_int_equal(t.cache_bytes, ALL);
        assert_false(t.populate);
        assert_int_equal(t.huge_bytes, 0);
    }
}
#define RUN(text, steps) run_steps(text, steps, sizeof steps / sizeof steps[0])

static void test_eager(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, 0},    {HAKP_EV_REUSED, 0, 0}, {HAKP_EV_TICK, 0, 0},
        {HAKP_EV_PRESSURE, 5, 0}, {HAKP_EV_OOM, 5, 0},    {HAKP_EV_THREAD_EXIT, 5, 0},
        {HAKP_EV_TRIM, 5, 0},
    };
    RUN("eager", steps);
    RUN("eager:how=unmap", steps);
}

static void test_never(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1000000, ALL},    {HAKP_EV_REUSED, 999999, ALL}, {HAKP_EV_TICK, 9999, ALL},
        {HAKP_EV_PRESSURE, 9999, ALL},    {HAKP_EV_OOM, 9999, 0},        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_THREAD_EXIT, 9999, ALL}, {HAKP_EV_TRIM, 9999, 0},       {HAKP_EV_DIRTY, 1, ALL},
    };
    RUN("never", steps);
    RUN("never:how=free", steps);
}

static void test_partial(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_REUSED, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL}, /* three became dirty, but only two are there */
        {HAKP_EV_TICK, 2, ALL},
        {HAKP_EV_THREAD_EXIT, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_PRESSURE, 1, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        /* the release failed: the next round waits for three more, not for one */
        {HAKP_EV_DIRTY, 4, ALL},
        {HAKP_EV_DIRTY, 5, ALL},
        {HAKP_EV_DIRTY, 6, 0},
        {HAKP_EV_TRIM, 1, 0},
        {HAKP_EV_OOM, 1, 0},
        {HAKP_EV_REUSED, 0, ALL},
    };
    static const struct step ones[] = {
        {HAKP_EV_DIRTY, 1, 0}, {HAKP_EV_REUSED, 0, ALL}, {HAKP_EV_DIRTY, 1, 0}};
    static const struct step bytes[] = {
        {HAKP_EV_DIRTY, 1, ALL}, /* 16 pages: exactly 64 KiB */
        {HAKP_EV_DIRTY, 1, ALL}, /* 32 became dirty, but only 16 are there */
        {HAKP_EV_DIRTY, 2, 0},   {HAKP_EV_DIRTY, 3, ALL}, /* the release failed */
        {HAKP_EV_DIRTY, 4, 0},
    };
    static const struct step kept[] = {{HAKP_EV_DIRTY, 1, ALL},
                                       {HAKP_EV_DIRTY, 2, 2}, /* 8 KiB stay */
                                       {HAKP_EV_PRESSURE, 2, 2},
                                       {HAKP_EV_TRIM, 2, 0}};
    RUN("partial:n=1000,max=64KiB", bytes);
    RUN("partial:n=2,keep=8KiB", kept);
    RUN("partial:3", steps);
    RUN("partial:3,how=unmap,min=1MiB", steps);
    RUN("partial:1", ones);
}

static void test_bounds_by_bytes(void **state) {
    (void)state;
    static const struct step bounce[] = {
        {HAKP_EV_START, 0, ALL},  {HAKP_EV_TICK, 9, ALL}, {HAKP_EV_REUSED, 9, ALL},
        {HAKP_EV_PRESSURE, 9, 0}, {HAKP_EV_OOM, 9, 0},    {HAKP_EV_TRIM, 9, 0},
    };
    RUN("bounce:3", bounce);
}

static void test_bounce_asks_by_kind(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "bounce:3,max=400KiB");
    becomes_dirty(&h, 10);
    assert_int_equal(h.t.kind_spans, 3);
    assert_int_equal(h.t.keep_pages, ALL);
    becomes_dirty(&h, 90);
    becomes_dirty(&h, 1);
    assert_int_equal(h.t.keep_pages, 50);
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.t.kind_spans, ALL); /* only a span that became dirty has a kind */
}

static void test_keys_of_all(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "never:populate=1,huge=8MiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate && h.t.huge_bytes == 8 << 20 && hakp_own_placement(&h.p.spec));
    host_start(&h, "eager:populate=1");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate && !h.t.huge_bytes && !hakp_own_placement(&h.p.spec));
}

static void test_report_2025(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "report-2025");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate); /* from the first span on */
    assert_true(h.t.supers && h.t.cache_bytes == 0);
    assert_true(hakp_own_placement(&h.p.spec));
    assert_int_equal(h.t.how, HAKP_UNMAP);
    becomes_dirty(&h, 16);
    assert_int_equal(h.dirty, 0);
    assert_true(h.t.populate);
    host_start(&h, "eager");
    assert_false(hakp_own_placement(&h.p.spec));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_bounds_by_bytes),
        cmocka_unit_test(test_bounce_asks_by_kind),
        cmocka_unit_test(test_keys_of_all),
        cmocka_unit_test(test_report_2025),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
