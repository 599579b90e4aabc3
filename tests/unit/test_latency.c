/* Latencies: size classes, merging of histograms, the list of the slowest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "replay/latency.h"

static void test_size_classes(void **state) {
    (void)state;
    assert_int_equal(hakr_size_class(0), 0);
    assert_int_equal(hakr_size_class(16), 0);
    assert_int_equal(hakr_size_class(17), 1);
    for (unsigned c = 0; c + 1 < HAKR_SIZE_CLASSES; c++) {
        uint64_t max = hakr_size_class_max(c);
        assert_int_equal(hakr_size_class(max), c);
        assert_int_equal(hakr_size_class(max + 1), c + 1);
    }
    assert_int_equal(hakr_size_class_max(22), UINT64_C(64) << 20);
    assert_int_equal(hakr_size_class(UINT64_MAX), HAKR_SIZE_CLASSES - 1);
}

static struct hakr_latency *made(uint64_t from, uint64_t n, unsigned cell) {
    struct hakr_latency *l = hakr_latency_new(3);
    assert_non_null(l);
    l->cells[cell] = malloc(sizeof *l->cells[cell]);
    assert_non_null(l->cells[cell]);
    hakc_hist_init(l->cells[cell]);
    for (uint64_t i = 0; i < n; i++)
        hakc_hist_add(l->cells[cell], from + i);
    for (uint64_t i = 0; i < 3; i++)
        l->slowest[i] = (struct hakr_slow){.ticks = from + 10 - i, .op = i};
    l->n_slowest = 3;
    return l;
}

static void test_merge(void **state) {
    (void)state;
    unsigned a = hakr_latency_cell(HAKR_LAT_MALLOC, 2), b = hakr_latency_cell(HAKR_LAT_FREE, 5);
    struct hakr_latency *x = made(1000, 500, a), *y = made(1005, 700, b),
                        *sum = hakr_latency_new(3);
    struct hakc_err err;
    struct hakc_hist *h = malloc(sizeof *h);
    assert_non_null(sum);
    assert_non_null(h);
    assert_int_equal(hakr_latency_add(sum, x, &err), 0);
    assert_int_equal(hakr_latency_add(sum, y, &err), 0);
    assert_int_equal(hakr_latency_add(sum, y, &err), 0);
    hakc_hist_init(h);
    hakr_latency_sum(sum, HAKR_LAT_FREE, h);
    assert_int_equal(h->count, 1400);
    assert_int_equal(h->max, 1704);
    hakc_hist_init(h);
    hakr_latency_sum(sum, HAKR_LAT_COUNT, h);
    assert_int_equal(h->count, 1900);
    assert_int_equal(h->min, 1000);
    /* of the nine slowest ops, 1015 1015 1014 */
    assert_int_equal(sum->n_slowest, 3);
    assert_int_equal(sum->slowest[0].ticks, 1015);
    assert_int_equal(sum->slowest[1].ticks, 1015);
    assert_int_equal(sum->slowest[2].ticks, 1014);
    free(h);
    hakr_latency_free(x);
    hakr_latency_free(y);
    hakr_latency_free(sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_classes),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
