/* The span lists: kinds, order, merging, failures, rounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/spans_log.h"

/* ---- kinds ----------------------------------------------------------------------------------- */

static void test_kinds(void **state) {
    (void)state;
    for (uint64_t page = 4096; page <= 65536; page *= 4) {
        uint64_t unit = 65536 / page;
        for (uint64_t pages = 1; pages < 5000; pages++) {
            uint32_t units = 0;
            unsigned kind = hak_span_kind(pages, page, &units);
            uint64_t offers = hak_span_kind_pages(kind, page);
            assert_in_range(kind, HAK_KIND_LARGE, HAK_SPAN_KINDS - 1);
            assert_true(offers >= pages);
            assert_true(units * unit >= offers && (units - 1) * unit < offers);
            /* no smaller kind would do, and the waste is at most an eighth and a page */
            if (kind > HAK_KIND_LARGE && hak_span_kind_pages(kind - 1, page) != offers)
                assert_true(hak_span_kind_pages(kind - 1, page) < pages);
            if (pages > unit)
                assert_true(offers - pages <= pages / 8 + 1);
        }
    }
    assert_int_equal(hak_span_kind_pages(HAK_KIND_SMALL, PAGE), 16);
    assert_int_equal(hak_span_kind_pages(HAK_KIND_MEDIUM, PAGE), 128);
    assert_int_equal(hak_span_kind(17, PAGE, NULL), HAK_KIND_LARGE);
    assert_int_equal(hak_span_kind(1, PAGE, NULL), HAK_KIND_LARGE);
    assert_in_range(hak_span_kind((uint64_t)512 << 18, PAGE, NULL), HAK_KIND_LARGE,
                    HAK_SPAN_KINDS - 1); /* 512 GiB */
    assert_int_equal(hak_span_kind((uint64_t)1 << 32, PAGE, NULL), HAK_SPAN_KINDS);
    assert_int_equal(hak_span_kind(UINT64_MAX, PAGE, NULL), HAK_SPAN_KINDS);
}

/* ---- order, states, merging ------------------------------------------------------------------ */

static void test_reuse_is_lifo(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "never", &log);
    struct hak_span a = used_span(&s, 0, 0, 16), b = used_span(&s, 0, 1, 3);
    struct hak_span m = used_span(&s, 1, 8, 100);
    assert_int_equal(s.active_pages, 16 + 16 + 128);
    assert_null(hak_spans_take(&s, 0, 0));
    hak_spans_put(&s, &a, 1);
    hak_spans_put(&s, &m, 2);
    hak_spans_put(&s, &b, 3);
    assert_int_equal(s.dirty_pages, 119);
    assert_int_equal(s.dirty_spans, 3);
    assert_int_equal(s.active_pages, 0);
    assert_ptr_equal(hak_spans_take(&s, 0, 4), &b);
    assert_int_equal(b.state, HAK_SPAN_DIRTY);
    assert_int_equal(b.used_pages, 3);
    assert_ptr_equal(hak_spans_take(&s, 0, 5), &a);
    assert_null(hak_spans_take(&s, 0, 6));
    assert_ptr_equal(hak_spans_take(&s, 1, 7), &m);
    assert_int_equal(s.dirty_pages, 0);
    assert_int_equal(s.dirty_spans, 0);
    assert_int_equal(s.active_pages, 16 + 16 + 128);
    assert_null(s.oldest);
    assert_null(s.youngest);
    assert_int_equal(log.n, 0);
}

static void test_states_by_how(void **state) {
    (void)state;
    static const struct {
        const char *policy;
        enum hak_span_state becomes;
        uint32_t used;
        uint64_t pages;
    } cases[] = {
        {"eager", HAK_SPAN_PURGED, 0, 5},
        {"eager:how=free", HAK_SPAN_LAZY, 5, 5},
        {"eager:how=unmap", HAK_SPAN_UNMAPPED, 0, 16},
    };
    for (size_t i = 0; i < 3; i++) {
        static struct call_log log;
        struct hak_spans s;
        start(&s, cases[i].policy, &log);
        struct hak_span a = used_span(&s, 0, 7, 5);
        hak_spans_put(&s, &a, 1);
        assert_int_equal(log.n, 1);
        expect_call(&log, 0, 7, 1, cases[i].pages, 5);
        assert_int_equal(a.state, cases[i].becomes);
        assert_int_equal(a.used_pages, cases[i].used);
        assert_int_equal(s.dirty_spans, 0);
        assert_ptr_equal(hak_spans_take(&s, 0, 2), &a);
        assert_int_equal(a.state, cases[i].becomes);
    }
}

static void test_clean_span_is_no_event(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "eager", &log);
    struct hak_span a = used_span(&s, 0, 7, 0);
    hak_spans_put(&s, &a, 1);
    assert_int_equal(log.n, 0);
    assert_int_equal(a.state, HAK_SPAN_PURGED);
    assert_ptr_equal(hak_spans_take(&s, 0, 2), &a);
}

/* A commit that failed: the span goes back, and must be committed the next time it is taken. */
static void test_unmapped_stays_unmapped(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "eager:how=unmap", &log);
    struct hak_span a = used_span(&s, 0, 7, 5);
    hak_spans_put(&s, &a, 1);
    for (uint64_t now = 2; now < 4; now++) {
        assert_ptr_equal(hak_spans_take(&s, 0, now), &a);
        assert_int_equal(a.state, HAK_SPAN_UNMAPPED);
        hak_spans_put(&s, &a, now);
    }
    assert_int_equal(log.n, 1);
}

static void test_merging(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "partial:5", &log);
    /* Units 10 and 11 small, 12..19 medium, 20 a gap in use, 21 small, 40 small. */
    struct hak_span a = used_span(&s, 0, 10, 4), b = used_span(&s, 0, 11, 16);
    struct hak_span m = used_span(&s, 1, 12, 70), c = used_span(&s, 0, 21, 1);
    struct hak_span d = used_span(&s, 0, 40, 2);
    hak_spans_put(&s, &d, 1);
    hak_spans_put(&s, &b, 2);
    hak_spans_put(&s, &m, 3);
    hak_spans_put(&s, &a, 4);
    assert_int_equal(log.n, 0);
    hak_spans_put(&s, &c, 5);
    assert_int_equal(log.n, 3);
    expect_call(&log, 0, 10, 3, 16 + 16 + 70, 4 + 16 + 70);
    expect_call(&log, 1, 21, 1, 1, 1);
    expect_call(&log, 2, 40, 1, 2, 2);
    assert_int_equal(s.released.rounds, 1);
    assert_int_equal(s.released.calls, 3);
    assert_int_equal(s.released.spans, 5);
    assert_int_equal(s.released.pages, 93);
    assert_int_equal(s.dirty_pages, 0);
}

/* The oldest go first: with more spans than a batch holds, the first calls are the oldest batch's,
 * by address, though younger spans lie below them. (test_spans_target.c: where a target ends it.)
 */
static void test_oldest_first(void **state) {
    (void)state;
    enum { N = HAK_SPAN_BATCH + 10 };
    static struct call_log log;
    static struct hak_span v[N];
    struct hak_spans s;
    start(&s, "never", &log);
    for (uint32_t i = 0; i < N; i++) {
        v[i] = used_span(&s, 0, 2 * (N - i), 16);
        hak_spans_put(&s, &v[i], i);
    }
    hak_spans_tell(&s, HAKP_EV_TRIM, N);
    assert_int_equal(log.n, N);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(log.calls[i].unit, i < HAK_SPAN_BATCH ? 2 * (11 + i) : 2 * (i - 255));
}

static void test_min_bytes(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "eager:min=128KiB", &log);
    struct hak_span a = used_span(&s, 0, 0, 16), m = used_span(&s, 1, 8, 1);
    hak_spans_put(&s, &a, 1);
    assert_int_equal(log.n, 0);
    assert_int_equal(s.dirty_spans, 0);
    assert_int_equal(a.state, HAK_SPAN_DIRTY);
    hak_spans_put(&s, &m, 2); /* its address space counts, not what is resident of it */
    assert_int_equal(log.n, 1);
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TRIM, 3), 0);
    assert_int_equal(log.n, 1);
    assert_ptr_equal(hak_spans_take(&s, 0, 4), &a);
    assert_int_equal(a.state, HAK_SPAN_DIRTY);
    assert_int_equal(s.dirty_spans, 0);
}

static void test_failure(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "partial:3", &log);
    struct hak_span a = used_span(&s, 0, 1, 16), b = used_span(&s, 0, 5, 16);
    struct hak_span c = used_span(&s, 0, 9, 16);
    log.fail_mask = 1u << 1;
    hak_spans_put(&s, &a, 1);
    hak_spans_put(&s, &b, 2);
    hak_spans_put(&s, &c, 3);
    assert_int_equal(log.n, 3); /* the failed one is not tried twice, the third still goes */
    assert_int_equal(s.released.failed, 1);
    assert_int_equal(s.released.calls, 2);
    assert_int_equal(s.released.spans, 2);
    assert_int_equal(a.state, HAK_SPAN_PURGED);
    assert_int_equal(b.state, HAK_SPAN_DIRTY);
    assert_int_equal(c.state, HAK_SPAN_PURGED);
    assert_int_equal(s.dirty_spans, 1);
    assert_int_equal(s.dirty_pages, 16);
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TRIM, 4), 16); /* a later round tries it again */
    assert_int_equal(log.n, 4);
    assert_int_equal(b.state, HAK_SPAN_PURGED);
    assert_int_equal(s.dirty_spans, 0);
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TRIM, 5), 0);
    assert_int_equal(s.released.rounds, 2);
}

/* More spans in one round than a batch holds: all go, runs are merged within each batch. */
static void test_many_batches(void **state) {
    (void)state;
    enum { N = 3 * HAK_SPAN_BATCH + 10 };
    static struct call_log log;
    static struct hak_span v[N];
    struct hak_spans s;
    start(&s, "never", &log);
    for (uint32_t i = 0; i < N; i++) {
        v[i] = used_span(&s, 0, i, 16);
        hak_spans_put(&s, &v[i], i);
    }
    assert_int_equal(hak_spans_tell(&s, HAKP_EV_TRIM, N), 16 * N);
    assert_int_equal(log.n, 4);
    expect_call(&log, 1, HAK_SPAN_BATCH, HAK_SPAN_BATCH, 16 * HAK_SPAN_BATCH, 16 * HAK_SPAN_BATCH);
    assert_int_equal(s.released.rounds, 1);
    assert_int_equal(s.dirty_pages, 0);
}

/* bounce: of each kind the youngest n stay; deeper ones go, also past a clean one. */
static void test_kind_limit(void **state) {
    (void)state;
    static struct call_log log;
    struct hak_spans s;
    start(&s, "bounce:2", &log);
    struct hak_span v[6], big = used_span(&s, HAK_KIND_MEDIUM, 100, 50);
    for (uint32_t i = 0; i < 6; i++)
        v[i] = used_span(&s, 0, 2 * i, i == 2 ? 0 : 10);
    hak_spans_put(&s, &v[0], 1);
    hak_spans_put(&s, &v[1], 2);
    hak_spans_put(&s, &big, 3); /* another kind, with a limit of its own */
    assert_int_equal(log.n, 0);
    hak_spans_put(&s, &v[2], 4); /* clean: no event; 0 is the third now */
    assert_int_equal(log.n, 0);
    hak_spans_put(&s, &v[3], 5); /* 0 and 1 lie below 3 and the clean 2 */
    assert_int_equal(log.n, 2);
    expect_call(&log, 0, 0, 1, 10, 10);
    expect_call(&log, 1, 2, 1, 10, 10);
    hak_spans_put(&s, &v[4], 6);
    assert_int_equal(log.n, 2);
    hak_spans_put(&s, &v[5], 7);
    assert_int_equal(log.n, 3);
    expect_call(&log, 2, 6, 1, 10, 10);
    assert_int_equal(s.dirty_spans, 3);
    assert_int_equal(s.dirty_pages, 70);
    for (unsigned i = 0; i < 20; i++) { /* what comes and goes costs nothing */
        struct hak_span *a = hak_spans_take(&s, 0, 8), *b = hak_spans_take(&s, HAK_KIND_MEDIUM, 8);
        hak_spans_put(&s, a, 9);
        hak_spans_put(&s, b, 9);
    }
    assert_int_equal(log.n, 3);
}

/* partial:N starts at most one round for N spans that became dirty. */
static void test_partial_rounds(void **state) {
    (void)state;
    static struct call_log log;
    for (unsigned n = 1; n <= 50; n += 7) {
        static struct hak_span v[64];
        struct hak_spans s;
        uint32_t x = n;
        unsigned dirtied = 0;
        char policy[32] = "partial:";
        char digits[3] = {(char)('0' + n / 10), (char)('0' + n % 10), '\0'};
        start(&s, strcat(policy, digits), &log);
        log.fail_mask = 0x8421;
        for (unsigned i = 0; i < 64; i++)
            v[i] = used_span(&s, 0, 2 * i, 16);
        for (unsigned step = 0; step < 20000; step++) {
            unsigned i = rnd(&x) % 64;
            if (v[i].state == HAK_SPAN_USED) {
                v[i].used_pages = 16;
                hak_spans_put(&s, &v[i], step);
                dirtied++;
            } else {
                hak_spans_take(&s, 0, step)->state = HAK_SPAN_USED;
            }
            assert_true(s.released.rounds * n <= dirtied);
        }
        assert_true(n > 30 || s.released.rounds > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_reuse_is_lifo),
        cmocka_unit_test(test_states_by_how),
        cmocka_unit_test(test_clean_span_is_no_event),
        cmocka_unit_test(test_unmapped_stays_unmapped),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_min_bytes),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_many_batches),
        cmocka_unit_test(test_kind_limit),
        cmocka_unit_test(test_partial_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
