/* The models of other allocators' policies: their answers to events, and glibc's heap top. */
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
#include "sim/models.h"

#define PAGE 4096u
#define MS   1000000ull

static struct hakp_spec spec_of(const char *text) {
    struct hakp_spec spec;
    struct hakc_err err = {0};
    if (haks_policy_parse(text, &spec, &err) != 0)
        fail_msg("%s", err.msg);
    return spec;
}

static void test_names(void **state) {
    (void)state;
    struct hakp_spec spec = spec_of("model-glibc:1M"), same;
    struct hakc_err err = {0};
    char text[64];
    hakp_format(&spec, text, sizeof text);
    assert_string_equal(text, "model-glibc:trim=1MiB");
    assert_true(haks_is_model(&spec));
    hakp_format(&(struct hakp_spec){.catalogue = &haks_models,
                                    .kind = (enum hakp_kind)HAKS_MODEL_JEMALLOC,
                                    .ns = 5 * MS},
                text, sizeof text);
    assert_string_equal(text, "model-jemalloc:ms=5");
    same = spec_of(text);
    assert_int_equal(same.ns, 5 * MS);
    spec = spec_of("eager");
    assert_false(haks_is_model(&spec));
    /* The allocator's own parser knows none of them: HAKMEM_POLICY cannot choose one. */
    for (unsigned i = 0; i < haks_models.n_kinds; i++)
        assert_int_equal(hakp_parse(haks_models.ops[i]->name, &spec, NULL, 0), -1);
    assert_int_equal(haks_policy_parse("model-glibc:n=3", &spec, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "trim, mmap, how"));
    assert_int_equal(haks_policy_parse("model-scudo", &spec, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "model-tcmalloc"));
}

/* A policy that is told of events at times. */
struct told {
    struct hakp_policy p;
    struct hakp_target t;
    uint64_t dirty, active;
};

static void tell(struct told *x, enum hakp_event_kind kind, uint64_t ms, uint64_t pages) {
    struct hakp_event ev = {.kind = kind,
                            .now_ns = ms * MS,
                            .span_pages = pages,
                            .dirty_pages = x->dirty,
                            .dirty_spans = x->dirty > 0,
                            .active_pages = x->active,
                            .peak_pages = x->active,
                            .oldest_ns = 0,
                            .page_size = PAGE};
    hakp_event(&x->p, &ev, &x->t);
    if (x->dirty > x->t.keep_pages)
        x->dirty = x->t.keep_pages;
}

static void begin(struct told *x, const char *text) {
    struct hakp_spec spec = spec_of(text);
    *x = (struct told){0};
    hakp_init(&x->p, &spec);
    tell(x, HAKP_EV_START, 0, 0);
}

static void more(struct told *x, uint64_t ms, uint64_t pages) {
    x->dirty += pages;
    tell(x, HAKP_EV_DIRTY, ms, pages);
}

static void test_mimalloc(void **state) {
    (void)state;
    struct told x;
    begin(&x, "model-mimalloc:10");
    more(&x, 100, 5);
    assert_int_equal(x.t.next_tick_ns, 110 * MS);
    more(&x, 105, 5); /* moves it by a tenth */
    assert_int_equal(x.t.next_tick_ns, 111 * MS);
    tell(&x, HAKP_EV_TICK, 110, 0);
    assert_int_equal(x.dirty, 10);
    tell(&x, HAKP_EV_TICK, 111, 0);
    assert_int_equal(x.dirty, 0);
    assert_int_equal(x.t.next_tick_ns, UINT64_MAX);
    for (unsigned i = 0; i < 15; i++) /* frees on and on: at most 10 ms longer */
        more(&x, 200, 1);
    assert_int_equal(x.t.next_tick_ns, 220 * MS);
    x.dirty = 0; /* all in use again: nothing is due */
    tell(&x, HAKP_EV_REUSED, 205, 15);
    more(&x, 300, 1);
    assert_int_equal(x.t.next_tick_ns, 310 * MS);
}

static void test_jemalloc(void **state) {
    (void)state;
    struct told x;
    begin(&x, "model-jemalloc:640"); /* epochs of 10 ms */
    more(&x, 5, 1000);
    assert_int_equal(x.dirty, 1000);
    tell(&x, HAKP_EV_TICK, 9, 0);
    assert_int_equal(x.dirty, 1000);
    tell(&x, HAKP_EV_TICK, 160, 0); /* a quarter: S(3/4) = 0.896 */
    assert_in_range(x.dirty, 890, 910);
    tell(&x, HAKP_EV_TICK, 329, 0); /* half of it: 1/2 */
    assert_in_range(x.dirty, 490, 510);
    tell(&x, HAKP_EV_TICK, 480, 0); /* three quarters: S(1/4) = 0.104 */
    assert_in_range(x.dirty, 95, 112);
    tell(&x, HAKP_EV_TICK, 650, 0);
    assert_int_equal(x.dirty, 0);
    tell(&x, HAKP_EV_TICK, 660, 0);
    more(&x, 661, 100);
    x.dirty = 0; /* used again in the same epoch: does not count */
    tell(&x, HAKP_EV_REUSED, 662, 100);
    tell(&x, HAKP_EV_TICK, 670, 0);
    more(&x, 671, 10);
    tell(&x, HAKP_EV_TICK, 671 + 330, 0);
    assert_in_range(x.dirty, 4, 6);
}

static void test_tcmalloc(void **state) {
    (void)state;
    struct told x;
    begin(&x, "model-tcmalloc:32000"); /* epochs of 1 s; the last six are the short window */
    x.active = 100;
    tell(&x, HAKP_EV_REUSED, 10, 1);
    x.active = 40;
    more(&x, 20, 60);
    assert_int_equal(x.dirty, 60);
    tell(&x, HAKP_EV_TICK, 999, 0); /* not within the second */
    assert_int_equal(x.dirty, 60);
    tell(&x, HAKP_EV_TICK, 1000, 0); /* the peak of 100 is in the window: all is needed */
    assert_int_equal(x.dirty, 60);
    for (unsigned s = 2; s < 5; s++)
        tell(&x, HAKP_EV_TICK, s * 1000, 0);
    assert_int_equal(x.dirty, 60);
    for (unsigned s = 5; s < 9; s++)
        tell(&x, HAKP_EV_TICK, s * 1000, 0);
    assert_int_equal(x.dirty, 0); /* out of the short window, and the trend is 40 */
    assert_int_equal(x.t.keep_pages, 0);
}

/* ---- glibc: spans in address space ---------------------------------------------------------- */

struct author {
    struct haks_stream_writer w;
    int events_fd, spans_fd;
    uint64_t op;
};

static void open_author(struct author *a) {
    *a = (struct author){.events_fd = memfd_create("events", 0),
                         .spans_fd = memfd_create("spans", 0)};
    assert_int_equal(haks_writer_init(&a->w, a->events_fd, a->spans_fd), 0);
}

static void event(struct author *a, enum haks_event_kind kind, uint32_t unit, uint32_t pages) {
    haks_writer_event(&a->w, kind, unit, pages, a->op, a->op);
    a->op++;
}

static void fresh(struct author *a, uint32_t unit, uint32_t pages) {
    uint32_t units = 1;
    unsigned kind = HAK_KIND_SMALL;
    if (pages > 16)
        kind = hak_span_kind(pages, PAGE, &units);
    haks_writer_span(&a->w, &(struct haks_span_info){unit, units, kind});
    event(a, HAKS_EV_FRESH, unit, pages);
    event(a, HAKS_EV_TOUCH, unit, pages);
}

static struct haks_figures close_author(struct author *a, const char *policy) {
    struct haks_stream *s;
    struct haks_figures f;
    struct hakp_spec spec = spec_of(policy);
    struct haks_pass pass = {.ops = a->op, .page_size = PAGE, .parallel_milli = 1000};
    assert_int_equal(haks_writer_end(&a->w), 0);
    assert_int_equal(haks_stream_map(&s, a->events_fd, a->spans_fd, NULL), 0);
    assert_int_equal(haks_evaluate(s, &pass, &haks_costs_reference, &spec, &f, NULL), 0);
    haks_stream_close(s);
    close(a->events_fd);
    close(a->spans_fd);
    return f;
}

/* Slabs at 1 to 4: what is free below one in use stays, whatever it is; two at the top go together.
 */
static struct haks_figures heap(const char *policy, int top_goes) {
    struct author a;
    open_author(&a);
    for (uint32_t unit = 1; unit <= 4; unit++)
        fresh(&a, unit, 16);
    event(&a, HAKS_EV_PUT, 1, 0);
    event(&a, HAKS_EV_PUT, 2, 0);
    event(&a, HAKS_EV_PUT, 3, 0);
    if (top_goes)
        event(&a, HAKS_EV_PUT, 4, 0);
    return close_author(&a, policy);
}

static void test_glibc_top(void **state) {
    (void)state;
    struct haks_figures f = heap("model-glibc:trim=128KiB", 0);
    assert_int_equal(haks_release_calls(&f), 0);
    f = heap("model-glibc:trim=128KiB", 1);
    assert_int_equal(haks_release_calls(&f), 1); /* all four: adjacent */
    assert_int_equal(f.released_bytes, 4 * 65536);
    assert_int_equal(f.calls[HAKS_UNMAP], 1);
    f = heap("model-glibc:trim=1MiB", 1);
    assert_int_equal(haks_release_calls(&f), 0);
    assert_int_equal(f.end_resident_bytes, 4 * 65536);
}

/* An object of 64 pages is a mapping the first time, and raises the limits to its size. */
static void test_glibc_mmap(void **state) {
    (void)state;
    struct author a;
    struct haks_figures f;
    open_author(&a);
    fresh(&a, 1, 64);
    fresh(&a, 10, 16); /* keeps the top in use */
    event(&a, HAKS_EV_PUT, 1, 0);
    event(&a, HAKS_EV_TAKEN, 1, 64);
    event(&a, HAKS_EV_TOUCH, 1, 64);
    event(&a, HAKS_EV_PUT, 1, 0);
    f = close_author(&a, "model-glibc");
    assert_int_equal(haks_release_calls(&f), 1);
    assert_int_equal(f.released_bytes, 64 * PAGE);
    assert_int_equal(f.faults, 2 * 64 + 16);
    assert_int_equal(f.end_resident_bytes, (64 + 16) * PAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_mimalloc),
        cmocka_unit_test(test_jemalloc),  cmocka_unit_test(test_tcmalloc),
        cmocka_unit_test(test_glibc_top), cmocka_unit_test(test_glibc_mmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
