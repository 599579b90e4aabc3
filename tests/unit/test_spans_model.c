/* The span lists driven by random streams: against a naive model, and under every policy. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/spans_log.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_placement_invariance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
