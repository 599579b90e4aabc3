/*
 * The oracle against brute force: on small random streams every schedule is tried, page by page, by
 * a simulator of its own. No schedule may beat the bound; and where pages go one by one and calls
 * cost nothing, the bound is reached.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/spans.h"
#include "sim/oracle_int.h"

#define PAGE       4096u
#define SPANS      4
#define PAGES      5 /* of a span, at most */
#define EVENTS     40
#define PUTS_MOST  7
#define STREAMS    400
#define NO_RELEASE 0
#define AT_ONCE    1
#define LATER      2 /* right before the next event of that span */

struct small {
    struct haks_span_info spans[SPANS];
    struct haks_event events[EVENTS];
    struct haks_stream stream;
    struct haks_pass pass;
    int puts;           /* how many PUT events */
    int put_of[EVENTS]; /* number of a PUT, or -1 */
};

static uint32_t seed;

static uint32_t dice(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* ---- random streams, placed as the allocator places: last in, first out ---------------------- */

struct placement {
    uint32_t free_stack[SPANS], n_free, used[SPANS], n_used, n_spans;
};

static void add(struct small *s, enum haks_event_kind kind, uint32_t span, uint32_t pages) {
    s->put_of[s->stream.n_events] = kind == HAKS_EV_PUT ? s->puts++ : -1;
    s->events[s->stream.n_events++] = (struct haks_event){
        .span = span,
        .kind_pages = (uint32_t)kind << HAKS_EVENT_KIND_SHIFT | pages,
        .d_op = dice(4),
        .d_time = 10 * dice(5),
    };
}

/* A span goes into use. Returns it, or SPANS if there is none. */
static uint32_t take(struct small *s, struct placement *p) {
    uint32_t span;
    if (p->n_free > 0) {
        span = p->free_stack[--p->n_free];
        add(s, HAKS_EV_TAKEN, span, 0);
    } else if (p->n_spans < SPANS) {
        span = p->n_spans++;
        add(s, HAKS_EV_FRESH, span, 0);
    } else {
        return SPANS;
    }
    p->used[p->n_used++] = span;
    return span;
}

static void put(struct small *s, struct placement *p, uint32_t which) {
    uint32_t span = p->used[which];
    p->used[which] = p->used[--p->n_used];
    p->free_stack[p->n_free++] = span;
    add(s, HAKS_EV_PUT, span, 0);
}

/* A realloc: the pages of a used span go to another, which is then touched. */
static void move(struct small *s, struct placement *p, uint32_t pages) {
    uint32_t from = dice(p->n_used), to = take(s, p);
    if (to == SPANS)
        return;
    add(s, HAKS_EV_MOVED, p->used[from], 0);
    add(s, HAKS_EV_TOUCH, to, pages);
    s->events[s->stream.n_events - 1].d_op = s->events[s->stream.n_events - 1].d_time = 0;
    put(s, p, from);
}

/* plain: spans of one page, and nothing but touches. */
static void make_stream(struct small *s, int plain) {
    struct placement p = {0};
    uint32_t most = plain ? 1 : PAGES, span;
    *s = (struct small){0};
    while (s->stream.n_events + 5 < EVENTS && s->puts < PUTS_MOST) {
        uint32_t what = dice(plain ? 8 : 10);
        if (what < 4) {
            span = take(s, &p);
            if (span != SPANS)
                add(s, !plain && dice(5) == 0 ? HAKS_EV_ZERO : HAKS_EV_TOUCH, span, 1 + dice(most));
        } else if (what < 7 && p.n_used > 0) {
            put(s, &p, dice(p.n_used));
        } else if (what == 7 && p.n_used > 0) {
            add(s, HAKS_EV_TOUCH, p.used[dice(p.n_used)], 1 + dice(most));
        } else if (what > 7 && p.n_used > 0) {
            move(s, &p, PAGES);
        }
    }
    for (uint32_t i = 0; i < SPANS; i++)
        s->spans[i] = (struct haks_span_info){1 + i, 1, HAK_KIND_SMALL};
    s->pass = (struct haks_pass){.page_size = PAGE, .has_times = 1};
    for (size_t i = 0; i < s->stream.n_events; i++) {
        s->pass.ops += s->events[i].d_op;
        s->pass.end_time += s->events[i].d_time;
    }
    s->pass.ops += 1 + dice(20);
    s->pass.end_time += 1 + dice(200);
    s->stream.spans = s->spans;
    s->stream.events = s->events;
    s->stream.n_spans = SPANS;
}

/* ---- a simulator of its own: each page for itself ---------------------------------------------
 */

struct tried {
    uint64_t page_ops, peak, cost;
};

struct brute {
    int there[SPANS][PAGES];
    uint32_t top[SPANS];           /* one past the last page that may be there */
    int clean[SPANS], zero[SPANS]; /* free and given back; taken as such */
    uint64_t resident, faults, released, moved, moves;
};

static void need(struct brute *b, uint32_t span, uint32_t pages) {
    for (uint32_t j = 0; j < pages; j++) {
        b->faults += !b->there[span][j];
        b->resident += !b->there[span][j];
        b->there[span][j] = 1;
    }
    b->top[span] = pages > b->top[span] ? pages : b->top[span];
}

static void drop(struct brute *b, uint32_t span) {
    for (uint32_t j = 0; j < PAGES; j++) {
        b->released += b->there[span][j];
        b->resident -= b->there[span][j];
        b->there[span][j] = 0;
    }
    b->top[span] = 0;
    b->clean[span] = 1;
}

static void carry(struct brute *b, uint32_t from, uint32_t to) {
    b->moves++;
    for (uint32_t j = 0; j < b->top[from]; j++) {
        b->resident -= b->there[to][j];
        b->faults += !b->there[from][j];
        b->resident += !b->there[from][j];
        b->moved += b->there[from][j];
        b->there[to][j] = 1;
        b->there[from][j] = 0;
    }
    b->top[to] = b->top[from] > b->top[to] ? b->top[from] : b->top[to];
    b->top[from] = 0;
}

static void step(struct brute *b, const struct haks_event *e) {
    switch (haks_event_kind(e)) {
    case HAKS_EV_TAKEN:
    case HAKS_EV_FRESH:
        b->zero[e->span] = b->clean[e->span] || b->top[e->span] == 0;
        b->clean[e->span] = 0;
        break;
    case HAKS_EV_TOUCH:
        need(b, e->span, haks_event_pages(e));
        break;
    case HAKS_EV_ZERO:
        if (!b->zero[e->span])
            need(b, e->span, haks_event_pages(e));
        else if (haks_event_pages(e) > b->top[e->span])
            b->top[e->span] = haks_event_pages(e);
        break;
    case HAKS_EV_MOVED:
        carry(b, e->span, e[1].span);
        break;
    default:
        break;
    }
}

/* Evaluates one choice, a digit a PUT. Calls cost nothing: what the bound relaxes. */
static struct tried attempt(const struct small *s, const struct haks_costs *costs,
                            const int *choice, enum haks_weight weight) {
    struct brute b = {0};
    struct tried t = {0};
    int last_put[SPANS] = {-1, -1, -1, -1};
    uint64_t at = 0, all = weight == HAKS_BY_TIME ? s->pass.end_time : s->pass.ops;
    for (size_t i = 0; i < s->stream.n_events; i++) {
        const struct haks_event *e = &s->events[i];
        uint64_t d = weight == HAKS_BY_TIME ? e->d_time : e->d_op;
        t.page_ops += b.resident * d;
        at += d;
        if (last_put[e->span] >= 0 && choice[last_put[e->span]] == LATER)
            drop(&b, e->span);
        last_put[e->span] = s->put_of[i];
        step(&b, e);
        if (s->put_of[i] >= 0 && choice[s->put_of[i]] == AT_ONCE)
            drop(&b, e->span);
        t.peak = b.resident > t.peak ? b.resident : t.peak;
    }
    t.page_ops += b.resident * (all - at);
    t.cost = b.faults * costs->fault_ns + b.released * costs->dontneed_page_ns +
             b.moves * costs->move_call_ns + b.moved * costs->move_page_ns;
    return t;
}

static int next_choice(int *choice, int n) {
    for (int i = 0; i < n; i++) {
        if (++choice[i] <= LATER)
            return 1;
        choice[i] = NO_RELEASE;
    }
    return 0;
}

static struct haks_oracle *oracle(const struct small *s, const struct haks_costs *costs,
                                  enum haks_weight weight) {
    struct haks_oracle *o;
    struct hakc_err err = {0};
    if (haks_oracle_new(&o, &s->stream, &s->pass, costs, weight, &err) != 0)
        fail_msg("%s", err.msg);
    return o;
}

/* Bytes of a mean, as a figure gives it: rounded down. */
static uint64_t mean_bytes(const struct small *s, uint64_t page_ops, enum haks_weight weight) {
    return page_ops * PAGE / (weight == HAKS_BY_TIME ? s->pass.end_time : s->pass.ops);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* No schedule beats the bound: all streams, all choices. */
static void test_nobody_beats_the_bound(void **state) {
    (void)state;
    uint64_t tried = 0;
    for (int i = 0; i < STREAMS; i++) {
        struct small s;
        int choice[PUTS_MOST] = {0};
        enum haks_weight weight = i % 2 == 0 ? HAKS_BY_OPS : HAKS_BY_TIME;
        seed = 1000u + (uint32_t)i;
        make_stream(&s, 0);
        struct haks_oracle *o = oracle(&s, &haks_costs_reference, weight);
        do {
            struct tried t = attempt(&s, &haks_costs_reference, choice, weight);
            uint64_t peak_bound, mean = mean_bytes(&s, t.page_ops, weight);
            uint64_t mean_bound = haks_oracle_mean_bound(o, mean);
            if (mean_bound > t.cost)
                fail_msg("stream %d: mean %llu for %llu ns, bound %llu", i,
                         (unsigned long long)mean, (unsigned long long)t.cost,
                         (unsigned long long)mean_bound);
            assert_int_equal(haks_oracle_peak_bound(o, t.peak * PAGE, &peak_bound, NULL), 0);
            if (peak_bound > t.cost)
                fail_msg("stream %d: peak %llu for %llu ns, bound %llu", i,
                         (unsigned long long)t.peak, (unsigned long long)t.cost,
                         (unsigned long long)peak_bound);
            assert_true(mean >= haks_oracle_least_mean(o));
            assert_true(t.peak * PAGE >= haks_oracle_least_peak(o));
            tried++;
        } while (next_choice(choice, s.puts));
        haks_oracle_free(o);
    }
    assert_true(tried > 100000);
}

/* Where spans have one page and calls are free, the peak's bound is the best of all schedules, and
 * the mean's is within one page's cost of it. */
static void test_the_bound_is_reached(void **state) {
    (void)state;
    struct haks_costs costs = haks_costs_reference;
    for (int i = 0; i < STREAMS; i++) {
        struct small s;
        uint64_t best_peak[SPANS + 1], best_mean[64], bound, worst = costs.fault_ns;
        int choice[PUTS_MOST] = {0};
        seed = 9000u + (uint32_t)i;
        make_stream(&s, 1);
        struct haks_oracle *o = oracle(&s, &costs, HAKS_BY_OPS);
        memset(best_peak, 0xff, sizeof best_peak);
        memset(best_mean, 0xff, sizeof best_mean);
        do {
            struct tried t = attempt(&s, &costs, choice, HAKS_BY_OPS);
            for (uint64_t peak = t.peak; peak <= SPANS; peak++)
                best_peak[peak] = t.cost < best_peak[peak] ? t.cost : best_peak[peak];
            for (uint64_t m = 0; m < 64; m++)
                if (t.page_ops * 64 <= m * s.pass.ops * SPANS && t.cost < best_mean[m])
                    best_mean[m] = t.cost;
        } while (next_choice(choice, s.puts));
        for (uint64_t peak = 0; peak <= SPANS; peak++) {
            assert_int_equal(haks_oracle_peak_bound(o, peak * PAGE, &bound, NULL), 0);
            assert_int_equal(bound, best_peak[peak]);
        }
        worst += costs.dontneed_page_ns;
        for (uint64_t m = 0; m < 64; m++) {
            bound = haks_oracle_mean_bound(o, m * SPANS * PAGE / 64);
            if (best_mean[m] != UINT64_MAX)
                assert_in_range(best_mean[m], bound, bound + worst);
        }
        haks_oracle_free(o);
    }
}

/* A schedule that gives back all, or nothing, is eager, or never, figure by figure. */
static void test_schedules_are_evaluated_as_policies(void **state) {
    (void)state;
    const struct hakp_spec eager = {.kind = HAKP_EAGER}, never = {.kind = HAKP_NEVER};
    for (int i = 0; i < STREAMS; i++) {
        struct small s;
        uint32_t by_unit[SPANS + 1] = {0, 0, 1, 2, 3};
        struct haks_figures policy, schedule;
        uint64_t over;
        char why[160];
        seed = 500u + (uint32_t)i;
        make_stream(&s, 0);
        s.stream.by_unit = by_unit;
        struct haks_oracle *o = oracle(&s, &haks_costs_reference, HAKS_BY_OPS);
        assert_int_equal(
            haks_evaluate(&s.stream, &s.pass, &haks_costs_reference, &eager, &policy, NULL), 0);
        assert_int_equal(
            haks_oracle_run(o, &(struct haks_schedule){0, 0, UINT64_MAX}, &schedule, &over, NULL),
            0);
        if (haks_figures_differ(&policy, &schedule, why, sizeof why) != NULL)
            fail_msg("stream %d, eager: %s", i, why);
        assert_int_equal(
            haks_evaluate(&s.stream, &s.pass, &haks_costs_reference, &never, &policy, NULL), 0);
        assert_int_equal(haks_oracle_run(o, &(struct haks_schedule){UINT64_MAX, 0, UINT64_MAX},
                                         &schedule, &over, NULL),
                         0);
        if (haks_figures_differ(&policy, &schedule, why, sizeof why) != NULL)
            fail_msg("stream %d, never: %s", i, why);
        haks_oracle_free(o);
    }
}

/* Makes `scale` ops of each. */
static void scale_ops(struct small *s, uint32_t scale) {
    for (size_t i = 0; i < s->stream.n_events; i++)
        s->events[i].d_op *= scale;
    s->pass.ops *= scale;
}

/* Schedules keep what they promise, and lie at or above the bound. */
static void keep_their_bounds(const struct haks_costs *costs, uint32_t ops_scale) {
    const char *const policies[] = {"eager", "never", "partial:1", "delay:ms=1", "bounce:n=1"};
    int possible = 0;
    for (int i = 0; i < STREAMS; i++) {
        struct small s;
        struct haks_figures f;
        uint64_t bound;
        seed = 77u + (uint32_t)i;
        make_stream(&s, i % 4 == 0);
        scale_ops(&s, ops_scale);
        struct haks_oracle *o = oracle(&s, costs, HAKS_BY_TIME);
        for (uint64_t pages = 0; pages <= SPANS * PAGES; pages++) {
            if (haks_oracle_mean_schedule(o, pages * PAGE, &f, NULL) == 0) {
                assert_true(f.mean_resident_time_bytes <= pages * PAGE);
                assert_true(f.cost_ns >= haks_oracle_mean_bound(o, pages * PAGE));
                possible++;
            }
            if (haks_oracle_peak_schedule(o, pages * PAGE, &f, NULL) == 0) {
                assert_true(f.peak_resident_bytes <= pages * PAGE);
                assert_int_equal(haks_oracle_peak_bound(o, pages * PAGE, &bound, NULL), 0);
                assert_true(f.cost_ns >= bound);
                possible++;
            }
        }
        uint32_t by_unit[SPANS + 1] = {0, 0, 1, 2, 3};
        s.stream.by_unit = by_unit;
        for (size_t p = 0; p < sizeof policies / sizeof policies[0]; p++) {
            struct hakp_spec spec;
            assert_int_equal(hakp_parse(policies[p], &spec, NULL, 0), 0);
            assert_int_equal(haks_evaluate(&s.stream, &s.pass, costs, &spec, &f, NULL), 0);
            bound = haks_oracle_mean_bound(o, f.mean_resident_time_bytes);
            if (f.cost_ns < bound)
                fail_msg("stream %d, %s: %llu ns, bound %llu", i, policies[p],
                         (unsigned long long)f.cost_ns, (unsigned long long)bound);
        }
        haks_oracle_free(o);
    }
    assert_true(possible > STREAMS);
}

static void test_schedules_keep_their_bounds(void **state) {
    (void)state;
    keep_their_bounds(&haks_costs_reference, 1);
}

/* The same where much depends on what the caches hold, and events lie at all distances. */
static void test_bounds_where_caches_count(void **state) {
    (void)state;
    struct haks_costs costs = haks_costs_reference;
    costs.hot_fault_ns = 700;
    costs.warm_fault_ns = 1000;
    costs.entry_ns = 100;
    costs.entry_16k_ns = 250;
    costs.entry_128k_ns = 800;
    costs.entry_2m_ns = 4000;
    costs.flush_page_ns = 100;
    costs.hot_page_ns = 60;
    costs.dontneed_call_ns = 10; /* a bound that forgets something shows it where calls are cheap */
    for (uint32_t scale = 1; scale <= 10000; scale *= 10)
        keep_their_bounds(&costs, scale);
}

/* A stream without a free span: nothing to win. One with no event at all. */
static void test_edges(void **state) {
    (void)state;
    struct small s = {.pass = {.page_size = PAGE, .ops = 10}};
    struct haks_oracle *o;
    struct haks_figures f;
    s.stream.spans = s.spans;
    s.stream.events = s.events;
    o = oracle(&s, &haks_costs_reference, HAKS_BY_OPS);
    assert_int_equal(haks_oracle_mean_bound(o, 0), 0);
    assert_int_equal(haks_oracle_least_peak(o), 0);
    assert_int_equal(haks_oracle_mean_schedule(o, 0, &f, NULL), 0);
    haks_oracle_free(o);
    assert_int_equal(
        haks_oracle_new(&o, &s.stream, &s.pass, &haks_costs_reference, HAKS_BY_TIME, NULL),
        HAKC_EREFUSED);
    s.stream.n_spans = 1;
    add(&s, HAKS_EV_FRESH, 0, 0);
    add(&s, HAKS_EV_TOUCH, 0, 3);
    o = oracle(&s, &haks_costs_reference, HAKS_BY_OPS);
    assert_int_equal(haks_oracle_least_peak(o), 3 * PAGE);
    assert_int_equal(haks_oracle_mean_bound(o, 3 * PAGE), 3 * haks_costs_reference.fault_ns);
    assert_true(haks_oracle_mean_bound(o, PAGE / 2) == HAKS_IMPOSSIBLE);
    haks_oracle_free(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_beats_the_bound),
        cmocka_unit_test(test_the_bound_is_reached),
        cmocka_unit_test(test_schedules_are_evaluated_as_policies),
        cmocka_unit_test(test_schedules_keep_their_bounds),
        cmocka_unit_test(test_bounds_where_caches_count),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
