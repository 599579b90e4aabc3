/* delay and demand: what a span's age, and a peak of the past, keep. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

static void test_delay(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "delay:30,max=400KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_int_equal(h.t.next_tick_ns, ALL);
    uint64_t begin = h.now;
    becomes_dirty(&h, 10);
    assert_int_equal(h.t.keep_pages, ALL);
    assert_int_equal(h.t.max_age_ns, 29999999); /* the host releases what is older */
    assert_int_equal(h.t.next_tick_ns, begin + 30000000);
    h.now += 1000;
    becomes_dirty(&h, 10); /* the oldest counts */
    assert_int_equal(h.t.next_tick_ns, begin + 30000000);
    becomes_dirty(&h, 80);
    assert_int_equal(h.dirty, 100);
    becomes_dirty(&h, 1);
    assert_int_equal(h.dirty, 50);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
}

static void test_demand(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin;
    host_start(&h, "demand:160");
    begin = h.now;
    h.active = 1000;
    becomes_dirty(&h, 300); /* the peak was 1000: all may come again */
    assert_int_equal(h.active, 700);
    assert_int_equal(h.dirty, 300);
    h.active = 500; /* spans that go out of use clean, or were too small */
    h.now += 20 * ms;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 300);
    h.now += 20 * ms;
    h.active = 600;
    h.peak = 800; /* between events */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    go_to(&h, begin + 160 * ms);
    assert_int_equal(h.dirty, 300); /* 1000 is within the window */
    go_to(&h, begin + 171 * ms);
    assert_int_equal(h.dirty, 200); /* 800 is */
    go_to(&h, begin + 199 * ms);
    assert_int_equal(h.dirty, 200);
    go_to(&h, begin + 211 * ms);
    assert_int_equal(h.dirty, 0); /* 600 all the time */
    go_to(&h, begin + 221 * ms);
    assert_int_equal(h.t.next_tick_ns, ALL);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 100);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 100);
    h.now += 1000000 * ms; /* a long rest: what was active then counts, the peak does not */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
