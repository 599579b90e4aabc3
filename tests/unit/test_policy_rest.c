/* rest: a gap that is learnt. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

/* Nothing while spans come and go; all above keep= after a gap; a gap that was none doubles it. */
static void test_rest(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "rest:ms=10,keep=40KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    for (int i = 0; i < 50; i++) {
        h.now += 9000000;
        becomes_dirty(&h, 10);
    }
    assert_int_equal(h.dirty, 500);
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.t.next_tick_ns, ALL); /* nothing is left to wait for */
    host_tell(&h, HAKP_EV_RETURNED, 16, h.now - 15000000);
    becomes_dirty(&h, 300);
    assert_int_equal(h.t.next_tick_ns, h.now + 20000000);
    h.now += 19000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 310);
    h.now += 1000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    h.now +=
        2000000000; /* it comes back much later: the gap was a rest; a term later it is short */
    host_tell(&h, HAKP_EV_RETURNED, 16, h.now - 2000000000);
    h.now += 1100000000;
    becomes_dirty(&h, 300);
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
