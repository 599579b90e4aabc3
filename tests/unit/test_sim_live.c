/* The passes' table of live objects, held against an array that says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/err.h"
#include "sim/live_blocks.h"

static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static uint64_t address_of(uint64_t id) {
    return id * 64 + 4096;
}

/* Ids come one after another, `step` apart; of those that are live, one in `stays` outlives all
 * others around it, so that lines hold one object alone, and the rest go in a random order. */
static void come_and_go(uint64_t ids, uint64_t step, unsigned stays, uint64_t most, uint64_t seed) {
    struct haks_live t;
    uint64_t *live = malloc((most + ids / stays + 1) * sizeof *live), n = 0, old = 0;
    uint64_t *kept = malloc((ids / stays + 1) * sizeof *kept);
    assert_non_null(live);
    assert_non_null(kept);
    assert_int_equal(haks_live_init(&t), 0);
    for (uint64_t i = 1; i <= ids; i++) {
        uint64_t id = i * step;
        assert_int_equal(haks_live_take(&t, id), 0);
        assert_int_equal(haks_live_put(&t, id, address_of(id)), 0);
        if (i % stays == 0)
            kept[old++] = id;
        else
            live[n++] = id;
        while (n == most || (n > 0 && next_random(&seed) % 3 == 0)) {
            uint64_t k = next_random(&seed) % n, gone = live[k];
            live[k] = live[--n];
            assert_int_equal(haks_live_take(&t, gone), address_of(gone));
            assert_int_equal(haks_live_take(&t, gone), 0);
        }
        haks_live_prefetch(&t, id + 12);
    }
    while (n > 0) {
        n--;
        assert_int_equal(haks_live_take(&t, live[n]), address_of(live[n]));
    }
    /* bounded by the live set: lines of one object each, in a table at least 3/8 full, 3/16 in
     * small ones */
    if (t.mask + 1 > 1024)
        assert_true((t.mask + 1) * 3 / (t.mask + 1 > 1 << 16 ? 8 : 16) <= old + most + 1);
    for (uint64_t k = 0; k < old; k++)
        assert_int_equal(haks_live_take(&t, kept[k]), address_of(kept[k]));
    assert_int_equal(t.count, 0);
    for (size_t i = 0; i <= t.mask; i++)
        assert_int_equal(t.lines[i].key, 0);
    haks_live_fini(&t);
    free(live);
    free(kept);
}

static void test_against_array(void **state) {
    (void)state;
    come_and_go(300000, 1, 1000000, 2000, 1); /* all go */
    come_and_go(300000, 1, 7, 3000, 2);       /* one of each line stays */
    come_and_go(100000, 7, 3, 500, 3);        /* one object a line */
    come_and_go(100000, 1 << 20, 5, 9000, 4); /* lines far apart */
    come_and_go(40000, 1, 2, 20000, 5);
    come_and_go(30000, 7, 100, 600, 6); /* just above where a small table grows, */
    come_and_go(160000, 7, 3, 500, 7);  /* and a large one */
}

static void test_replaces(void **state) {
    struct haks_live t;
    (void)state;
    assert_int_equal(haks_live_init(&t), 0);
    assert_int_equal(haks_live_put(&t, 5, 100), 0);
    assert_int_equal(haks_live_put(&t, 5, 200), 0);
    assert_int_equal(haks_live_take(&t, 5), 200);
    assert_int_equal(haks_live_take(&t, 5), 0);
    assert_int_equal(t.count, 0);
    assert_int_equal(haks_live_take(&t, (UINT64_C(1) << 60) - 1), 0);
    haks_live_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
