/* budget: what goes back at the end of a burst, and that it stays within the credit. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

#define MS ((uint64_t)1000000)
enum { PRICE = 1750 }; /* ns a page, as docs/policies.md says */

/* So many pages are freed in spans of 16, each `ns` after the one before. */
static void burst_ends(struct host *h, uint64_t pages, uint64_t ns) {
    for (uint64_t i = 0; i < pages; i += 16) {
        h->now += ns;
        becomes_dirty(h, 16);
    }
}

/* So many pages are taken: first what is dirty, then what was given back; freed at `since`. */
static void burst_begins(struct host *h, uint64_t pages, uint64_t since) {
    for (uint64_t i = 0; i < pages; i += 16) {
        if (h->dirty >= 16)
            is_reused(h, 16, since);
        else
            host_tell(h, HAKP_EV_RETURNED, 16, since);
    }
}

/* A burst ends and all but keep= is gone without a look at the clock; and the next time too, since
 * the program rests in between: 70 ms are lost each time, 85 ms earned. */
static void test_burst_and_rest(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "budget:pct=2,keep=64KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.hear_returns);
    for (int i = 0; i < 20; i++) {
        burst_ends(&h, 40000, 100000);
        assert_in_range(h.dirty, 16, 32); /* from keep= to twice that */
        uint64_t since = h.now;
        h.now += 500 * MS;
        burst_begins(&h, 40000, since);
    }
}

/* A swing that repeats within ms stays, once it has been seen; a larger one is tried anew. */
static void test_swing_stays(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "budget:pct=2,ms=100,keep=64KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    h.now += 1000 * MS;
    for (int i = 0; i < 60; i++) {
        burst_ends(&h, 1600, 100000);
        assert_int_equal(h.dirty, i == 0 ? 32 : 1600);
        h.now += 20 * MS;
        burst_begins(&h, 1600, h.now - 20 * MS);
    }
    burst_ends(&h, 6400, 100000); /* twice the first one's swing is kept */
    assert_in_range(h.dirty, 3200, 3300);
}

/* Every page that goes back is wanted again, later than ms, so that no swing is seen: what that
 * costs is within the percentage, but for what was risked at first. */
static void lose(const char *policy, uint64_t pct, uint64_t pages, uint64_t ns, uint64_t rest) {
    struct host h;
    uint64_t begin, lost = 0;
    host_start(&h, policy);
    host_tell(&h, HAKP_EV_START, 0, 0);
    begin = h.now;
    for (int i = 0; i < 3000; i++) {
        burst_ends(&h, pages, ns);
        lost += pages - h.dirty;
        h.now += rest;
        burst_begins(&h, pages, h.now - rest - 2 * MS);
        uint64_t share = (h.now - begin) * pct / 100, cost = lost * PRICE;
        assert_true(rest > 0 || cost <= share * 32 + 1);
        assert_true(cost <= share + 115 * MS);
    }
    assert_true(lost * PRICE > (h.now - begin) * pct / 200); /* and it does spend that */
}

static void test_cost_is_bounded(void **state) {
    (void)state;
    lose("budget:pct=2,keep=0,ms=1", 2, 3200, 100000, 0);
    lose("budget:pct=1,keep=0,ms=1", 1, 32000, 20000, 0);
    lose("budget:pct=10,keep=0,ms=1", 10, 3200, 1000, 0);
    /* rests earn eight times that, however long */
    lose("budget:pct=2,keep=0", 16, 400000, 1, 500 * MS);
    lose("budget:pct=2,keep=0", 16, 800000, 1, 4100 * MS);
    lose("budget:pct=2,keep=0", 16, 1600000, 1, 5000 * MS);
}

/* What a swing held goes back when a look finds that nothing came or went for ms; but a look that
 * comes late is the program's own, which has just woken: that one only asks for another. */
static void test_looks(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "budget:pct=2,ms=100,keep=64KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_int_equal(h.t.next_tick_ns, ALL);
    for (int i = 0; i < 10; i++) {
        h.now += 1000 * MS;
        host_tell(&h, HAKP_EV_TICK, 0, 0);
    }
    h.dirty = 1600;
    burst_begins(&h, 1600, h.now - 1);
    burst_ends(&h, 1600, 100000);
    assert_int_equal(h.dirty, 1600);
    assert_int_equal(h.t.next_tick_ns, h.now + 100 * MS);
    h.now += 99 * MS;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 1600);
    h.now += 1 * MS;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 16);
    assert_int_equal(h.t.next_tick_ns, ALL); /* nothing left to wait for */

    burst_begins(&h, 1600, h.now - 1);
    burst_ends(&h, 1600, 100000);
    h.now += 500 * MS;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 1600);
    assert_int_equal(h.t.next_tick_ns, h.now + 25 * MS);
    burst_begins(&h, 1600, h.now - 1); /* indeed: it wanted them */
    burst_ends(&h, 1600, 100000);
    h.now += 500 * MS;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    h.now += 25 * MS;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 16);
}

/* max= stands above the budget, and so does who says that memory is short. */
static void test_short_of_memory(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "budget:pct=1,max=400KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    becomes_dirty(&h, 90);
    assert_int_equal(h.dirty, 90); /* no time has passed: no credit */
    becomes_dirty(&h, 11);
    assert_int_equal(h.dirty, 64); /* keep=, which is more than half of max= */
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 60);
    host_tell(&h, HAKP_EV_TRIM, 0, 0);
    assert_int_equal(h.dirty, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_rest),  cmocka_unit_test(test_swing_stays),
        cmocka_unit_test(test_cost_is_bounded), cmocka_unit_test(test_looks),
        cmocka_unit_test(test_short_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
