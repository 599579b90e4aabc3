/* When huge pages are asked for, by how quickly they came. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "alloc/os_linux_huge.h"

#define MS ((uint64_t)1000000)

static void looks_now_and_then(void **state) {
    struct hak_pace p = {0};
    (void)state;
    assert_true(hak_pace_wants_look(&p, 1000 * MS));
    assert_true(hak_pace_note(&p, 1000 * MS, MS / 2));
    assert_false(hak_pace_refuses(&p, 1000 * MS));
    assert_false(hak_pace_wants_look(&p, 1004 * MS));
    assert_true(hak_pace_wants_look(&p, 1005 * MS));
}

static void waits_longer_each_time(void **state) {
    struct hak_pace p = {0};
    uint64_t now = 1000 * MS, wait = HAK_PACE_FIRST;
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_false(hak_pace_note(&p, now, 5 * MS));
        assert_true(hak_pace_refuses(&p, now + wait - 1));
        assert_false(hak_pace_refuses(&p, now + wait));
        assert_true(hak_pace_wants_look(&p, now + wait));
        now += wait;
        wait = wait * 2 < HAK_PACE_MOST ? wait * 2 : HAK_PACE_MOST;
    }
    assert_int_equal(wait, HAK_PACE_MOST);
    assert_true(hak_pace_note(&p, now, MS / 10)); /* quick again: all is forgotten */
    assert_false(hak_pace_refuses(&p, now));
    assert_false(hak_pace_note(&p, now + 1, 5 * MS));
    assert_false(hak_pace_refuses(&p, now + 1 + HAK_PACE_FIRST));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_now_and_then),
        cmocka_unit_test(waits_longer_each_time),
    };
    return cmocka_run_group_tests_name("os_linux_huge", tests, NULL, NULL);
}
