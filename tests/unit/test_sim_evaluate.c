/* Streams written by hand, policies over them, and figures worked out by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "alloc/spans.h"
#include "sim/cost_model.h"
#include "sim/event_stream.h"

#define PAGE 4096u

/* Writes a stream, span by span and event by event. */
struct author {
    struct haks_stream_writer w;
    int events_fd, spans_fd;
};

static void begin(struct author *a) {
    a->events_fd = memfd_create("events", 0);
    a->spans_fd = memfd_create("spans", 0);
    assert_int_equal(haks_writer_init(&a->w, a->events_fd, a->spans_fd), 0);
}

static void fresh(struct author *a, uint32_t unit, unsigned kind, uint64_t op, uint64_t time) {
    uint32_t units = 1;
    if (kind == HAK_KIND_MEDIUM)
        units = 8;
    else if (kind >= HAK_KIND_LARGE)
        hak_span_kind(hak_span_kind_pages(kind, PAGE), PAGE, &units);
    haks_writer_span(&a->w, &(struct haks_span_info){unit, units, kind});
    haks_writer_event(&a->w, HAKS_EV_FRESH, unit, 0, op, time);
}

static void event(struct author *a, enum haks_event_kind kind, uint32_t unit, uint32_t pages,
                  uint64_t op, uint64_t time) {
    haks_writer_event(&a->w, kind, unit, pages, op, time);
}

static struct haks_stream *end(struct author *a) {
    struct haks_stream *s;
    assert_int_equal(haks_writer_end(&a->w), 0);
    assert_int_equal(haks_stream_map(&s, a->events_fd, a->spans_fd, NULL), 0);
    close(a->events_fd);
    close(a->spans_fd);
    return s;
}

static struct haks_figures evaluate(const struct haks_stream *s, const struct haks_pass *pass,
                                    const char *policy) {
    struct hakp_spec spec;
    struct haks_figures f;
    struct hakc_err err = {0};
    assert_int_equal(hakp_parse(policy, &spec, NULL, 0), 0);
    if (haks_evaluate(s, pass, &haks_costs_reference, &spec, &f, &err) != 0)
        fail_msg("%s", err.msg);
    return f;
}

/* One small span: used for ops 0..9 with 4 pages, free for 10..19, used for 20..29 with 6 pages,
 * then free to the end, op 40. Time runs at 100 ns an op. */
static struct haks_stream *one_span(void) {
    struct author a;
    begin(&a);
    fresh(&a, 5, HAK_KIND_SMALL, 0, 0);
    event(&a, HAKS_EV_TOUCH, 5, 4, 0, 0);
    event(&a, HAKS_EV_PUT, 5, 0, 10, 1000);
    event(&a, HAKS_EV_TAKEN, 5, 0, 20, 2000);
    event(&a, HAKS_EV_TOUCH, 5, 3, 20, 2000);
    event(&a, HAKS_EV_TOUCH, 5, 6, 25, 2500);
    event(&a, HAKS_EV_PUT, 5, 0, 30, 3000);
    return end(&a);
}

static const struct haks_pass forty = {
    .ops = 40, .end_time = 4000, .has_times = 1, .page_size = PAGE, .fixed = {.calls = {1, 2}}};

static void test_never(void **state) {
    (void)state;
    struct haks_stream *s = one_span();
    struct haks_figures f = evaluate(s, &forty, "never");
    assert_int_equal(haks_release_calls(&f), 0);
    assert_int_equal(f.faults, 6); /* 4, and 2 more the second time */
    assert_int_equal(f.peak_resident_bytes, 6 * PAGE);
    assert_int_equal(f.end_resident_bytes, 6 * PAGE);
    assert_int_equal(f.mean_resident_bytes, (4 * 25 + 6 * 15) * PAGE / 40);
    assert_int_equal(f.mean_resident_time_bytes, f.mean_resident_bytes);
    assert_int_equal(f.calls[HAKS_RESERVE], 1); /* the fixed ones */
    assert_int_equal(f.calls[HAKS_COMMIT], 2);
    haks_stream_close(s);
}

static void test_eager(void **state) {
    (void)state;
    struct haks_stream *s = one_span();
    struct haks_figures f = evaluate(s, &forty, "eager");
    assert_int_equal(f.calls[HAKS_DONTNEED], 2);
    assert_int_equal(f.bytes[HAKS_DONTNEED], 10 * PAGE);
    assert_int_equal(f.released_bytes, 10 * PAGE);
    assert_int_equal(f.rounds, 2);
    assert_int_equal(f.faults, 10);
    assert_int_equal(f.peak_resident_bytes, 6 * PAGE);
    assert_int_equal(f.end_resident_bytes, 0);
    assert_int_equal(f.mean_resident_bytes, (4 * 10 + 3 * 5 + 6 * 5) * PAGE / 40);
    assert_int_equal(f.calls[HAKS_COMMIT], 2);
    assert_int_equal(f.cost_ns, 10 * 1500 + 2 * 1300 + 10 * 250 + 2 * 1300 + 4700);
    haks_stream_close(s);
}

static void test_unmap(void **state) {
    (void)state;
    struct haks_stream *s = one_span();
    struct haks_figures f = evaluate(s, &forty, "eager:how=unmap");
    assert_int_equal(f.calls[HAKS_DONTNEED], 0);
    assert_int_equal(f.calls[HAKS_UNMAP], 2);
    assert_int_equal(f.bytes[HAKS_UNMAP], 2 * 65536); /* the whole span each time */
    assert_int_equal(f.released_bytes, 10 * PAGE);
    assert_int_equal(f.calls[HAKS_COMMIT], 3); /* once more: the mapping comes back */
    assert_int_equal(f.bytes[HAKS_COMMIT], 65536);
    assert_int_equal(f.faults, 10);
    haks_stream_close(s);
}

static void test_madv_free(void **state) {
    (void)state;
    struct haks_stream *s = one_span();
    struct haks_figures f = evaluate(s, &forty, "eager:how=free");
    assert_int_equal(f.calls[HAKS_FREE], 2);
    assert_int_equal(f.released_bytes, 10 * PAGE);
    assert_int_equal(f.faults, 6); /* nobody took the pages */
    assert_int_equal(f.end_resident_bytes, 6 * PAGE);
    assert_int_equal(f.peak_lazy_bytes, 6 * PAGE);
    haks_stream_close(s);
}

static void test_without_times(void **state) {
    (void)state;
    struct haks_pass pass = forty;
    struct haks_stream *s = one_span();
    pass.has_times = 0;
    struct haks_figures f = evaluate(s, &pass, "never");
    assert_int_equal(f.mean_resident_time_bytes, HAKS_UNKNOWN);
    haks_stream_close(s);
}

/* A large object of 40 pages grows into a span of its own: its pages move along. */
static void test_move(void **state) {
    (void)state;
    struct author a;
    struct haks_pass pass = {.ops = 20, .page_size = PAGE};
    unsigned small = hak_span_kind(40, PAGE, NULL), big = hak_span_kind(60, PAGE, NULL);
    begin(&a);
    fresh(&a, 1, big, 0, 0);
    event(&a, HAKS_EV_TOUCH, 1, 50, 0, 0);
    event(&a, HAKS_EV_PUT, 1, 0, 5, 0);
    fresh(&a, 11, small, 8, 0);
    event(&a, HAKS_EV_TOUCH, 11, 40, 8, 0);
    event(&a, HAKS_EV_TAKEN, 1, 0, 10, 0);
    event(&a, HAKS_EV_TOUCH, 1, 60, 10, 0);
    assert_int_equal(haks_writer_moved(&a.w, 11), 1);
    event(&a, HAKS_EV_PUT, 11, 0, 10, 0);
    struct haks_stream *s = end(&a);

    struct haks_figures f = evaluate(s, &pass, "never");
    assert_int_equal(f.calls[HAKS_MOVE], 1);
    assert_int_equal(f.moved_bytes, 40 * PAGE);
    assert_int_equal(f.faults, 50 + 40 + 10); /* 50..59 of the new place */
    assert_int_equal(f.peak_resident_bytes, 90 * PAGE);
    assert_int_equal(f.end_resident_bytes, 60 * PAGE);

    f = evaluate(s, &pass, "eager");
    assert_int_equal(f.calls[HAKS_DONTNEED], 1); /* the emptied span needs no call */
    assert_int_equal(f.faults, 50 + 40 + 20);
    assert_int_equal(f.peak_resident_bytes, 60 * PAGE);
    haks_stream_close(s);
}

/* calloc of 40 pages: on a span that is zero as it is nothing is touched, else all is written. */
static void test_zeroed(void **state) {
    (void)state;
    struct author a;
    struct haks_pass pass = {.ops = 20, .page_size = PAGE};
    unsigned kind = hak_span_kind(40, PAGE, NULL);
    begin(&a);
    fresh(&a, 1, kind, 0, 0);
    event(&a, HAKS_EV_ZERO, 1, 40, 0, 0); /* fresh: zero */
    event(&a, HAKS_EV_PUT, 1, 0, 1, 0);
    event(&a, HAKS_EV_TAKEN, 1, 0, 2, 0);
    event(&a, HAKS_EV_TOUCH, 1, 30, 2, 0); /* a malloc */
    event(&a, HAKS_EV_PUT, 1, 0, 3, 0);
    event(&a, HAKS_EV_TAKEN, 1, 0, 4, 0);
    event(&a, HAKS_EV_ZERO, 1, 40, 4, 0);
    event(&a, HAKS_EV_PUT, 1, 0, 5, 0);
    struct haks_stream *s = end(&a);

    struct haks_figures f = evaluate(s, &pass, "never");
    assert_int_equal(f.faults, 30 + 10);
    assert_int_equal(f.end_resident_bytes, 40 * PAGE);

    f = evaluate(s, &pass, "eager"); /* the allocator does not know that nothing was written */
    assert_int_equal(f.calls[HAKS_DONTNEED], 3);
    assert_int_equal(f.bytes[HAKS_DONTNEED], (40 + 30 + 40) * PAGE);
    assert_int_equal(f.released_bytes, 30 * PAGE);
    assert_int_equal(f.faults, 30);
    assert_int_equal(f.peak_resident_bytes, 30 * PAGE);
    assert_int_equal(f.end_resident_bytes, 0);

    f = evaluate(s, &pass, "eager:how=free");
    assert_int_equal(f.faults, 30 + 10);
    assert_int_equal(f.released_bytes, (30 + 40) * PAGE);
    assert_int_equal(f.peak_lazy_bytes, 40 * PAGE);
    haks_stream_close(s);
}

/* Deltas beyond 32 bits, in time and in ops. */
static void test_long_gaps(void **state) {
    (void)state;
    struct author a;
    const uint64_t far = ((uint64_t)7 << 32) + 12345, ops = ((uint64_t)3 << 32) + 99;
    struct haks_pass pass = {
        .ops = 2 * ops, .end_time = 2 * far, .has_times = 1, .page_size = PAGE};
    begin(&a);
    fresh(&a, 1, HAK_KIND_SMALL, 0, 0);
    event(&a, HAKS_EV_TOUCH, 1, 16, 0, 0);
    event(&a, HAKS_EV_PUT, 1, 0, ops, far);
    struct haks_stream *s = end(&a);
    struct haks_figures f = evaluate(s, &pass, "eager");
    assert_int_equal(f.mean_resident_bytes, 8 * PAGE);
    assert_int_equal(f.mean_resident_time_bytes, 8 * PAGE);
    haks_stream_close(s);
}

/* A stream that no LIFO pool can have made is refused. */
static void test_placement_is_verified(void **state) {
    (void)state;
    struct author a;
    struct hakp_spec spec = {.kind = HAKP_NEVER};
    struct haks_pass pass = {.ops = 9, .page_size = PAGE};
    struct haks_figures f;
    struct hakc_err err = {0};
    begin(&a);
    fresh(&a, 1, HAK_KIND_SMALL, 0, 0);
    fresh(&a, 2, HAK_KIND_SMALL, 0, 0);
    event(&a, HAKS_EV_PUT, 1, 0, 1, 0);
    event(&a, HAKS_EV_PUT, 2, 0, 2, 0);
    event(&a, HAKS_EV_TAKEN, 1, 0, 7, 0);
    struct haks_stream *s = end(&a);
    assert_int_equal(haks_evaluate(s, &pass, &haks_costs_reference, &spec, &f, &err),
                     HAKC_EREFUSED);
    assert_non_null(strstr(err.msg, "op 7"));
    haks_stream_close(s);
}

/* The stream is longer than the writer's buffer, and a move straddles it. */
static void test_writer_buffer(void **state) {
    (void)state;
    for (unsigned before = 16380; before < 16388; before++) {
        struct author a;
        begin(&a);
        fresh(&a, 1, HAK_KIND_SMALL, 0, 0);
        fresh(&a, 2, HAK_KIND_SMALL, 0, 0);
        for (unsigned i = 2; i < before; i++)
            event(&a, HAKS_EV_TOUCH, 2, 1, i, 0);
        event(&a, HAKS_EV_TOUCH, 2, 3, before, 0);
        assert_int_equal(haks_writer_moved(&a.w, 1), 1);
        event(&a, HAKS_EV_PUT, 1, 0, before + 1, 0);
        struct haks_stream *s = end(&a);
        assert_int_equal(s->n_events, before + 3);
        assert_int_equal(haks_event_kind(&s->events[before]), HAKS_EV_MOVED);
        assert_int_equal(s->events[before].span, 0);
        assert_int_equal(haks_event_kind(&s->events[before + 1]), HAKS_EV_TOUCH);
        assert_int_equal(s->events[before + 1].span, 1);
        assert_int_equal(haks_event_pages(&s->events[before + 1]), 3);
        haks_stream_close(s);
    }
}

static void test_writer_refuses(void **state) {
    (void)state;
    struct author a;
    begin(&a);
    fresh(&a, 1, HAK_KIND_SMALL, 0, 0);
    assert_int_equal(haks_writer_moved(&a.w, 1), 0); /* no touch before it */
    event(&a, HAKS_EV_PUT, 77, 0, 1, 0);             /* no such span */
    assert_int_not_equal(haks_writer_end(&a.w), 0);
    close(a.events_fd);
    close(a.spans_fd);
}

static void test_differences_are_named(void **state) {
    (void)state;
    struct haks_figures a = {0}, b = {0};
    char buf[160];
    assert_null(haks_figures_differ(&a, &b, buf, sizeof buf));
    b.faults = 3;
    assert_string_equal(haks_figures_differ(&a, &b, buf, sizeof buf), "faults: 0 and 3");
    b.calls[HAKS_DONTNEED] = 7;
    assert_string_equal(haks_figures_differ(&a, &b, buf, sizeof buf),
                        "calls of MADV_DONTNEED: 0 and 7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_unmap),
        cmocka_unit_test(test_madv_free),
        cmocka_unit_test(test_without_times),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_long_gaps),
        cmocka_unit_test(test_placement_is_verified),
        cmocka_unit_test(test_writer_buffer),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_differences_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
