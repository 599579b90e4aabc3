/* What the collector asks the system: whether the processors are taken, and how much memory it may
 * use. */
#include "tracer/memory_room.h"
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

static void the_backlog_fits(void **state) {
    uint64_t room = hakt_memory_room(), size = hakt_backlog_default();
    (void)state;
    assert_true(room > 0);
    assert_true(size > 0 && size <= 256u << 20 && size <= room / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_threads_count),
        cmocka_unit_test(the_backlog_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
