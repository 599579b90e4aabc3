/* pressure: nothing while memory is plenty, what is too much when it is short. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

static void memory(struct host *h, uint64_t used, uint64_t limit, uint64_t stall) {
    h->memory = (struct hakp_memory){
        .limit_bytes = limit * 4096, .used_bytes = used * 4096, .stall = stall};
}

/* Nothing until memory is short, then what is too much; the next look decides anew. */
static void test_pressure(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "pressure:pct=50,ms=10,stall=5");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.watch);
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000); /* no limit is known */
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
    memory(&h, 700, 1000, 0);
    becomes_dirty(&h, 0); /* before the next look, what was allowed holds */
    assert_int_equal(h.dirty, 1000);
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 800); /* 200 above 50 % of 1000 */
    memory(&h, 500, 1000, 0);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 900);
    memory(&h, 2500, 1000, 0);
    h.now += 10000000;
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 0); /* all, and a thousand more are owed */
    memory(&h, 500, 1000, 0);
    becomes_dirty(&h, 600);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 600);
    assert_int_equal(h.dirty, 200);
    h.now += 10000000;
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 300);
    memory(&h, 10, 1000, 500); /* 5 % of the time somebody waited */
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
    memory(&h, 2000, 1000, 0); /* more than all of it */
    h.now += 10000000;
    becomes_dirty(&h, 50);
    assert_int_equal(h.dirty, 0);
    memory(&h, 10, 1000, 0);
    h.now += 10000000;
    becomes_dirty(&h, 50);
    assert_int_equal(h.dirty, 50);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
}

static void test_pressure_own_size(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "pressure:rss=400KiB,keep=40KiB");
    h.active = 150;
    becomes_dirty(&h, 60);
    assert_int_equal(h.active, 90);
    assert_int_equal(h.dirty, 10); /* 100 pages in all */
    becomes_dirty(&h, 30);
    assert_int_equal(h.dirty, 40);
    h.active = 200;
    host_tell(&h, HAKP_EV_REUSED, 1, h.now);
    assert_int_equal(h.dirty, 10); /* keep= is a floor */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_pressure_own_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
