/* Raw stamps to ns: in order, through bends of the line, and true. */
#include "tracer/collect_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void the_line_is_never_broken(void **state) {
    struct hakt_clock c;
    uint64_t last = 0;
    (void)state;
    assert_int_equal(hakt_clock_start(&c, HAKT_CLOCK_AUTO), 0);
    for (int i = 0; i < 2000; i++) {
        uint64_t raw = hakt_clock_now(&c), before = hakt_clock_ns(&c, raw);
        hakt_clock_update(&c);
        uint64_t after = hakt_clock_ns(&c, raw);
        assert_true(before >= last);
        /* the bend is at most a thousandth, over the time since the stamp */
        assert_true(after + 1000 + (hakt_clock_ns(&c, c.raw) - before) / 500 >= before);
        last = before;
        struct timespec ts = {0, 20000};
        nanosleep(&ts, NULL);
    }
}

static void it_tells_the_time(void **state) {
    struct hakt_clock c;
    (void)state;
    assert_int_equal(hakt_clock_start(&c, HAKT_CLOCK_AUTO), 0);
    for (int i = 0; i < 20; i++) {
        struct timespec ts = {0, 10000000};
        nanosleep(&ts, NULL);
        hakt_clock_update(&c);
        uint64_t lo = monotonic(), ns = hakt_clock_ns(&c, hakt_clock_now(&c)), hi = monotonic();
        assert_true(ns + 50000 >= lo - c.ns0);
        assert_true(ns <= hi - c.ns0 + 50000);
    }
}

static void conversions(void **state) {
    struct hakt_clock c = {.kind = HAKT_SHM_TSC, .raw = 1000, .ns = 500, .mult = 1ull << 31};
    struct hakt_clock m = {.kind = HAKT_SHM_MONOTONIC, .raw0 = 100};
    (void)state;
    assert_int_equal(hakt_clock_ns(&c, 1000), 500); /* two ticks a ns */
    assert_int_equal(hakt_clock_ns(&c, 1200), 600);
    assert_int_equal(hakt_clock_ns(&c, 800), 400);
    assert_int_equal(hakt_clock_ns(&c, 0), 0);
    assert_int_equal(hakt_clock_ns(&c, 1000 + (1ull << 62)), 500 + (1ull << 61));
    assert_int_equal(hakt_clock_span(&c, 50), 100);
    assert_int_equal(hakt_clock_ns(&m, 50), 0);
    assert_int_equal(hakt_clock_ns(&m, 150), 50);
    assert_int_equal(hakt_clock_span(&m, 50), 50);
    assert_string_equal(hakt_clock_name(&c), "tsc");
    assert_string_equal(hakt_clock_name(&m), "monotonic");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions),
        cmocka_unit_test(the_line_is_never_broken),
        cmocka_unit_test(it_tells_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
