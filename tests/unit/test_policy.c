/* The policies under a false clock: strings, and tables of events to targets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/policy/policy.h"

static struct hakp_spec parsed(const char *text) {
    struct hakp_spec spec;
    char why[200] = "";
    if (hakp_parse(text, &spec, why, sizeof why) != 0)
        fail_msg("%s: %s", text, why);
    return spec;
}

static void test_names(void **state) {
    (void)state;
    unsigned n = 0;
    for (; hakp_name(n) != NULL; n++) {
        struct hakp_spec spec = parsed(hakp_name(n));
        assert_int_equal(spec.kind, n);
        assert_non_null(hakp_help(n));
    }
    assert_int_equal(n, HAKP_KIND_COUNT);
    assert_null(hakp_help(n));
}

static void test_canonical(void **state) {
    (void)state;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"eager", "eager"},
        {"never", "never"},
        {"partial", "partial:n=100"},
        {"partial:100", "partial:n=100"},
        {"partial:n=7", "partial:n=7"},
        {"partial:7,how=free", "partial:n=7,how=free"},
        {"partial:how=free,max=8192K,n=7", "partial:n=7,max=8MiB,how=free"},
        {"partial:max=0", "partial:n=100"},
        {"partial:keep=1M,max=2M", "partial:n=100,max=2MiB,keep=1MiB"},
        {"partial:how=unmap,n=4294967295", "partial:n=4294967295,how=unmap"},
        {"eager:how=dontneed", "eager"},
        {"eager:min=65536", "eager:min=64KiB"},
        {"eager:min=64K,how=free", "eager:how=free,min=64KiB"},
        {"eager:min=0", "eager"},
        {"never:min=1GB", "never:min=1000000000B"},
        {"never:min=3M", "never:min=3MiB"},
        {"never:min=2048G", "never:min=2048GiB"},
        {"never:min=5kB", "never:min=5000B"},
        {"decay", "decay:ms=1000"},
        {"decay:10", "decay:ms=10"},
        {"decay:10ms,how=unmap", "decay:ms=10,how=unmap"},
        {"decay:ms=2s,keep=1MiB,max=8M", "decay:ms=2000,max=8MiB,keep=1MiB"},
        {"delay:1500us", "delay:ms=1500us"},
        {"delay:3000us,max=1K", "delay:ms=3,max=1KiB"},
        {"delay:1001ns", "delay:ms=1001ns"},
        {"demand:2m", "demand:ms=120000"},
        {"demand:ms=1h,min=1M", "demand:ms=3600000,min=1MiB"},
        {"bounce", "bounce:n=4"},
        {"bounce:7,max=3MiB", "bounce:n=7,max=3MiB"},
        {"report-2025", "report-2025"},
        {"pressure", "pressure:pct=80"},
        {"pressure:90,stall=0,ms=1s,rss=1GiB,huge=8MiB",
         "pressure:pct=90,stall=0,ms=1000,rss=1GiB,huge=8MiB"},
        {"eager:populate=0", "eager"},
        {"adapt", "adapt:ms=300"},
        {"adapt:200,keep=2MiB", "adapt:ms=200,keep=2MiB"},
        {"rest", "rest:ms=10"},
        {"eager:populate=1", "eager:populate=1"},
        {"report-2025:how=unmap", "report-2025"},
        {"report-2025:how=dontneed", "report-2025:how=dontneed"},
        {"eager:min=18446744073709551615B", "eager:min=18446744073709551615B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100], again[100];
        struct hakp_spec a = parsed(cases[i].text), b;
        assert_int_equal(hakp_format(&a, text, sizeof text), strlen(cases[i].canonical));
        assert_string_equal(text, cases[i].canonical);
        b = parsed(text);
        assert_int_equal(a.kind, b.kind);
        assert_int_equal(a.how, b.how);
        assert_int_equal(a.n, b.n);
        assert_int_equal(a.min_bytes, b.min_bytes);
        assert_int_equal(a.max_bytes, b.max_bytes);
        assert_int_equal(a.keep_bytes, b.keep_bytes);
        assert_int_equal(a.ns, b.ns);
        hakp_format(&b, again, sizeof again);
        assert_string_equal(again, text);
    }
}

static void test_format_truncates(void **state) {
    (void)state;
    struct hakp_spec spec = parsed("partial:100,how=free");
    char buf[9] = "????????";
    assert_int_equal(hakp_format(&spec, buf, 8), 22);
    assert_string_equal(buf, "partial");
    assert_int_equal(buf[8], '\0');
    assert_int_equal(hakp_format(&spec, NULL, 0), 22);
}

static void test_rejects(void **state) {
    (void)state;
    static const struct {
        const char *text, *names; /* names: what the sentence must point at */
    } cases[] = {
        {"", "\"\""},
        {"eagre", "\"eagre\""},
        {"Eager", "\"Eager\""},
        {"eager ", "\"eager \""},
        {"eager:", "\"eager:\""},
        {"eager:100", "\"100\""},
        {"eager:n=1", "\"n\""},
        {"partial:", "\"partial:\""},
        {"partial:0", "\"0\""},
        {"partial:-1", "\"-1\""},
        {"partial:1.5", "\"1.5\""},
        {"partial:4294967296", "\"4294967296\""},
        {"partial:99999999999999999999", "\"99999999999999999999\""},
        {"partial:n=", "\"\""},
        {"partial:10,20", "\"20\""},
        {"partial:10,n=20", "\"n\""},
        {"partial:n=10,", "\"partial:n=10,\""},
        {"partial:n=10,,how=free", "\"partial:n=10,\""},
        {"partial:how=later", "\"later\""},
        {"partial:max=1MiB,max=2MiB", "\"max\""},
        {"partial:max=much", "\"much\""},
        {"eager:max=1MiB", "\"max\""},
        {"partial:how=free,how=free", "\"how\""},
        {"partial:min=64Kib", "\"64Kib\""},
        {"partial:min=64 KiB", "\"64 KiB\""},
        {"partial:min=-1", "\"-1\""},
        {"partial:min=18446744073709551615K", "\"18446744073709551615K\""},
        {"partial:=3", "\"\""},
        {"partial:ms=3", "\"ms\""},
        {"partial:n=3=4", "\"3=4\""},
        {"decay:0", "\"0\""},
        {"decay:999ns", "\"999ns\""},
        {"decay:1.5ms", "\"1.5ms\""},
        {"decay:10 ms", "\"10 ms\""},
        {"decay:ms=3d", "\"3d\""},
        {"decay:n=3", "\"n\""},
        {"delay:keep=1MiB", "\"keep\""},
        {"delay:99999999999h", "\"99999999999h\""},
        {"delay:700000h", "\"700000h\""},
        {"bounce:keep=1MiB", "\"keep\""},
        {"bounce:4294967296", "\"4294967296\""},
        {"bounce:1s", "\"1s\""},
        {"report-2025:3", "\"3\""},
        {"pressure:101", "\"101\""},
        {"pressure:0", "\"0\""},
        {"pressure:stall=101", "\"101\""},
        {"never:huge=two", "\"two\""},
        {"never:rss=1MiB", "\"rss\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hakp_spec spec, before;
        char why[200] = "", tiny[6];
        memset(&spec, 0x5a, sizeof spec);
        before = spec;
        if (hakp_parse(cases[i].text, &spec, why, sizeof why) != -1)
            fail_msg("accepted: %s", cases[i].text);
        if (strstr(why, cases[i].names) == NULL)
            fail_msg("%s: \"%s\" does not name %s", cases[i].text, why, cases[i].names);
        assert_memory_equal(&spec, &before, sizeof spec);
        assert_int_equal(hakp_parse(cases[i].text, &spec, tiny, sizeof tiny), -1);
        assert_true(strlen(tiny) < sizeof tiny);
        assert_int_equal(hakp_parse(cases[i].text, &spec, NULL, 0), -1);
    }
}

/* ---- events to targets ---------------------------------------------------------------------- */

#define ALL UINT64_MAX

struct step {
    enum hakp_event_kind kind;
    uint64_t dirty_spans; /* after the event, before the target is carried out */
    uint64_t keep;
};

static void run_steps(const char *text, const struct step *steps, size_t n) {
    struct hakp_spec spec = parsed(text);
    struct hakp_policy p;
    struct hakp_target t;
    hakp_init(&p, &spec);
    for (size_t i = 0; i < n; i++) {
        struct hakp_event ev = {.kind = steps[i].kind,
                                .now_ns = i * 1000,
                                .span_pages = 16,
                                .dirty_pages = steps[i].dirty_spans * 16,
                                .dirty_spans = steps[i].dirty_spans,
                                .active_pages = 1000,
                                .page_size = 4096};
        memset(&t, 0x5a, sizeof t);
        hakp_event(&p, &ev, &t);
        if (t.keep_pages != steps[i].keep)
            fail_msg("%s, step %zu: keeps %llu pages", text, i, (unsigned long long)t.keep_pages);
        assert_int_equal(t.how, spec.how);
        assert_int_equal(t.max_age_ns, ALL);
        assert_int_equal(t.kind_spans, ALL);
        assert_int_equal(t.next_tick_ns, ALL);
        assert_int_equal(t.cache_bytes, ALL);
        assert_false(t.populate);
        assert_int_equal(t.huge_bytes, 0);
    }
}
#define RUN(text, steps) run_steps(text, steps, sizeof steps / sizeof steps[0])

static void test_eager(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, 0},    {HAKP_EV_REUSED, 0, 0}, {HAKP_EV_TICK, 0, 0},
        {HAKP_EV_PRESSURE, 5, 0}, {HAKP_EV_OOM, 5, 0},    {HAKP_EV_THREAD_EXIT, 5, 0},
        {HAKP_EV_TRIM, 5, 0},
    };
    RUN("eager", steps);
    RUN("eager:how=unmap", steps);
}

static void test_never(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1000000, ALL},    {HAKP_EV_REUSED, 999999, ALL}, {HAKP_EV_TICK, 9999, ALL},
        {HAKP_EV_PRESSURE, 9999, ALL},    {HAKP_EV_OOM, 9999, 0},        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_THREAD_EXIT, 9999, ALL}, {HAKP_EV_TRIM, 9999, 0},       {HAKP_EV_DIRTY, 1, ALL},
    };
    RUN("never", steps);
    RUN("never:how=free", steps);
}

static void test_partial(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_REUSED, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL}, /* three became dirty, but only two are there */
        {HAKP_EV_TICK, 2, ALL},
        {HAKP_EV_THREAD_EXIT, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_PRESSURE, 1, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        /* the release failed: the next round waits for three more, not for one */
        {HAKP_EV_DIRTY, 4, ALL},
        {HAKP_EV_DIRTY, 5, ALL},
        {HAKP_EV_DIRTY, 6, 0},
        {HAKP_EV_TRIM, 1, 0},
        {HAKP_EV_OOM, 1, 0},
        {HAKP_EV_REUSED, 0, ALL},
    };
    static const struct step ones[] = {
        {HAKP_EV_DIRTY, 1, 0}, {HAKP_EV_REUSED, 0, ALL}, {HAKP_EV_DIRTY, 1, 0}};
    static const struct step bytes[] = {
        {HAKP_EV_DIRTY, 1, ALL}, /* 16 pages: exactly 64 KiB */
        {HAKP_EV_DIRTY, 1, ALL}, /* 32 became dirty, but only 16 are there */
        {HAKP_EV_DIRTY, 2, 0},   {HAKP_EV_DIRTY, 3, ALL}, /* the release failed */
        {HAKP_EV_DIRTY, 4, 0},
    };
    static const struct step kept[] = {{HAKP_EV_DIRTY, 1, ALL},
                                       {HAKP_EV_DIRTY, 2, 2}, /* 8 KiB stay */
                                       {HAKP_EV_PRESSURE, 2, 2},
                                       {HAKP_EV_TRIM, 2, 0}};
    RUN("partial:n=1000,max=64KiB", bytes);
    RUN("partial:n=2,keep=8KiB", kept);
    RUN("partial:3", steps);
    RUN("partial:3,how=unmap,min=1MiB", steps);
    RUN("partial:1", ones);
}

static void test_bounds_by_bytes(void **state) {
    (void)state;
    static const struct step bounce[] = {
        {HAKP_EV_START, 0, ALL},  {HAKP_EV_TICK, 9, ALL}, {HAKP_EV_REUSED, 9, ALL},
        {HAKP_EV_PRESSURE, 9, 0}, {HAKP_EV_OOM, 9, 0},    {HAKP_EV_TRIM, 9, 0},
    };
    RUN("bounce:3", bounce);
}

/* ---- time -------------------------------------------------------------------------------------
 */

/* A host with spans of one page each: what is dirty is what the policy leaves. */
struct host {
    struct hakp_policy p;
    struct hakp_target t;
    uint64_t now, dirty, active, peak, oldest;
    struct hakp_memory memory;
};

static void host_start(struct host *h, const char *text) {
    struct hakp_spec spec = parsed(text);
    *h = (struct host){.now = 5000000000u, .oldest = ALL};
    hakp_init(&h->p, &spec);
}

static void host_tell(struct host *h, enum hakp_event_kind kind, uint64_t pages, uint64_t since) {
    struct hakp_event ev = {.kind = kind,
                            .now_ns = h->now,
                            .span_pages = pages,
                            .dirty_pages = h->dirty,
                            .dirty_spans = h->dirty,
                            .active_pages = h->active,
                            .peak_pages = h->peak > h->active ? h->peak : h->active,
                            .oldest_ns = h->dirty > 0 ? h->oldest : ALL,
                            .since_ns = since,
                            .page_size = 4096,
                            .memory = h->memory};
    h->peak = h->active;
    hakp_event(&h->p, &ev, &h->t);
    if (h->dirty > h->t.keep_pages)
        h->dirty = h->t.keep_pages;
}

static void becomes_dirty(struct host *h, uint64_t pages) {
    if (h->dirty == 0)
        h->oldest = h->now;
    h->dirty += pages;
    if (h->active > h->peak)
        h->peak = h->active;
    h->active -= pages < h->active ? pages : h->active;
    host_tell(h, HAKP_EV_DIRTY, pages, 0);
}

static void is_reused(struct host *h, uint64_t pages, uint64_t since) {
    h->dirty -= pages;
    h->active += pages;
    host_tell(h, HAKP_EV_REUSED, pages, since);
}

/* As a host that looks at the clock all the time: goes to `at` from tick to tick. */
static void go_to(struct host *h, uint64_t at) {
    while (h->t.next_tick_ns <= at) {
        assert_true(h->t.next_tick_ns > h->now);
        h->now = h->t.next_tick_ns;
        host_tell(h, HAKP_EV_TICK, 0, 0);
    }
    h->now = at;
}

/* The curve of docs/policies.md. */
static double smoothstep(double age, double n) {
    double x = age >= n ? 0 : 1 - age / n;
    return x * x * (3 - 2 * x);
}

static void expect_near(double got, double want, double of, const char *what, double age) {
    if (got < want - 0.05 * of || got > want + 0.05 * of)
        fail_msg("%s, at age %.3f: %.0f pages dirty, the curve says %.1f", what, age, got, want);
}

static void test_decay_curve(void **state) {
    (void)state;
    static const char *const policies[] = {"decay:1000", "decay:7ms", "decay:100us", "decay:1h"};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        uint64_t n = parsed(policies[i]).ns;
        for (uint64_t offset = 0; offset < 8; offset++) { /* where in an epoch it begins */
            struct host h;
            host_start(&h, policies[i]);
            h.now += offset * n / 512;
            uint64_t begin = h.now;
            becomes_dirty(&h, 100000);
            assert_int_equal(h.dirty, 100000);
            for (unsigned k = 1; k <= 200; k++) {
                go_to(&h, begin + n / 200 * k);
                expect_near((double)h.dirty, 100000 * smoothstep(k, 200), 100000, policies[i],
                            k / 200.0);
            }
            go_to(&h, begin + n + n / 32);
            assert_int_equal(h.dirty, 0);
            assert_int_equal(h.t.next_tick_ns, ALL); /* nothing to wait for */
        }
    }
}

/* Pages of several ages: their curves add up. */
static void test_decay_ages(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin;
    host_start(&h, "decay:100");
    begin = h.now;
    becomes_dirty(&h, 40000);
    go_to(&h, begin + 30 * ms);
    becomes_dirty(&h, 60000);
    go_to(&h, begin + 45 * ms);
    becomes_dirty(&h, 10000);
    for (unsigned at = 46; at < 150; at++) {
        go_to(&h, begin + at * ms);
        expect_near((double)h.dirty,
                    40000 * smoothstep(at, 100) + 60000 * smoothstep(at - 30, 100) +
                        10000 * smoothstep(at - 45, 100),
                    110000, "three ages", at);
    }
    assert_int_equal(h.dirty, 0);
}

/* What comes and goes does not keep alive what lies below it. */
static void test_decay_reuse(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin, since;
    host_start(&h, "decay:100");
    begin = h.now;
    becomes_dirty(&h, 50000);
    for (unsigned at = 0; at < 120; at++) {
        go_to(&h, begin + at * ms);
        since = h.now;
        becomes_dirty(&h, 2000);
        h.now += ms / 2;
        is_reused(&h, 2000, since);
        expect_near((double)h.dirty, 50000 * smoothstep(at + 0.5, 100), 50000, "churn", at);
    }
    assert_int_equal(h.dirty, 0);
}

/* A host that does not look for a long time finds the level of that time. */
static void test_decay_late(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "decay:100");
    becomes_dirty(&h, 1000);
    h.now += 50000000;
    host_tell(&h, HAKP_EV_THREAD_EXIT, 0, 0);
    expect_near((double)h.dirty, 500, 1000, "late", 0.5);
    h.now += 1000000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 1000);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000);
    host_tell(&h, HAKP_EV_TRIM, 0, 0);
    assert_int_equal(h.dirty, 0);
}

/* keep= is a floor; where more than max= is dirty, half of it stays. */
static void test_decay_bounds(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "decay:100,keep=400KiB,max=4000KiB");
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000);
    becomes_dirty(&h, 1);
    assert_int_equal(h.dirty, 500);
    go_to(&h, h.now + 10000000000u);
    assert_int_equal(h.dirty, 100);
    becomes_dirty(&h, 2000); /* a span above the limit may come and go: it stays, and alone */
    assert_int_equal(h.dirty, 2000);
    becomes_dirty(&h, 10);
    assert_int_equal(h.dirty, 500);
}

static void test_delay(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "delay:30,max=400KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_int_equal(h.t.next_tick_ns, ALL);
    uint64_t begin = h.now;
    becomes_dirty(&h, 10);
    assert_int_equal(h.t.keep_pages, ALL);
    assert_int_equal(h.t.max_age_ns, 29999999); /* the host releases what is older */
    assert_int_equal(h.t.next_tick_ns, begin + 30000000);
    h.now += 1000;
    becomes_dirty(&h, 10); /* the oldest counts */
    assert_int_equal(h.t.next_tick_ns, begin + 30000000);
    becomes_dirty(&h, 80);
    assert_int_equal(h.dirty, 100);
    becomes_dirty(&h, 1);
    assert_int_equal(h.dirty, 50);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
}

static void test_demand(void **state) {
    (void)state;
    struct host h;
    uint64_t ms = 1000000, begin;
    host_start(&h, "demand:160");
    begin = h.now;
    h.active = 1000;
    becomes_dirty(&h, 300); /* the peak was 1000: all may come again */
    assert_int_equal(h.active, 700);
    assert_int_equal(h.dirty, 300);
    h.active = 500; /* spans that go out of use clean, or were too small */
    h.now += 20 * ms;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 300);
    h.now += 20 * ms;
    h.active = 600;
    h.peak = 800; /* between events */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    go_to(&h, begin + 160 * ms);
    assert_int_equal(h.dirty, 300); /* 1000 is within the window */
    go_to(&h, begin + 171 * ms);
    assert_int_equal(h.dirty, 200); /* 800 is */
    go_to(&h, begin + 199 * ms);
    assert_int_equal(h.dirty, 200);
    go_to(&h, begin + 211 * ms);
    assert_int_equal(h.dirty, 0); /* 600 all the time */
    go_to(&h, begin + 221 * ms);
    assert_int_equal(h.t.next_tick_ns, ALL);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 100);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 100);
    h.now += 1000000 * ms; /* a long rest: what was active then counts, the peak does not */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
}

static void test_bounce_asks_by_kind(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "bounce:3,max=400KiB");
    becomes_dirty(&h, 10);
    assert_int_equal(h.t.kind_spans, 3);
    assert_int_equal(h.t.keep_pages, ALL);
    becomes_dirty(&h, 90);
    becomes_dirty(&h, 1);
    assert_int_equal(h.t.keep_pages, 50);
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.t.kind_spans, ALL); /* only a span that became dirty has a kind */
}

static void memory(struct host *h, uint64_t used, uint64_t limit, uint64_t stall) {
    h->memory = (struct hakp_memory){
        .limit_bytes = limit * 4096, .used_bytes = used * 4096, .stall = stall};
}

/* Nothing until memory is short, then what is too much; the next look decides anew. */
static void test_pressure(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "pressure:pct=50,ms=10,stall=5");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.watch);
    becomes_dirty(&h, 1000);
    assert_int_equal(h.dirty, 1000); /* no limit is known */
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
    memory(&h, 700, 1000, 0);
    becomes_dirty(&h, 0); /* before the next look, what was allowed holds */
    assert_int_equal(h.dirty, 1000);
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 800); /* 200 above 50 % of 1000 */
    memory(&h, 500, 1000, 0);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 900);
    memory(&h, 2500, 1000, 0);
    h.now += 10000000;
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 0); /* all, and a thousand more are owed */
    memory(&h, 500, 1000, 0);
    becomes_dirty(&h, 600);
    assert_int_equal(h.dirty, 0);
    becomes_dirty(&h, 600);
    assert_int_equal(h.dirty, 200);
    h.now += 10000000;
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 300);
    memory(&h, 10, 1000, 500); /* 5 % of the time somebody waited */
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 0);
    memory(&h, 2000, 1000, 0); /* more than all of it */
    h.now += 10000000;
    becomes_dirty(&h, 50);
    assert_int_equal(h.dirty, 0);
    memory(&h, 10, 1000, 0);
    h.now += 10000000;
    becomes_dirty(&h, 50);
    assert_int_equal(h.dirty, 50);
    host_tell(&h, HAKP_EV_PRESSURE, 0, 0);
    assert_int_equal(h.dirty, 0);
}

static void test_pressure_own_size(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "pressure:rss=400KiB,keep=40KiB");
    h.active = 150;
    becomes_dirty(&h, 60);
    assert_int_equal(h.active, 90);
    assert_int_equal(h.dirty, 10); /* 100 pages in all */
    becomes_dirty(&h, 30);
    assert_int_equal(h.dirty, 40);
    h.active = 200;
    host_tell(&h, HAKP_EV_REUSED, 1, h.now);
    assert_int_equal(h.dirty, 10); /* keep= is a floor */
}

/* What comes back soon raises the quota, what stays through a term lowers it. */
static void test_adapt(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "adapt:ms=10,keep=40KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.hear_returns);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 10);
    h.now += 11000000; /* too long ago to be a mistake */
    host_tell(&h, HAKP_EV_RETURNED, 60, h.now - 11000000);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_RETURNED, 60, h.now - 9000000);
    becomes_dirty(&h, 100);
    assert_int_equal(h.dirty, 70);
    h.now += 50000000; /* a term in which nothing was dirty for a moment ends: all is needed */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 70);
    h.now += 50000000; /* and one in which all was dirty all the time */
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_RETURNED, 500, h.now);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 410);
    host_tell(&h, HAKP_EV_TRIM, 0, 0);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 10); /* what was learnt is gone */
    host_start(&h, "adapt:ms=10,keep=0,max=80KiB");
    host_tell(&h, HAKP_EV_RETURNED, 500, h.now);
    becomes_dirty(&h, 400);
    assert_int_equal(h.dirty, 20);
}

/* Nothing while spans come and go; all above keep= after a gap; a gap that was none doubles it. */
static void test_rest(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "rest:ms=10,keep=40KiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    for (int i = 0; i < 50; i++) {
        h.now += 9000000;
        becomes_dirty(&h, 10);
    }
    assert_int_equal(h.dirty, 500);
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
    h.now += 10000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.t.next_tick_ns, ALL); /* nothing is left to wait for */
    host_tell(&h, HAKP_EV_RETURNED, 16, h.now - 15000000);
    becomes_dirty(&h, 300);
    assert_int_equal(h.t.next_tick_ns, h.now + 20000000);
    h.now += 19000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 310);
    h.now += 1000000;
    host_tell(&h, HAKP_EV_TICK, 0, 0);
    assert_int_equal(h.dirty, 10);
    h.now +=
        2000000000; /* it comes back much later: the gap was a rest; a term later it is short */
    host_tell(&h, HAKP_EV_RETURNED, 16, h.now - 2000000000);
    h.now += 1100000000;
    becomes_dirty(&h, 300);
    assert_int_equal(h.t.next_tick_ns, h.now + 10000000);
}

static void test_keys_of_all(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "never:populate=1,huge=8MiB");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate && h.t.huge_bytes == 8 << 20 && hakp_own_placement(&h.p.spec));
    host_start(&h, "eager:populate=1");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate && !h.t.huge_bytes && !hakp_own_placement(&h.p.spec));
}

static void test_report_2025(void **state) {
    (void)state;
    struct host h;
    host_start(&h, "report-2025");
    host_tell(&h, HAKP_EV_START, 0, 0);
    assert_true(h.t.populate); /* from the first span on */
    assert_true(h.t.supers && h.t.cache_bytes == 0);
    assert_true(hakp_own_placement(&h.p.spec));
    assert_int_equal(h.t.how, HAKP_UNMAP);
    becomes_dirty(&h, 16);
    assert_int_equal(h.dirty, 0);
    assert_true(h.t.populate);
    host_start(&h, "eager");
    assert_false(hakp_own_placement(&h.p.spec));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapt),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_pressure_own_size),
        cmocka_unit_test(test_keys_of_all),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_format_truncates),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_bounds_by_bytes),
        cmocka_unit_test(test_decay_curve),
        cmocka_unit_test(test_decay_ages),
        cmocka_unit_test(test_decay_reuse),
        cmocka_unit_test(test_decay_late),
        cmocka_unit_test(test_decay_bounds),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_demand),
        cmocka_unit_test(test_bounce_asks_by_kind),
        cmocka_unit_test(test_report_2025),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
