/* The books of a full run, fed directly: huge pages, and pages that MADV_FREE marks again. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim/page_books.h"

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)

static struct haks_books books;
static struct haks_os_listener door;
static char *const base = (char *)(8 * HUGE); /* only an address */

static int setup(void **state) {
    (void)state;
    haks_books_init(&books, PAGE);
    door = (struct haks_os_listener){0};
    haks_books_listen(&books, &door);
    door.reserved(door.ctx, base, 8 * HUGE);
    return 0;
}

static void touch(size_t at, size_t pages) {
    haks_books_touch(&books, base + at, pages * PAGE, pages * PAGE);
    haks_books_settle(&books);
}

static void expect(uint64_t faults, uint64_t huge, uint64_t resident) {
    assert_int_equal(books.failed, 0);
    assert_int_equal(books.faults, faults);
    assert_int_equal(books.heat.n.huge_faults, huge);
    assert_int_equal(books.meter.resident, resident);
}

/* One fault brings in all of a huge page, where nothing of it is there. */
static void test_huge(void **state) {
    (void)state;
    touch(0, 3);
    expect(3, 0, 3);
    door.range(door.ctx, HAKS_HUGE, base, 3 * HUGE);
    touch(0, 5); /* part of it is there: small ones, as before */
    expect(5, 0, 5);
    touch(HUGE + 7 * PAGE, 1);
    expect(6, 1, 517);
    touch(HUGE, 512);
    expect(6, 1, 517);
    touch(2 * HUGE - PAGE, 2); /* the end of one and the begin of the next */
    expect(7, 2, 1029);
    touch(3 * HUGE, 1); /* not asked for there */
    expect(8, 2, 1030);
}

/* What goes in part comes back in small pages, what goes whole as a huge one. */
static void test_huge_given_back(void **state) {
    (void)state;
    door.range(door.ctx, HAKS_HUGE, base, HUGE);
    touch(0, 1);
    expect(1, 1, 512);
    door.range(door.ctx, HAKS_DONTNEED, base, 16 * PAGE);
    expect(1, 1, 496);
    touch(0, 16);
    expect(17, 1, 512);
    door.range(door.ctx, HAKS_DONTNEED, base, HUGE);
    touch(PAGE, 1);
    expect(18, 2, 512);
    door.range(door.ctx, HAKS_UNMAP, base, 16 * PAGE); /* a new mapping knows nothing of advice */
    door.range(door.ctx, HAKS_DONTNEED, base, HUGE);
    touch(0, 1);
    expect(19, 2, 1);
}

/* Advice is for whole huge pages, and goes with what is moved. */
static void test_huge_asked_and_moved(void **state) {
    (void)state;
    door.range(door.ctx, HAKS_HUGE, base + PAGE, 2 * HUGE);
    touch(0, 1);
    expect(1, 0, 1);
    touch(HUGE, 1);
    expect(2, 1, 513);
    touch(2 * HUGE, 1);
    expect(3, 1, 514);
    assert_int_equal(door.move(door.ctx, base + HUGE, base + 4 * HUGE, HUGE), 0);
    expect(3, 1, 514);
    door.range(door.ctx, HAKS_DONTNEED, base + 4 * HUGE, HUGE);
    touch(4 * HUGE, 1);
    expect(4, 2, 514);
}

/* A page that MADV_FREE marked and its program used again costs less to mark again. */
static void test_marked_again(void **state) {
    (void)state;
    touch(0, 4);
    door.range(door.ctx, HAKS_FREE, base, 4 * PAGE);
    assert_int_equal(books.heat.n.marked_again, 0);
    haks_books_taken(&books, base, 4 * PAGE);
    touch(0, 6);
    door.range(door.ctx, HAKS_FREE, base, 6 * PAGE);
    assert_int_equal(books.heat.n.marked_again, 4);
    haks_books_taken(&books, base, 6 * PAGE);
    door.range(door.ctx, HAKS_DONTNEED, base, 3 * PAGE);
    touch(0, 6);
    door.range(door.ctx, HAKS_FREE, base, 6 * PAGE);
    assert_int_equal(books.heat.n.marked_again, 7);
    expect(9, 0, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_huge, setup),
        cmocka_unit_test_setup(test_huge_given_back, setup),
        cmocka_unit_test_setup(test_huge_asked_and_moved, setup),
        cmocka_unit_test_setup(test_marked_again, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
