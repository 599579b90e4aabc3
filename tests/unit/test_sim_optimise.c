/* Fronts, knees and choices: by hand, and against plain definitions on random points. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sim/optimise.h"

static uint32_t seed = 1;

static uint32_t dice(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void test_front_by_hand(void **state) {
    (void)state;
    const struct haks_point p[] = {
        {10, 100, 1}, {20, 50, 1}, {20, 60, 1},
        {30, 50, 1},  {40, 10, 1}, {5, 1, 0}, /* not evaluated */
        {10, 100, 1},                         /* as the first */
        {50, 10, 1},  {60, 9, 1},
    };
    size_t front[9];
    assert_int_equal(haks_front(p, 9, front), 4);
    assert_int_equal(front[0], 0);
    assert_int_equal(front[1], 1);
    assert_int_equal(front[2], 4);
    assert_int_equal(front[3], 8);
    assert_int_equal(haks_knee(p, front, 4), 2); /* 40 bytes for 10 ns */
    assert_int_equal(haks_front(p, 0, front), 0);
    assert_int_equal(haks_knee(p, front, 0), HAKS_NOWHERE);
}

static void test_front_is_what_nobody_beats(void **state) {
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct haks_point p[40];
        size_t front[40], n = 1 + dice(40), m, expected = 0;
        for (size_t i = 0; i < n; i++)
            p[i] = (struct haks_point){dice(12), dice(12), dice(8) != 0};
        m = haks_front(p, n, front);
        for (size_t i = 0; i < n; i++) {
            int beaten = !p[i].ok;
            for (size_t k = 0; k < n; k++) {
                if (!p[k].ok || k == i || p[k].memory > p[i].memory || p[k].cost > p[i].cost)
                    continue;
                beaten |= p[k].memory < p[i].memory || p[k].cost < p[i].cost || k < i;
            }
            expected += !beaten;
            for (size_t k = 0; k < m; k++)
                if (front[k] == i)
                    assert_false(beaten);
        }
        assert_int_equal(m, expected);
        for (size_t k = 1; k < m; k++)
            assert_true(p[front[k - 1]].memory < p[front[k]].memory);
    }
}

static void test_knee(void **state) {
    (void)state;
    const size_t front[] = {0, 1, 2};
    const struct haks_point line[] = {{0, 20, 1}, {10, 10, 1}, {20, 0, 1}};
    const struct haks_point above[] = {{0, 20, 1}, {10, 15, 1}, {20, 0, 1}};
    const struct haks_point below[] = {{0, 20, 1}, {10, 9, 1}, {20, 0, 1}};
    const struct haks_point large[] = {
        {UINT64_MAX / 4, UINT64_MAX / 2, 1}, {UINT64_MAX / 3, 5, 1}, {UINT64_MAX, 0, 1}};
    assert_int_equal(haks_knee(line, front, 3), HAKS_NOWHERE);
    assert_int_equal(haks_knee(above, front, 3), HAKS_NOWHERE);
    assert_int_equal(haks_knee(below, front, 3), 1);
    assert_int_equal(haks_knee(below, front, 2), HAKS_NOWHERE);
    assert_int_equal(haks_knee(large, front, 3), 1);
}

static void test_cheapest(void **state) {
    (void)state;
    const struct haks_point p[] = {{10, 100, 1}, {20, 50, 1}, {15, 50, 1}, {5, 1, 0}, {90, 1, 1}};
    assert_int_equal(haks_cheapest(p, 5, 9), HAKS_NOWHERE);
    assert_int_equal(haks_cheapest(p, 5, 10), 0);
    assert_int_equal(haks_cheapest(p, 5, 20), 2);
    assert_int_equal(haks_cheapest(p, 5, 89), 2);
    assert_int_equal(haks_cheapest(p, 5, 90), 4);
}

/* Three policies on three traces: each trace has another favourite, and the third policy is a fair
 * second everywhere. */
static void test_one_policy_for_all(void **state) {
    (void)state;
    const struct haks_point p[] = {
        {10, 100, 1}, {10, 300, 1}, {10, 110, 1}, /* the first trace */
        {10, 400, 1}, {10, 100, 1}, {10, 120, 1}, /* the second */
        {10, 100, 1}, {99, 10, 1},  {10, 105, 1}, /* here the second policy breaks the bound */
    };
    const uint64_t bounds[] = {10, 10, 10};
    const struct haks_table t = {3, 3, p, bounds};
    const uint8_t first[] = {1, 0, 0}, last[] = {0, 0, 1}, none[] = {0, 0, 0};
    struct haks_choice c = haks_choose_for_all(&t, NULL);
    assert_int_equal(c.policy, 2);
    assert_int_equal(c.broken, 0);
    assert_int_equal(c.worst_ppm, 200000);
    assert_int_equal(c.mean_ppm, (100000 + 200000 + 50000) / 3);
    assert_int_equal(haks_choose_for_all(&t, first).policy, 0);
    assert_int_equal(haks_choose_for_all(&t, last).policy, 0); /* not the one that breaks it */
    assert_int_equal(haks_choose_for_all(&t, none).policy, HAKS_NOWHERE);
    assert_int_equal(haks_loss_ppm(&t, 1, 0), 3000000);
}

static void test_where_no_policy_keeps_the_bound(void **state) {
    (void)state;
    const struct haks_point p[] = {{20, 1, 1}, {12, 100, 1}, {11, 1, 0},
                                   {20, 1, 1}, {15, 100, 1}, {1, 1, 1}};
    const uint64_t bounds[] = {10, 10};
    const struct haks_table t = {2, 3, p, bounds};
    struct haks_choice c = haks_choose_for_all(&t, NULL);
    assert_int_equal(c.policy, 1); /* the least beyond; the third was not evaluated everywhere */
    assert_int_equal(c.broken, 2);
    assert_int_equal(c.excess_ppm, 500000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_by_hand),
        cmocka_unit_test(test_front_is_what_nobody_beats),
        cmocka_unit_test(test_knee),
        cmocka_unit_test(test_cheapest),
        cmocka_unit_test(test_one_policy_for_all),
        cmocka_unit_test(test_where_no_policy_keeps_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
