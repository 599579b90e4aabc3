/* Latencies: size classes, merging of histograms, the list of the slowest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "replay/latency.h"
#include "replay/shm.h"

static void test_size_classes(void **unused) {
    (void)unused;
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

static void test_merge(void **unused) {
    (void)unused;
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

/* ---- from the counter's ticks in shared memory to quantiles in ps -----------------------------
 */

#define THREADS 3u
#define OPS     30000u

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A control block in a memfd, as a run leaves it. */
static struct hakr_ctl *control(int *fd, double ticks_per_ns) {
    uint64_t threads = (sizeof(struct hakr_ctl) + 63) & ~UINT64_C(63);
    uint64_t at = threads + THREADS * sizeof(struct hakr_shm_thread);
    uint64_t hists = (at + 4095) & ~UINT64_C(4095);
    uint64_t bytes = hists + THREADS * HAKR_LATENCY_CELLS * sizeof(struct hakc_hist);
    *fd = memfd_create("test-latency", MFD_CLOEXEC);
    assert_true(*fd >= 0 && ftruncate(*fd, (off_t)bytes) == 0);
    struct hakr_ctl *c = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    assert_true(c != MAP_FAILED);
    c->bytes = bytes;
    c->n_threads = THREADS;
    c->off_threads = threads;
    c->off_hists = hists;
    c->tsc = 1;
    c->tick_ns = 1000000000;
    c->ticks = (uint64_t)(1e9 * ticks_per_ns);
    c->step_ticks = 1;
    return c;
}

/* The bar is 1 %, over both roundings, for every kind of op and for all together. A tick is no
 * finer than it is: what takes a few of them is known to half a tick. */
static void check_rate(double ticks_per_ns) {
    static const double q[] = {0.5, 0.9, 0.99, 0.999, 1};
    static double want[HAKR_LAT_COUNT + 1][(HAKR_LAT_COUNT + 1) * OPS];
    size_t n[HAKR_LAT_COUNT + 1] = {0};
    struct hakr_latency *l;
    struct hakc_err err;
    int fd;
    struct hakr_ctl *c = control(&fd, ticks_per_ns);
    for (unsigned i = 0; i < OPS; i++) {
        unsigned op = (unsigned)(next_random() % HAKR_LAT_COUNT), t = i % THREADS;
        unsigned cell = hakr_latency_cell(op, (unsigned)(next_random() % 8));
        uint64_t ticks = 20 + (next_random() >> (20 + next_random() % 40)); /* 8 ns to hours */
        struct hakr_shm_thread *th = &hakr_threads(c)[t];
        if ((th->hists_used[cell / 64] >> cell % 64 & 1) == 0)
            hakc_hist_init(hakr_hist(c, t, cell));
        th->hists_used[cell / 64] |= UINT64_C(1) << cell % 64;
        hakc_hist_add(hakr_hist(c, t, cell), ticks);
        double ps = (double)ticks * 1e3 / ticks_per_ns;
        want[op][n[op]++] = ps;
        want[HAKR_LAT_COUNT][n[HAKR_LAT_COUNT]++] = ps;
    }
    assert_int_equal(hakr_latency_collect(c, fd, &l, &err), 0);
    struct hakc_hist *h = malloc(sizeof *h);
    double worst = 0;
    for (unsigned op = 0; op <= HAKR_LAT_COUNT; op++) {
        hakc_hist_init(h);
        hakr_latency_sum(l, op, h);
        assert_int_equal(h->count, n[op]);
        qsort(want[op], n[op], sizeof **want, compare);
        for (unsigned k = 0; k < sizeof q / sizeof *q; k++) {
            size_t rank = (size_t)ceil(q[k] * (double)n[op]);
            double w = want[op][rank - 1], next = want[op][rank < n[op] ? rank : rank - 1];
            double got = (double)hakc_hist_quantile(h, q[k]);
            double off = fmin(fabs(got - w) / w, fabs(got - next) / next);
            worst = fmax(worst, off);
        }
    }
    print_message("%.2f ticks a ns: worst quantile off by %.3f %%\n", ticks_per_ns, 100 * worst);
    assert_true(worst <= 0.01);
    free(h);
    hakr_latency_free(l);
    munmap(c, c->bytes);
    close(fd);
}

static void test_error_of_quantiles(void **unused) {
    (void)unused;
    check_rate(1);
    check_rate(2.599998);
    check_rate(0.0384); /* a slow counter */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_classes),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_error_of_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
