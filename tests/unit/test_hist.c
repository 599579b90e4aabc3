/* The histogram against the sorted values it was given. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/hist.h"

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct hakc_hist *new_hist(void) {
    struct hakc_hist *h = aligned_alloc(64, (sizeof *h + 63) / 64 * 64);
    assert_non_null(h);
    hakc_hist_init(h);
    return h;
}

/* The buckets follow each other without gap or overlap, up to the largest value. */
static void test_buckets(void **state) {
    (void)state;
    uint64_t low = 0;
    for (unsigned i = 0; i < HAKC_HIST_BUCKETS; i++) {
        uint64_t width = hakc_hist_width(i);
        assert_int_equal(hakc_hist_low(i), low);
        assert_int_equal(hakc_hist_index(low), i);
        assert_int_equal(hakc_hist_index(low + (width - 1)), i);
        assert_true(width == 1 || width <= low / HAKC_HIST_SUB);
        low += width;
    }
    assert_int_equal(low, 0); /* wrapped exactly at 2^64 */
    assert_int_equal(hakc_hist_index(UINT64_MAX), HAKC_HIST_BUCKETS - 1);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_quantiles(void **state) {
    (void)state;
    enum { N = 20000 };
    static uint64_t v[N];
    struct hakc_hist *h = new_hist();
    double sum = 0;
    for (unsigned i = 0; i < N; i++) {
        v[i] = next_random() >> (next_random() % 60); /* every magnitude */
        hakc_hist_add(h, v[i]);
        sum += (double)v[i];
    }
    qsort(v, N, sizeof *v, compare);
    assert_int_equal(h->count, N);
    assert_int_equal(h->min, v[0]);
    assert_int_equal(h->max, v[N - 1]);
    assert_true(fabs(hakc_hist_mean(h) - sum / N) <= sum / N * 1e-9);
    for (unsigned permille = 0; permille <= 1000; permille++) {
        unsigned rank = (permille * N + 999) / 1000;
        double want = (double)v[rank ? rank - 1 : 0];
        double got = (double)hakc_hist_quantile(h, permille / 1000.0);
        /* permille / 1000.0 * N may round up to the next rank: allow either neighbour */
        double next = (double)v[rank < N ? rank : N - 1];
        assert_true(fabs(got - want) <= want * 0.004 || fabs(got - next) <= next * 0.004);
    }
    assert_int_equal(hakc_hist_quantile(h, 1), v[N - 1]);
    assert_int_equal(hakc_hist_quantile(h, 0), v[0]);
    free(h);
}

static void test_small_values_are_exact(void **state) {
    (void)state;
    struct hakc_hist *h = new_hist();
    assert_int_equal(hakc_hist_quantile(h, 0.5), 0);
    assert_true(hakc_hist_mean(h) == 0);
    for (unsigned v = 0; v < 256; v++)
        hakc_hist_add_n(h, v, 4);
    hakc_hist_add_n(h, 7, 0);
    assert_int_equal(h->count, 1024);
    for (unsigned v = 0; v < 256; v++)
        assert_int_equal(hakc_hist_quantile(h, (4 * v + 2) / 1024.0), v);
    free(h);
}

static void test_merge(void **state) {
    (void)state;
    struct hakc_hist *a = new_hist(), *b = new_hist(), *both = new_hist();
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t v = next_random() >> (i % 64);
        hakc_hist_add(i % 3 ? a : b, v);
        hakc_hist_add_n(both, v, 1);
    }
    hakc_hist_merge(a, b);
    assert_memory_equal(a->bucket, both->bucket, sizeof a->bucket);
    assert_int_equal(a->count, both->count);
    assert_int_equal(a->min, both->min);
    assert_int_equal(a->max, both->max);
    assert_true(a->sum == both->sum);
    struct hakc_hist *empty = new_hist();
    hakc_hist_merge(a, empty); /* an empty one's min and max must not spoil ours */
    assert_int_equal(a->min, both->min);
    assert_int_equal(a->max, both->max);
    free(empty);
    free(a);
    free(b);
    free(both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
