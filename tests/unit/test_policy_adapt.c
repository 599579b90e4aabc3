/* adapt: a quota that is learnt. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

/* What comes back soon raises the quota, what stays through a term lowers it. */
static void test_adapt(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "adapt:ms=10,keep=40KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.hear_returns);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 10);
    h.now += 11000000; /* too long ago to be a mistake */
    host_tell(&h, HAKP_EV_RETURNED, 60, h.now - 11000000);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_RETURNED, 60, h.now - 9000000);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 70);
    h.now += 50000000; /* a term in which nothing was dirty for a moment ends: all is needed */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 70);
    h.now += 50000000; /* and one in which all was dirty all the time */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_RETURNED, 500, h.now);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 410);
    host_tell(&h, HAKP_EV_TRIM, 0, 0);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 10); /* what was learnt is gone */
    host_start(&h, "adapt:ms=10,keep=0,max=80KiB");
    host_tell(&h, HAKP_EV_RETURNED, 500, h.now);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
