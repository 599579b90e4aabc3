/* Whether the processors are taken. */
#include "tracer/processors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull

static void waiting_threads_count(void **state) {
    struct hakt_processors p;
    (void)state;
    hakt_processors_open(&p);
    if (p.fd < 0)
        skip();
    assert_int_equal(p.count, sysconf(_SC_NPROCESSORS_ONLN));
    p.count = 1u << 30;
    assert_int_equal(hakt_processors_busy(&p, 10 * MS, 1u << 30, 100), 0);
    assert_int_equal(hakt_processors_busy(&p, 15 * MS, 100, 1u << 30), 0); /* others' threads */
    assert_int_equal(hakt_processors_busy(&p, 20 * MS, 1u << 30, 1u << 30), 1);
    assert_int_equal(hakt_processors_busy(&p, 22 * MS, 0, 0), 1); /* a moment ago */
    assert_int_equal(hakt_processors_busy(&p, 40 * MS, 1u << 30, 0), 0);
    hakt_processors_take_turns(&p, 50 * MS);
    hakt_processors_close(&p);
    assert_int_equal(hakt_processors_busy(&p, 60 * MS, 1u << 30, 1u << 30),
                     0); /* not known: never */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_threads_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
