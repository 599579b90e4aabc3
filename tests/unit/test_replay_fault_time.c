/* The account pass's price of a fault: what is timed, what is left out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "replay/fault_time.h"

#define PAGES 64u

static char *fresh(void) {
    size_t bytes = PAGES * (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static void touch(char *p) {
    for (unsigned i = 0; i < PAGES; i++)
        *(volatile char *)(p + i * (size_t)sysconf(_SC_PAGESIZE)) = 1;
}

/* An op that faults PAGES pages in, said to have taken ns. */
static void op(struct hakr_fault_time *f, uint64_t ns) {
    struct hakr_fault_start start = {0, f->trapped};
    char *p = fresh();
    touch(p);
    hakr_fault_time_look(f, &start, ns);
    munmap(p, PAGES * (size_t)sysconf(_SC_PAGESIZE));
}

static void test_faults_are_timed(void **state) {
    (void)state;
    struct hakr_fault_time f = {0};
    hakr_fault_time_begin(&f);
    op(&f, PAGES * 1000);
    if (f.ops == 0) /* the processor went elsewhere just then */
        skip();
    assert_in_range(f.faults, PAGES, PAGES + PAGES / 2); /* a sanitizer makes some of its own */
    assert_int_equal(f.ns, PAGES * 1000);
    struct hakr_fault_start start = {0, 0};
    hakr_fault_time_look(&f, &start, 5000); /* no fault in it */
    assert_int_equal(f.ops, 1);
}

static void test_what_is_left_out(void **state) {
    (void)state;
    struct hakr_fault_time f = {0};
    hakr_fault_time_begin(&f);
    op(&f, PAGES * 3 * (uint64_t)HAKR_FAULT_MOST_NS); /* something else ran */
    assert_int_equal(f.ops, 0);

    struct hakr_fault_start start = {0, 0};
    char *p = fresh();
    f.trapped++; /* a memory call in the op, and nobody restarted */
    touch(p);
    hakr_fault_time_look(&f, &start, PAGES * 1000);
    assert_int_equal(f.ops, 0);
    munmap(p, PAGES * (size_t)sysconf(_SC_PAGESIZE));

    f.preempted--; /* as if the processor had been taken away since */
    op(&f, PAGES * 1000);
    assert_int_equal(f.ops, 0);
}

/* After a memory call only what follows is timed: its faults, its time. */
static void test_restart(void **state) {
    (void)state;
    struct hakr_fault_time f = {0};
    struct hakr_fault_start start = {0, 0};
    char *before = fresh(), *after = fresh();
    hakr_fault_time_begin(&f);
    touch(before);
    f.trapped++;
    hakr_fault_time_restart(&f, &start);
    assert_int_equal(start.trapped, 1);
    assert_true(start.ns > 0);
    touch(after);
    hakr_fault_time_look(&f, &start, PAGES * 1000);
    if (f.ops != 0)
        assert_in_range(f.faults, PAGES, PAGES + PAGES / 2); /* a sanitizer makes some of its own */
    munmap(before, PAGES * (size_t)sysconf(_SC_PAGESIZE));
    munmap(after, PAGES * (size_t)sysconf(_SC_PAGESIZE));
}

static void test_price(void **state) {
    (void)state;
    struct {
        struct hakr_fault_time f;
        uint64_t other;
    } t[2] = {{{.faults = 10, .ops = 5, .ns = 15000, .quick_ops = 100, .quick_ns = 3000}, 0},
              {{.faults = 30, .ops = 10, .ns = 45450, .quick_ops = 100, .quick_ns = 3000}, 0}};
    /* (60,450 - 15 ops of 30 ns) / 40 */
    assert_true(hakr_fault_price(&t[0].f, 2, sizeof t[0]) == 1500.0);
    assert_true(hakr_fault_price(&t[0].f, 1, sizeof t[0]) == -1); /* too few */
    t[1].f.ns = 0;
    t[0].f.ns = 1;
    assert_true(hakr_fault_price(&t[0].f, 2, sizeof t[0]) == 0); /* not below nothing */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_are_timed),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
