/* decay follows its curve, from any moment on, under any host. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

/* The curve of docs/policies.md. */
static double smoothstep(double age, double n) {
    double x = age >= n ? 0 : 1 - age / n;
    return x * x * (3 - 2 * x);
}

static void expect_near(double got, double want, double of, const char *what, double age) {
    if (got < want - 0.05 * of || got > want + 0.05 * of)
        fail_msg("%s, at age %.3f: %.0f pages dirty, the curve says %.1f", what, age, got, want);
}

static void test_decay_curve(void **state) {
    (void)state;
    static const char *const policies[] = {"decay:1000", "decay:7ms", "decay:100us", "decay:1h"};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        uint64_t n = parsed(policies[i]).ns;
        for (uint64_t offset = 0; offset < 8; offset++) { /* where in an epoch it begins */
            struct host h;
            host_start(&h, policies[i]);
            h.now += offset * n / 512;
            uint64_t begin = h.now;
            becomes_dirty(&h, 100000);
            assert_int_equal(h.dirty, 100000);
            for (unsigned k = 1; k <= 200; k++) {
                go_to(&h, begin + n / 200 * k);
                expect_near((double)h.dirty, 100000 * smoothstep(k, 200), 100000, policies[i],
                            k / 200.0);
            }
            go_to(&h, begin + n + n / 32);
            assert_int_equal(h.dirty, 0);
            assert_int_equal(h.t.next_tick_ns, ALL); /* nothing to wait for */
        }
    }
}

/* Pages of several ages: their curves add up. */
static void test_decay_ages(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin;
    host_start(&h, "decay:100");
    begin = h.now;
    becomes_dirty(&h, 40000);
    go_to(&h, begin + 30 * ms);
    becomes_dirty(&h, 60000);
    go_to(&h, begin + 45 * ms);
    becomes_dirty(&h, 10000);
    for (unsigned at = 46; at < 150; at++) {
        go_to(&h, begin + at * ms);
        expect_near((double)h.dirty,
                    40000 * smoothstep(at, 100) + 60000 * smoothstep(at - 30, 100) +
                        10000 * smoothstep(at - 45, 100),
                    110000, "three ages", at);
    }
    assert_int_equal(h.dirty, 0);
}

/* What comes and goes does not keep alive what lies below it. */
static void test_decay_reuse(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin, since;
    host_start(&h, "decay:100");
    begin = h.now;
    becomes_dirty(&h, 50000);
    for (unsigned at = 0; at < 120; at++) {
        go_to(&h, begin + at * ms);
        since = h.now;
        becomes_dirty(&h, 2000);
        h.now += ms / 2;
        is_reused(&h, 2000, since);
        expect_near((double)h.dirty, 50000 * smoothstep(at + 0.5, 100), 50000, "churn", at);
    }
    assert_int_equal(h.dirty, 0);
}

/* A host that does not look for a long time finds the level of that time. */
static void test_decay_late(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "decay:100");
    becomes_dirty(&h, 1000);
    h.now += 50000000;
    host_tell(&h, HAKP_EV_THREAD_EXIT, 0, 0);
    expect_near((double)h.dirty, 500, 1000, "late", 0.5);
    h.now += 1000000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 1000);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000);
    host_tell(&h, HAKP_EV_TRIM, 0, 0);
    assert_int_equal(h.dirty, 0);
}

/* keep= is a floor; where more than max= is dirty, half of it stays. */
static void test_decay_bounds(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "decay:100,keep=400KiB,max=4000KiB");
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000);
    becomes_dirty(&h, 1);
    assert_int_equal(h.dirty, 500);
    go_to(&h, h.now + 10000000000u);
    assert_int_equal(h.dirty, 100);
    becomes_dirty(&h, 2000); /* a span above the limit may come and go: it stays, and alone */
    assert_int_equal(h.dirty, 2000);
    becomes_dirty(&h, 10);
    assert_int_equal(h.dirty, 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decay_curve),  cmocka_unit_test(test_decay_ages),
        cmocka_unit_test(test_decay_reuse),  cmocka_unit_test(test_decay_late),
        cmocka_unit_test(test_decay_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
