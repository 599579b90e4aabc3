/* The span lists: kinds, order, merging, failures, and a random stream against a naive model. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/spans.h"

#define PAGE 4096u

static struct hakp_spec parsed(const char *text) {
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

static int log_release(void *ctx, const struct hak_release *r) {
    struct call_log *log = ctx;
    unsigned i = log->n++;
    log->calls[i % 4096] = *r;
    return log->fail_mask >> i % 64 & 1 ? 12 : 0;
}

static void start(struct hak_spans *s, const char *policy, struct call_log *log) {
    struct hakp_spec spec = parsed(policy);
    memset(log, 0, sizeof *log);
    hak_spans_init(s, &spec, PAGE, log_release, log);
}

/* A used span of a kind; its first `used` pages are resident. */
static struct hak_span used_span(struct hak_spans *s, unsigned kind, uint32_t unit, uint32_t used) {
    uint32_t units = kind == HAK_KIND_SMALL ? 1 : 8;
    if (kind >= HAK_KIND_LARGE)
        hak_span_kind(hak_span_kind_pages(kind, PAGE), PAGE, &units);
    hak_spans_add_active(s, hak_span_kind_pages(kind, PAGE));
    return (struct hak_span){
        .unit = unit, .units = units, .used_pages = used, .kind = (uint16_t)kind};
}

static void expect_call(const struct call_log *log, unsigned i, uint32_t unit, uint32_t spans,
                        uint64_t pages, uint64_t dirty) {
    assert_true(log->n > 4096 || i < log->n);
    assert_int_equal(log->calls[i].unit, unit);
    assert_int_equal(log->calls[i].spans, spans);
    assert_int_equal(log->calls[i].pages, pages);
    assert_int_equal(log->calls[i].dirty, dirty);
}

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

/* ---- a random stream against a naive model ----------------------------------------------------
 */

enum { SPANS = 700, KINDS = 4 };

/* The model: plain arrays in order of freeing, searched from end to end. */
struct model_span {
    uint32_t unit, units, used, pages;
    unsigned kind;
    bool free, dirty, counted;
};
struct model {
    struct model_span v[SPANS];
    unsigned order[SPANS], n; /* free spans, oldest first */
    struct hakp_spec spec;
    uint64_t gathered, calls, fail_mask;
    struct hak_release expect[SPANS]; /* of the current event */
    unsigned expected;
};

static unsigned model_dirty(const struct model *m) {
    unsigned n = 0;
    for (unsigned i = 0; i < m->n; i++)
        n += m->v[m->order[i]].counted;
    return n;
}

/* All counted dirty spans go, in groups of HAK_SPAN_BATCH by age, each by address. */
static void model_round(struct model *m) {
    for (unsigned from = 0; from < m->n;) {
        bool in[SPANS] = {false};
        unsigned gathered = 0;
        for (; from < m->n && gathered < HAK_SPAN_BATCH; from++) {
            if (m->v[m->order[from]].counted) {
                in[m->order[from]] = true;
                gathered++;
            }
        }
        for (unsigned i = 0; i < SPANS;) { /* v stands in address order */
            struct hak_release *r = &m->expect[m->expected];
            unsigned j = i;
            if (!in[i]) {
                i++;
                continue;
            }
            *r = (struct hak_release){.unit = m->v[i].unit, .how = m->spec.how};
            for (; j < SPANS && in[j] &&
                   (j == i || m->v[j - 1].unit + m->v[j - 1].units == m->v[j].unit);
                 j++) {
                r->spans++;
                r->dirty += m->v[j].used;
                r->pages = (m->v[j].unit - r->unit) * 16 +
                           (m->spec.how == HAKP_UNMAP ? m->v[j].units * 16 : m->v[j].used);
            }
            m->expected++;
            bool fails = m->fail_mask >> m->calls++ % 64 & 1;
            for (; i < j; i++) {
                if (fails)
                    continue;
                m->v[i].counted = m->v[i].dirty = false;
                if (m->spec.how != HAKP_FREE)
                    m->v[i].used = 0;
            }
        }
    }
}

static void model_put(struct model *m, unsigned i) {
    struct model_span *v = &m->v[i];
    v->free = true;
    v->dirty = v->used > 0;
    v->counted = v->dirty && v->pages * PAGE >= m->spec.min_bytes;
    m->order[m->n++] = i;
    if (!v->counted)
        return;
    m->gathered++;
    if (m->spec.kind == HAKP_EAGER ||
        (m->spec.kind == HAKP_PARTIAL && m->gathered >= m->spec.n && model_dirty(m) >= m->spec.n)) {
        m->gathered = 0;
        model_round(m);
    }
}

/* The youngest free span of a kind, or -1. */
static int model_take(struct model *m, unsigned kind) {
    for (unsigned i = m->n; i-- > 0;) {
        unsigned id = m->order[i];
        if (m->v[id].kind != kind)
            continue;
        memmove(m->order + i, m->order + i + 1, (m->n - i - 1) * sizeof m->order[0]);
        m->n--;
        bool was_counted = m->v[id].counted;
        m->v[id].free = m->v[id].dirty = m->v[id].counted = false;
        if (was_counted && m->spec.kind == HAKP_EAGER)
            model_round(m); /* what failed before is tried again */
        return (int)id;
    }
    return -1;
}

static uint32_t rnd(uint32_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

/* Drives spans.c and the model with one random stream. Appends the unit of each span taken to
 * taken[]; returns how many. */
static unsigned run_model(const char *policy, uint32_t seed, uint64_t fail_mask, uint32_t *taken,
                          unsigned steps) {
    static struct model m;
    static struct hak_span v[SPANS];
    static struct call_log log;
    static const unsigned kinds[KINDS] = {HAK_KIND_SMALL, HAK_KIND_SMALL, HAK_KIND_MEDIUM, 5};
    struct hak_spans s;
    unsigned n_taken = 0, fresh = 0;
    uint32_t x = seed, unit = 0;

    memset(&m, 0, sizeof m);
    start(&s, policy, &log);
    log.fail_mask = m.fail_mask = fail_mask;
    m.spec = parsed(policy);
    for (unsigned i = 0; i < SPANS; i++) {
        unsigned kind = kinds[rnd(&x) % KINDS];
        v[i] = used_span(&s, kind, unit, 0);
        m.v[i] = (struct model_span){.unit = unit, .units = v[i].units, .kind = kind};
        m.v[i].pages = (uint32_t)hak_span_kind_pages(kind, PAGE);
        unit += v[i].units + (rnd(&x) % 4 == 0); /* now and then a hole */
    }
    for (unsigned step = 0; step < steps; step++) {
        uint32_t r = rnd(&x);
        unsigned first_call = log.n;
        bool busy = step / 300 % 2 == 0; /* the pool swells and shrinks by turns */
        m.expected = 0;
        if (fresh < SPANS && r % 3 == 0) { /* a fresh span lives and dies */
            m.v[fresh].used = v[fresh].used_pages = r / 3 % (m.v[fresh].pages + 1);
            model_put(&m, fresh);
            hak_spans_put(&s, &v[fresh], step);
            fresh++;
        } else if (r % 100 == 99) {
            m.gathered = 0;
            model_round(&m);
            hak_spans_tell(&s, HAKP_EV_TRIM, step);
        } else if (r % 16 < (busy ? 9 : 5)) {
            unsigned kind = kinds[r / 16 % KINDS];
            int want = model_take(&m, kind);
            struct hak_span *got = hak_spans_take(&s, kind, step);
            assert_ptr_equal(got, want < 0 ? NULL : &v[want]);
            if (got != NULL) {
                assert_int_equal(got->used_pages, m.v[want].used);
                taken[n_taken++] = got->unit;
                got->state = HAK_SPAN_USED;
            }
        } else { /* a span in use is freed: what was resident stays, more may be touched */
            unsigned i = r / 16 % SPANS;
            if (i < fresh && !m.v[i].free) {
                uint32_t touched = rnd(&x) % (m.v[i].pages + 1);
                if (touched > m.v[i].used)
                    m.v[i].used = touched;
                v[i].used_pages = m.v[i].used;
                model_put(&m, i);
                hak_spans_put(&s, &v[i], step);
            } else {
                rnd(&x);
            }
        }
        assert_int_equal(log.n - first_call, m.expected);
        for (unsigned i = 0; i < m.expected; i++) {
            const struct hak_release *want = &m.expect[i];
            unsigned at = (first_call + i) % 4096;
            expect_call(&log, at, want->unit, want->spans, want->pages, want->dirty);
            assert_int_equal(log.calls[at].how, want->how);
        }
        assert_int_equal(s.dirty_spans, model_dirty(&m));
    }
    return n_taken;
}

static void test_model(void **state) {
    (void)state;
    static const char *const policies[] = {
        "eager",          "never",       "partial:1",          "partial:7",
        "partial:40",     "partial:300", "partial:7,how=free", "partial:9,how=unmap,min=128KiB",
        "eager:how=unmap"};
    static uint32_t taken[20000];
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        for (uint32_t seed = 1; seed <= 5; seed++) {
            run_model(policies[i], seed, 0, taken, 6000);
            run_model(policies[i], seed + 100, 0x0410000a00c00105ull, taken, 6000);
        }
    }
}

/* One random stream through spans.c alone, by a clock that runs unevenly. Writes down the unit of
 * each span taken; returns how many. *releases: calls that went well. */
static unsigned run_stream(const char *policy, uint32_t seed, uint64_t fail_mask, uint32_t *taken,
                           uint64_t *releases) {
    static struct hak_span v[SPANS];
    static struct call_log log;
    static const unsigned kinds[KINDS] = {HAK_KIND_SMALL, HAK_KIND_SMALL, HAK_KIND_MEDIUM, 5};
    struct hak_spans s;
    unsigned n = 0, fresh = 0;
    uint32_t x = seed, unit = 0;
    uint64_t now = 1000000000, counted = 0;

    start(&s, policy, &log);
    log.fail_mask = fail_mask;
    for (unsigned i = 0; i < SPANS; i++) {
        v[i] = used_span(&s, kinds[rnd(&x) % KINDS], unit, 0);
        unit += v[i].units + (rnd(&x) % 4 == 0);
    }
    for (unsigned step = 0; step < 8000; step++) {
        uint32_t r = rnd(&x), pick = rnd(&x), pages = rnd(&x);
        unsigned i = pick % SPANS;
        now += r % 128 == 0 ? 3000000 : pages % 20000;
        if (fresh < SPANS && r % 3 == 0)
            i = fresh++; /* a fresh span lives and dies */
        else if (r % 50 == 49)
            hak_spans_look(&s, now);
        if (r % 16 < (step / 300 % 2 == 0 ? 9 : 5)) {
            struct hak_span *got = hak_spans_take(&s, kinds[pick % KINDS], now);
            if (got != NULL) {
                taken[n++] = got->unit;
                got->state = HAK_SPAN_USED;
            }
        } else if (i < fresh && v[i].state == HAK_SPAN_USED) {
            uint32_t touched = pages % ((uint32_t)hak_span_kind_pages(v[i].kind, PAGE) + 1);
            if (touched > v[i].used_pages)
                v[i].used_pages = touched;
            hak_spans_put(&s, &v[i], now);
        }
    }
    for (const struct hak_span *d = s.oldest; d != NULL; d = d->younger)
        counted += d->used_pages;
    assert_int_equal(s.dirty_pages, counted);
    *releases = s.released.calls;
    return n;
}

/* Which span is reused does not depend on the policy, nor on releases that fail. */
static void test_placement_invariance(void **state) {
    (void)state;
    static const char *const others[] = {"eager",
                                         "partial:7",
                                         "partial:100,how=free",
                                         "eager:how=unmap,min=128KiB",
                                         "decay:1",
                                         "decay:20,how=unmap,max=2MiB",
                                         "delay:1",
                                         "delay:20,how=free",
                                         "demand:1",
                                         "demand:10,max=1MiB,keep=256KiB",
                                         "bounce:2",
                                         "bounce:7,how=free,max=2MiB",
                                         "report-2025",
                                         "pressure:rss=1MiB",
                                         "adapt:ms=1",
                                         "rest:ms=1",
                                         "budget:ms=1",
                                         "budget:100,keep=0,how=free"};
    static uint32_t base[20000], taken[20000];
    bool kinds[HAKP_KIND_COUNT] = {[HAKP_NEVER] = true};
    for (uint32_t seed = 11; seed <= 20; seed++) {
        uint64_t releases;
        unsigned n = run_stream("never", seed, 0, base, &releases);
        assert_true(n > 1000);
        assert_int_equal(releases, 0);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            kinds[parsed(others[i]).kind] = true;
            assert_int_equal(run_stream(others[i], seed, i % 2 ? 0x1111 : 0, taken, &releases), n);
            assert_memory_equal(taken, base, n * sizeof base[0]);
            if (releases < 10)
                fail_msg("%s released nearly nothing: the test says nothing of it", others[i]);
        }
    }
    for (unsigned k = 0; k < HAKP_KIND_COUNT; k++)
        if (!kinds[k])
            fail_msg("%s is missing here", hakp_name(k));
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
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_placement_invariance),
        cmocka_unit_test(test_kind_limit),
        cmocka_unit_test(test_partial_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
