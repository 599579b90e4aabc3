/* What the tests of the span lists share: a release call-back that takes notes, and used spans.
 * After cmocka.h. */
#ifndef TESTS_UNIT_SPANS_LOG_H
#define TESTS_UNIT_SPANS_LOG_H

#include <string.h>
#include "alloc/spans.h"

#define PAGE 4096u

static inline struct hakp_spec parsed(const char *text) {
    struct hakp_spec spec;
    assert_int_equal(hakp_parse(text, &spec, NULL, 0), 0);
    return spec;
}

/* A release call-back that writes down what it was asked, and fails where told. */
struct call_log {
    struct hak_release calls[4096];
    unsigned n;
    uint64_t fail_mask; /* call i fails if bit i % 64 is set */
};

static inline int log_release(void *ctx, const struct hak_release *r) {
    struct call_log *log = ctx;
    unsigned i = log->n++;
    log->calls[i % 4096] = *r;
    return log->fail_mask >> i % 64 & 1 ? 12 : 0;
}

static inline void start(struct hak_spans *s, const char *policy, struct call_log *log) {
    struct hakp_spec spec = parsed(policy);
    memset(log, 0, sizeof *log);
    hak_spans_init(s, &spec, PAGE, log_release, log);
}

/* A used span of a kind; its first `used` pages are resident. */
static inline struct hak_span used_span(struct hak_spans *s, unsigned kind, uint32_t unit,
                                        uint32_t used) {
    uint32_t units = kind == HAK_KIND_SMALL ? 1 : 8;
    if (kind >= HAK_KIND_LARGE)
        hak_span_kind(hak_span_kind_pages(kind, PAGE), PAGE, &units);
    hak_spans_add_active(s, hak_span_kind_pages(kind, PAGE));
    return (struct hak_span){
        .unit = unit, .units = units, .used_pages = used, .kind = (uint16_t)kind};
}

static inline void expect_call(const struct call_log *log, unsigned i, uint32_t unit,
                               uint32_t spans, uint64_t pages, uint64_t dirty) {
    assert_true(log->n > 4096 || i < log->n);
    assert_int_equal(log->calls[i].unit, unit);
    assert_int_equal(log->calls[i].spans, spans);
    assert_int_equal(log->calls[i].pages, pages);
    assert_int_equal(log->calls[i].dirty, dirty);
}

static inline uint32_t rnd(uint32_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

#endif
