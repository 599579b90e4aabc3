#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/map.h"

static uint64_t next_random(uint64_t *s) {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Random puts, finds and takes against a plain array, over a key range dense enough to collide. */
static void test_against_array(void **state) {
    (void)state;
    enum { KEYS = 5000 };
    static uint64_t model[KEYS]; /* 0 = absent */
    struct hakc_map m;
    uint64_t seed = 88172645463325252ull;
    size_t held = 0;
    assert_int_equal(hakc_map_init(&m, 0), 0);
    for (int step = 0; step < 400000; step++) {
        uint64_t r = next_random(&seed);
        uint64_t k = (r >> 8) % KEYS;
        /* three families of keys: dense ids, addresses 16 apart, and high bits only */
        uint64_t key = k % 3 == 0 ? k + 1 : k % 3 == 1 ? 0x7f0000000000 + k * 16 : (k + 1) << 44;
        uint64_t got = 0;
        switch (r % 4) {
        case 0:
        case 1:
            held += model[k] == 0;
            model[k] = r | 1;
            assert_int_equal(hakc_map_put(&m, key, r | 1), 0);
            break;
        case 2:
            assert_int_equal(hakc_map_take(&m, key, &got), model[k] != 0);
            assert_int_equal(got, model[k]);
            held -= model[k] != 0;
            model[k] = 0;
            break;
        default: {
            uint64_t *v = hakc_map_find(&m, key);
            assert_int_equal(v != NULL, model[k] != 0);
            if (v != NULL)
                assert_int_equal(*v, model[k]);
        }
        }
        assert_int_equal(hakc_map_count(&m), held);
    }
    size_t cursor = 0, seen = 0;
    while (hakc_map_next(&m, &cursor) != NULL)
        seen++;
    assert_int_equal(seen, held);
    hakc_map_clear(&m);
    assert_int_equal(hakc_map_count(&m), 0);
    assert_null(hakc_map_find(&m, 1));
    hakc_map_fini(&m);
}

static void test_churn_keeps_the_size(void **state) {
    (void)state;
    struct hakc_map m;
    assert_int_equal(hakc_map_init(&m, 1000), 0);
    size_t slots = m.mask;
    for (uint64_t id = 1; id <= 200000; id++) {
        assert_int_equal(hakc_map_put(&m, id, id * 3), 0);
        if (id > 1000) {
            uint64_t v;
            assert_int_equal(hakc_map_take(&m, id - 1000, &v), 1);
            assert_int_equal(v, (id - 1000) * 3);
        }
    }
    assert_int_equal(m.mask, slots); /* no tombstones: churn does not make it grow */
    assert_int_equal(hakc_map_count(&m), 1000);
    hakc_map_fini(&m);
}

static void test_zero_is_no_key(void **state) {
    (void)state;
    struct hakc_map m;
    assert_int_equal(hakc_map_init(&m, 0), 0);
    assert_null(hakc_map_find(&m, 0));
    assert_int_equal(hakc_map_take(&m, 0, NULL), 0);
    assert_int_equal(hakc_map_put(&m, UINT64_MAX, 7), 0);
    assert_int_equal(*hakc_map_find(&m, UINT64_MAX), 7);
    hakc_map_fini(&m);
    assert_int_equal(hakc_map_init(&m, SIZE_MAX), HAKC_ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_churn_keeps_the_size),
        cmocka_unit_test(test_zero_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
