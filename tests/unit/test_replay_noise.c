/* What disturbs an experiment, and the clock that latencies are taken by: decided from trees of
 * files as the kernel would show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "replay/noise.h"
#include "replay/tick.h"

static char root[] = "/tmp/hak-test-noise.XXXXXX";

static int make_root(void **state) {
    (void)state;
    return mkdtemp(root) == NULL;
}

static int drop_root(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void put(const char *dir, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "mkdir -p %s/%s", root, dir);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/%s/%s", root, dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void stat_line(unsigned long user, unsigned long steal) {
    char text[128];
    snprintf(text, sizeof text, "cpu  %lu 10 20 99999 5 1 2 %lu 0 0\ncpu0 1 2 3 4 5 6 7 8\n", user,
             steal);
    put("proc", "stat", text);
}

#define THROTTLE "sys/devices/system/cpu/cpu0/thermal_throttle"

/* Readings as they would be after one second of two processors. */
static void one_second(struct hakr_noise *n) {
    n->wall_ns = UINT64_C(1000000000);
    n->all_ns = UINT64_C(2000000000);
}

static void test_readings(void **state) {
    (void)state;
    struct hakr_noise n;
    long hz = sysconf(_SC_CLK_TCK);
    char buf[160];
    stat_line(1000, 300);
    put(THROTTLE, "core_throttle_count", "17\n");
    put(THROTTLE, "package_throttle_count", "5\n");
    hakr_noise_begin(&n, root);
    stat_line(1000 + (unsigned long)hz, 300 + (unsigned long)hz / 2); /* 1 s, and 0.5 s stolen */
    put(THROTTLE, "core_throttle_count", "20\n");
    put(THROTTLE, "package_throttle_count", "6\n");
    hakr_noise_end(&n, root);
    assert_true(n.busy_ns == UINT64_C(1000000000) && n.steal_ns == UINT64_C(500000000));
    assert_int_equal(n.throttled, 4);
    one_second(&n);
    n.own_ns = UINT64_C(600000000);
    assert_true(fabs(hakr_noise_neighbours(&n) - 0.2) < 1e-9);
    assert_true(fabs(hakr_noise_stolen(&n) - 0.25) < 1e-9);
    assert_string_equal(hakr_noise_sentence(&n, 0, buf, sizeof buf),
                        "Noise: other programs used 20 % of the processors' time meanwhile: times "
                        "are of a shared machine.");
    assert_string_equal(hakr_noise_sentence(&n, 1, buf, sizeof buf),
                        "Noise: the hypervisor took 25 % of the processors' time.");
    assert_string_equal(hakr_noise_sentence(&n, 2, buf, sizeof buf),
                        "Noise: processors were throttled 4 times.");
    assert_null(hakr_noise_sentence(&n, 3, buf, sizeof buf));
    /* too short for shares, but throttling is told all the same */
    n.wall_ns = 1000000;
    assert_string_equal(hakr_noise_sentence(&n, 0, buf, sizeof buf),
                        "Noise: processors were throttled 4 times.");
    assert_null(hakr_noise_sentence(&n, 1, buf, sizeof buf));
}

static void test_quiet_and_unknown(void **state) {
    (void)state;
    struct hakr_noise n;
    char buf[160];
    stat_line(1000, 300);
    hakr_noise_begin(&n, root);
    hakr_noise_end(&n, root);
    one_second(&n);
    assert_true(hakr_noise_neighbours(&n) == 0 && hakr_noise_stolen(&n) == 0);
    assert_null(hakr_noise_sentence(&n, 0, buf, sizeof buf));
    hakr_noise_begin(&n, "/nowhere");
    hakr_noise_end(&n, "/nowhere");
    one_second(&n);
    assert_true(isnan(hakr_noise_neighbours(&n)) && isnan(hakr_noise_stolen(&n)));
    assert_true(n.throttled == UINT64_MAX);
    assert_null(hakr_noise_sentence(&n, 0, buf, sizeof buf));
    /* counters that jump back (a processor that came anew) are no throttling */
    put(THROTTLE, "core_throttle_count", "20\n");
    hakr_noise_begin(&n, root);
    put(THROTTLE, "core_throttle_count", "0\n");
    hakr_noise_end(&n, root);
    assert_int_equal(n.throttled, 0);
}

static void expect_clock(int invariant, const char *available, int tsc, const char *word) {
    const char *why;
    assert_int_equal(hakr_tick_decide(invariant, available, &why), tsc);
    assert_true(tsc ? why[0] == '\0' : strstr(why, word) != NULL);
}

static void test_clock(void **state) {
    (void)state;
    expect_clock(1, "tsc hpet acpi_pm \n", 1, "");
    expect_clock(1, "kvm-clock tsc\n", 1, "");
    expect_clock(1, NULL, 1, ""); /* no list: the processor's word alone */
    expect_clock(0, "tsc hpet acpi_pm \n", 0, "not invariant");
    expect_clock(0, NULL, 0, "not invariant");
    expect_clock(1, "hpet acpi_pm \n", 0, "kernel does not trust");
    expect_clock(1, "", 0, "kernel does not trust");
    expect_clock(1, "tsc-early hpet\n", 0, "kernel does not trust");
    expect_clock(1, "xtsc hpet\n", 0, "kernel does not trust");
    const char *why;
    static const char dir[] = "sys/devices/system/clocksource/clocksource0";
    put(dir, "available_clocksource", "hpet acpi_pm \n");
    assert_int_equal(hakr_tick_choose(root, &why), 0);
    assert_true(why[0] != '\0');
    put(dir, "available_clocksource", "tsc hpet acpi_pm \n");
    assert_int_equal(hakr_tick_choose(root, &why), hakr_tick_choose("/nowhere", &why));
}

/* Each clock goes forward. */
static void test_ticks(void **state) {
    (void)state;
    uint64_t a = hakr_tick(0), b = hakr_tick(1), c = hakr_tick(0), d = hakr_tick(1);
    assert_true(c >= a && d > b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_quiet_and_unknown),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_ticks),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
