/* The plan: what each record becomes, and that no interleaving which obeys the waits can go wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "replay/plan.h"

static struct hakt_rec rec(unsigned op, uint32_t thread, uint64_t id, uint64_t old, uint64_t size) {
    return (struct hakt_rec){
        .op = (uint8_t)op, .thread = thread, .id = id, .old_id = old, .size = size};
}

static void plan_all(struct hakr_plan *p, const struct hakt_rec *r, size_t n) {
    struct hakc_err err = {0};
    assert_int_equal(hakr_plan_begin(p, n, 0, &err), 0);
    for (size_t at = 0; at < n; at += 7) /* chunks: the result must not depend on them */
        assert_int_equal(hakr_plan_add(p, r + at, n - at < 7 ? n - at : 7, &err), 0);
    assert_int_equal(hakr_plan_finish(p, &err), 0);
}

static void expect_word(const struct hakr_plan *p, uint32_t t, size_t i, unsigned kind,
                        uint64_t size) {
    uint64_t w = p->threads[t].words[i];
    assert_int_equal(hakr_word_kind(w), kind);
    assert_int_equal(hakr_word_size(w), size);
}

static void test_kinds(void **state) {
    (void)state;
    struct hakt_rec r[] = {
        rec(HAKT_THREAD_START, 0, 0, 0, 0),   rec(HAKT_MALLOC, 0, 1, 0, 100),
        rec(HAKT_CALLOC, 0, 2, 0, 200),       rec(HAKT_REALLOC, 0, 3, 1, 300),
        rec(HAKT_REALLOC, 0, 4, 0, 400),      rec(HAKT_REALLOCARRAY, 0, 5, 4, 500),
        rec(HAKT_REALLOCARRAY, 0, 6, 0, 600), rec(HAKT_FREE, 0, 0, 0, 0),
        rec(HAKT_REALLOC, 0, 0, 6, 0),        rec(HAKT_VALLOC, 0, 7, 0, 700),
        rec(HAKT_PVALLOC, 0, 8, 0, 800),      rec(HAKT_FREE, 0, 0, 2, 0),
        rec(HAKT_REALLOC, 0, 9, 3, 0),        rec(HAKT_THREAD_END, 0, 0, 0, 0),
    };
    static const struct {
        unsigned kind;
        uint64_t size;
    } want[] = {{HAKR_MALLOC, 100},
                {HAKR_CALLOC, 200},
                {HAKR_REALLOC, 300},
                {HAKR_REALLOC_NEW, 400},
                {HAKR_REALLOCARRAY, 500},
                {HAKR_REALLOCARRAY_NEW, 600},
                {HAKR_FREE_NULL, 0},
                {HAKR_REALLOC_ZERO, 0},
                {HAKR_VALLOC, 700},
                {HAKR_PVALLOC, 800},
                {HAKR_FREE, 0},
                {HAKR_REALLOC, 1},
                {HAKR_END, 0}};
    size_t n = sizeof want / sizeof *want;
    struct hakr_plan p;
    plan_all(&p, r, sizeof r / sizeof *r);
    assert_int_equal(p.n_threads, 1);
    assert_int_equal(p.threads[0].n_words, n);
    assert_int_equal(p.threads[0].ops, n - 1);
    assert_false(p.threads[0].ends); /* with the process */
    for (size_t i = 0; i < n; i++)
        expect_word(&p, 0, i, want[i].kind, want[i].size);
    /* a realloc keeps the object's slot */
    assert_int_equal(hakr_word_slot(p.threads[0].words[0]), hakr_word_slot(p.threads[0].words[2]));
    assert_int_equal(p.stats.waits, 0);
    assert_int_equal(p.stats.realloc_zero, 2);
    /* 100+200, 300+200 (id 3), +500, +600, -600, +700, +800 */
    assert_int_equal(p.stats.peak_live, 300 + 200 + 500 + 700 + 800);
    hakr_plan_free(&p);
}

static void test_wide(void **state) {
    (void)state;
    uint64_t big = UINT64_C(1) << 16, huge = UINT64_C(3) << 40;
    struct hakt_rec r[] = {
        rec(HAKT_MALLOC, 0, 1, 0, big - 1), rec(HAKT_MALLOC, 0, 2, 0, big),
        rec(HAKT_MALLOC, 0, 3, 0, huge),    rec(HAKT_MEMALIGN, 0, 4, 0, 64),
        rec(HAKT_FREE, 0, 0, 3, 0),
    };
    r[3].align_log2 = 12;
    struct hakr_plan p;
    plan_all(&p, r, 5);
    const uint64_t *w = p.threads[0].words;
    assert_int_equal(hakr_word_size(w[0]), big - 1);
    assert_false(hakr_word_alone(w[0]) & HAKR_WIDE);
    assert_true(hakr_word_alone(w[1]) & HAKR_WIDE);
    assert_int_equal(hakr_wide_size(w[2]), big);
    assert_int_equal(hakr_wide_size(w[4]), huge);
    assert_int_equal(hakr_word_kind(w[5]), HAKR_MEMALIGN);
    assert_int_equal(hakr_wide_size(w[6]), 64);
    assert_int_equal(hakr_wide_align(w[6]), 12);
    expect_word(&p, 0, 7, HAKR_FREE, 0);
    uint64_t op, size;
    unsigned kind;
    assert_int_equal(hakr_plan_locate(&p, 0, 4, &op, &kind, &size), 0); /* second word of op 2 */
    assert_int_equal(op, 2);
    assert_int_equal(size, huge);
    assert_int_equal(hakr_plan_locate(&p, 0, 7, &op, &kind, &size), 0);
    assert_int_equal(op, 4);
    assert_int_equal(kind, HAKR_FREE);
    assert_int_equal(hakr_plan_locate(&p, 0, 8, &op, &kind, &size), -1);
    hakr_plan_free(&p);
}

static void test_left_out(void **state) {
    (void)state;
    struct hakt_rec r[] = {
        rec(HAKT_MALLOC, 0, 0, 0, UINT64_MAX),
        rec(HAKT_MALLOC, 0, 1, 0, 10),
        rec(HAKT_REALLOC, 0, 0, 1, 1u << 30),
        rec(HAKT_FREE, 0, 0, 0, 0),
        rec(HAKT_REALLOC, 0, 2, 0, 20),
        rec(HAKT_REALLOC, 0, 0, 1, 30),
        rec(HAKT_FREE, 0, 0, 2, 0),
        rec(HAKT_REALLOC, 0, 0, 0, 0),
    };
    r[0].flags = r[2].flags = HAKT_REC_FAILED;
    r[3].flags = r[4].flags = r[7].flags = HAKT_REC_FOREIGN;
    r[5].flags = HAKT_REC_UNFINISHED;
    r[6].flags = HAKT_REC_IMPLIED;
    struct hakr_plan p;
    plan_all(&p, r, 8);
    expect_word(&p, 0, 0, HAKR_MALLOC, 10);
    expect_word(&p, 0, 1, HAKR_REALLOC_NEW, 20);
    expect_word(&p, 0, 2, HAKR_FREE, 0);
    expect_word(&p, 0, 3, HAKR_FREE, 0);
    expect_word(&p, 0, 4, HAKR_END, 0);
    assert_int_equal(p.stats.skipped_failed, 2);
    assert_int_equal(p.stats.skipped_foreign, 2);
    assert_int_equal(p.stats.foreign_reallocs, 2);
    assert_int_equal(p.stats.unfinished, 1);
    assert_int_equal(p.stats.implied, 1);
    hakr_plan_free(&p);
}

/* Only a hand-over waits, and it waits once for what it knows already. */
static void test_waits(void **state) {
    (void)state;
    struct hakt_rec r[] = {
        rec(HAKT_MALLOC, 0, 1, 0, 8), rec(HAKT_MALLOC, 0, 2, 0, 8), rec(HAKT_MALLOC, 1, 3, 0, 8),
        rec(HAKT_FREE, 1, 0, 2, 0),   rec(HAKT_FREE, 1, 0, 1, 0),   rec(HAKT_FREE, 1, 0, 3, 0),
    };
    struct hakr_plan p;
    plan_all(&p, r, 6);
    const uint64_t *a = p.threads[0].words, *b = p.threads[1].words;
    assert_false(hakr_word_alone(a[0]) & HAKR_PUBLISH);
    assert_true(hakr_word_alone(a[1]) & HAKR_PUBLISH);
    assert_int_equal(b[1], hakr_wait_word(0, 2)); /* thread 0's first two words are done */
    assert_int_equal(hakr_word_kind(b[2]), HAKR_FREE);
    assert_int_equal(hakr_word_kind(b[3]), HAKR_FREE); /* object 1 came before object 2 */
    assert_int_equal(hakr_word_kind(b[4]), HAKR_FREE);
    assert_int_equal(p.stats.waits, 1);
    assert_int_equal(p.stats.handed, 2);
    hakr_plan_free(&p);
}

static void expect_corrupt(const struct hakt_rec *r, size_t n, const char *record) {
    struct hakr_plan p;
    struct hakc_err err = {0};
    assert_int_equal(hakr_plan_begin(&p, n, 0, &err), 0);
    assert_int_equal(hakr_plan_add(&p, r, n, &err), HAKC_ECORRUPT);
    assert_non_null(strstr(err.msg, record));
    hakr_plan_free(&p);
    hakr_plan_free(&p);
}

static void test_corrupt(void **state) {
    (void)state;
    struct hakt_rec twice[] = {rec(HAKT_MALLOC, 0, 1, 0, 8), rec(HAKT_FREE, 0, 0, 1, 0),
                               rec(HAKT_FREE, 0, 0, 1, 0)};
    struct hakt_rec same[] = {rec(HAKT_MALLOC, 0, 1, 0, 8), rec(HAKT_MALLOC, 0, 1, 0, 8)};
    struct hakt_rec none[] = {rec(HAKT_MALLOC, 0, 0, 0, 8)};
    struct hakt_rec op[] = {rec(99, 0, 1, 0, 8)};
    expect_corrupt(twice, 3, "record 2");
    expect_corrupt(same, 2, "record 1");
    expect_corrupt(none, 1, "record 0");
    expect_corrupt(op, 1, "record 0");
}

static void test_threads(void **state) {
    (void)state;
    struct hakr_plan p;
    struct hakc_err err = {0};
    struct hakt_rec r = rec(HAKT_MALLOC, HAKR_MAX_THREADS, 1, 0, 8);
    assert_int_equal(hakr_plan_begin(&p, 10, 0, &err), 0);
    assert_int_equal(hakr_plan_add(&p, &r, 1, &err), HAKC_EUNSUPPORTED);
    hakr_plan_free(&p);
    assert_int_equal(hakr_plan_begin(&p, 0, 0, &err), 0); /* nothing known, nothing there */
    assert_int_equal(hakr_plan_finish(&p, &err), 0);
    assert_int_equal(p.n_threads, 1);
    assert_int_equal(hakr_word_kind(p.threads[0].words[0]), HAKR_END);
    hakr_plan_free(&p);
}

/* ---- the property -----------------------------------------------------------------------------
 */

#define THREADS 5
#define RECORDS 3000
#define OBJECTS 60

static uint64_t seed_state;

static uint32_t rnd(uint32_t n) {
    seed_state = seed_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed_state >> 33) % n;
}

static size_t random_trace(struct hakt_rec *r) {
    uint64_t live[OBJECTS] = {0}, id = 0;
    size_t n = 0;
    while (n < RECORDS) {
        uint32_t t = rnd(THREADS), k = rnd(OBJECTS);
        if (live[k] == 0) {
            live[k] = ++id;
            r[n++] = rec(HAKT_MALLOC, t, id, 0, rnd(8) == 0 ? 1u << 27 : rnd(1000));
        } else if (rnd(4) == 0) {
            r[n++] = rec(HAKT_REALLOC, t, id + 1, live[k], rnd(1000));
            live[k] = ++id;
        } else {
            r[n++] = rec(HAKT_FREE, t, 0, live[k], 0);
            live[k] = 0;
        }
    }
    return n;
}

struct sim {
    const struct hakr_plan *p;
    const struct hakt_rec *recs;
    uint32_t next[THREADS][RECORDS]; /* each thread's records */
    size_t done[THREADS];            /* of them */
    uint64_t pc[THREADS], published[THREADS];
    size_t count[THREADS];
    uint64_t epoch[THREADS];    /* plus 1; 0 = in none */
    uint32_t left[RECORDS + 1]; /* by epoch: threads that are done with it */
    uint32_t furthest;          /* record that has begun */
    uint64_t *slots;            /* the id of the object there; 0 = nobody's */
};

/* Thread t enters the epoch, or must wait. The same two looks as the driver's. */
static int enter(struct sim *s, uint32_t t, uint64_t epoch) {
    if (s->epoch[t] != 0)
        s->left[s->epoch[t] - 1]++;
    s->epoch[t] = 0;
    for (uint64_t lag = HAKR_EPOCH_LAG; lag <= HAKR_EPOCH_LAG + 1 && lag <= epoch; lag++)
        if (s->left[epoch - lag] < s->p->epoch_needs[epoch - lag])
            return 0;
    s->epoch[t] = epoch + 1;
    return 1;
}

/* Runs the next word of thread t; 0 if it must wait or is at its end. */
static int step(struct sim *s, uint32_t t) {
    uint64_t word = hakr_word_alone(s->p->threads[t].words[s->pc[t]]);
    const uint64_t *w = &word;
    unsigned kind = hakr_word_kind(word);
    if (kind == HAKR_END) {
        if (s->epoch[t] != 0)
            s->left[s->epoch[t] - 1]++;
        s->epoch[t] = 0;
        return 0;
    }
    if (kind == HAKR_CONTROL) {
        if (hakr_control_sort(*w) == HAKR_WAIT &&
            s->published[hakr_wait_thread(*w)] < hakr_wait_position(*w))
            return 0;
        if (hakr_control_sort(*w) == HAKR_EPOCH && !enter(s, t, hakr_control_value(*w)))
            return 0;
        s->pc[t]++;
        return 1;
    }
    s->furthest = s->next[t][s->done[t]] > s->furthest ? s->next[t][s->done[t]] : s->furthest;
    if (s->p->drift != HAKR_NO_DRIFT)
        for (uint32_t u = 0; u < THREADS; u++) /* whose next op was recorded too long ago? */
            assert_true(s->done[u] == s->count[u] ||
                        s->next[u][s->done[u]] + s->p->drift >= s->furthest);
    const struct hakt_rec *r = &s->recs[s->next[t][s->done[t]++]];
    uint64_t *slot = &s->slots[hakr_word_slot(*w)];
    if (kind == HAKR_MALLOC)
        assert_int_equal(*slot, 0); /* nobody's: else two objects would share it */
    else
        assert_int_equal(*slot, r->old_id); /* the very object that the trace consumed */
    *slot = r->id;
    s->pc[t] += hakr_word_length(*w);
    if (*w & HAKR_PUBLISH)
        s->published[t] = s->pc[t];
    return 1;
}

static void simulate(const struct hakr_plan *p, const struct hakt_rec *recs, size_t n) {
    struct sim *s = calloc(1, sizeof *s);
    size_t stuck = 0;
    s->p = p;
    s->recs = recs;
    s->slots = calloc(p->n_slots, sizeof *s->slots);
    for (size_t i = 0; i < n; i++)
        s->next[recs[i].thread][s->count[recs[i].thread]++] = (uint32_t)i;
    while (stuck < 100 * THREADS) {
        uint32_t t = rnd(THREADS), burst = rnd(50);
        stuck++;
        for (uint32_t i = 0; i <= burst && step(s, t); i++)
            stuck = 0;
    }
    for (uint32_t t = 0; t < THREADS; t++) {
        assert_int_equal(hakr_word_kind(p->threads[t].words[s->pc[t]]), HAKR_END);
        assert_int_equal(s->done[t], s->count[t]);
    }
    free(s->slots);
    free(s);
}

static void test_any_interleaving(void **state) {
    (void)state;
    struct hakt_rec *r = calloc(RECORDS, sizeof *r);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct hakr_plan p;
        seed_state = seed;
        size_t n = random_trace(r);
        plan_all(&p, r, n);
        assert_true(p.stats.waits > 0 && p.stats.waits <= p.stats.handed);
        assert_true(p.n_slots <= (uint64_t)OBJECTS * THREADS);
        for (int i = 0; i < 20; i++)
            simulate(&p, r, n);
        hakr_plan_free(&p);
    }
    free(r);
}

/* No op begins before one that was recorded more than the limit before it; none gets stuck. */
static void test_drift(void **state) {
    (void)state;
    struct hakt_rec *r = calloc(RECORDS, sizeof *r);
    static const uint64_t limits[] = {0, 1, 2, 7, 64, 1000, 10000};
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        struct hakr_plan p;
        struct hakc_err err = {0};
        seed_state = k + 1;
        size_t n = random_trace(r);
        assert_int_equal(hakr_plan_begin(&p, n, 0, &err), 0);
        p.drift = limits[k];
        assert_int_equal(hakr_plan_add(&p, r, n, &err), 0);
        assert_int_equal(hakr_plan_finish(&p, &err), 0);
        for (int i = 0; i < 20; i++)
            simulate(&p, r, n);
        hakr_plan_free(&p);
    }
    free(r);
}

/* Bundles: the ops that their fields tell are the ops that are there. */
static void test_bundles(void **state) {
    (void)state;
    struct hakt_rec *r = calloc(RECORDS, sizeof *r);
    struct hakr_plan p;
    uint64_t bundled = 0;
    seed_state = 5;
    size_t n = random_trace(r);
    plan_all(&p, r, n);
    for (uint32_t t = 0; t < p.n_threads; t++) {
        const uint64_t *w = p.threads[t].words;
        for (uint64_t i = 0; i < p.threads[t].n_words;) {
            unsigned field = hakr_word_bundle(w[i]), ops = 0;
            while (field >> (ops + 1) != 0)
                ops++;
            assert_true(ops <= HAKR_BUNDLE_MAX);
            for (unsigned k = 0; k < ops; k++) {
                uint64_t x = hakr_word_alone(w[i + k]);
                assert_int_equal(hakr_word_kind(x),
                                 field >> (ops - 1 - k) & 1 ? HAKR_MALLOC : HAKR_FREE);
                assert_int_equal(x & (HAKR_PUBLISH | HAKR_WIDE), 0);
                assert_true(hakr_word_kind(x) == HAKR_FREE ||
                            (hakr_word_size(x) >= 1 && hakr_word_size(x) <= HAKR_SIMPLE_MAX));
                assert_true(k == 0 || hakr_word_bundle(w[i + k]) == 0);
            }
            bundled += ops;
            if (ops == 0) /* and nothing simple was left out */
                assert_true(hakr_simple_bit(w[i]) < 0);
            i += ops != 0 ? ops : hakr_word_length(w[i]);
        }
    }
    assert_int_equal(bundled, p.stats.bundled);
    assert_true(bundled > n / 4);
    hakr_plan_free(&p);
    free(r);
}

/* The test of the test: without the waits some interleaving does go wrong. */
static void test_waits_are_needed(void **state) {
    (void)state;
    struct hakt_rec *r = calloc(RECORDS, sizeof *r);
    struct hakr_plan p;
    seed_state = 3;
    size_t n = random_trace(r), wrong = 0;
    plan_all(&p, r, n);
    uint64_t *slots = calloc(p.n_slots, sizeof *slots);
    for (uint32_t t = 0; t < THREADS; t++) { /* one thread after another, waits passed over */
        size_t i = 0;
        for (uint64_t pc = 0; hakr_word_kind(p.threads[t].words[pc]) != HAKR_END;) {
            uint64_t w = p.threads[t].words[pc];
            if (hakr_word_kind(w) == HAKR_CONTROL) {
                pc++;
                continue;
            }
            while (r[i].thread != t)
                i++;
            wrong += hakr_word_kind(w) != HAKR_MALLOC && slots[hakr_word_slot(w)] != r[i].old_id;
            slots[hakr_word_slot(w)] = r[i++].id;
            pc += hakr_word_length(w);
        }
    }
    assert_true(wrong > 0);
    free(slots);
    hakr_plan_free(&p);
    free(r);
}

/* What is live, as a model of the trace has it: also where the planner works by arithmetic. */
static void test_live(void **state) {
    (void)state;
    struct hakt_rec *r = calloc(RECORDS, sizeof *r);
    uint64_t *sizes = calloc(RECORDS + 1, sizeof *sizes), live = 0, peak = 0, allocs = 0;
    double sum = 0;
    struct hakr_plan p;
    seed_state = 11;
    size_t n = random_trace(r);
    for (size_t i = 0; i < n; i++) {
        if (i % 3 != 0 && r[i].thread != 0)
            r[i].size = r[i].op == HAKT_FREE ? 0 : r[i].size % 6000; /* around HAKR_SIMPLE_MAX */
        sizes[r[i].id] = r[i].size;
        live += r[i].size - (r[i].old_id != 0 ? sizes[r[i].old_id] : 0);
        peak = live > peak ? live : peak;
        allocs += r[i].op != HAKT_FREE;
        sum += (double)live;
    }
    plan_all(&p, r, n);
    assert_int_equal(p.stats.peak_live, peak);
    assert_int_equal(p.stats.allocs, allocs);
    assert_int_equal(p.stats.records, n);
    assert_int_equal(p.stats.ops, n);
    assert_true(p.stats.mean_live * (double)n > sum * 0.999999 &&
                p.stats.mean_live * (double)n < sum * 1.000001);
    hakr_plan_free(&p);
    free(sizes);
    free(r);
}

/* Times: at the first op of a thread, then when both 100 ns and 8 ops have gone by. */
static void test_times(void **state) {
    (void)state;
    enum { N = 40 };
    struct hakr_plan p;
    struct hakc_err err = {0};
    assert_int_equal(hakr_plan_begin(&p, N, 0, &err), 0);
    p.clock_every_ns = 100;
    for (unsigned i = 0; i < N; i++) {
        struct hakt_rec r = rec(HAKT_MALLOC, 0, i + 1, 0, 16);
        r.time = i < 20 ? i * 50 : 2000 + i;
        assert_int_equal(hakr_plan_add(&p, &r, 1, &err), 0);
    }
    assert_int_equal(hakr_plan_finish(&p, &err), 0);
    /* ops 0, 8, 16 by 8 ops; 24 too (2000 + 24); not 32 and on: less than 100 ns later */
    static const uint64_t times[] = {0, 400, 800, 2024};
    static const unsigned before_op[] = {0, 8, 16, 24};
    size_t k = 0, w = 0;
    const uint64_t *words = p.threads[0].words;
    for (unsigned op = 0; op < N; op++) {
        if (k < 4 && before_op[k] == op) {
            assert_int_equal(words[w++], hakr_control_word(HAKR_TIME, times[k++]));
        }
        uint64_t at, size;
        unsigned kind;
        assert_int_equal(hakr_word_kind(words[w]), HAKR_MALLOC);
        assert_int_equal(hakr_plan_locate(&p, 0, w++, &at, &kind, &size), 0);
        assert_int_equal(at, op);
    }
    assert_int_equal(words[w], HAKR_END);
    assert_int_equal(p.stats.waits, 0);
    hakr_plan_free(&p);
    /* years fit too, in coarser steps */
    uint64_t near = HAKR_CONTROL_MAX, far = near + 1, year = UINT64_C(31536000000000000);
    assert_int_equal(hakr_control_sort(hakr_time_word(near)), HAKR_TIME);
    assert_int_equal(hakr_control_value(hakr_time_word(near)), near);
    assert_int_equal(hakr_control_sort(hakr_time_word(far)), HAKR_TIME_FAR);
    assert_int_equal(hakr_control_value(hakr_time_word(far)) << HAKR_FAR_SHIFT, far);
    assert_int_equal(hakr_control_value(hakr_time_word(year)), year >> HAKR_FAR_SHIFT);
}

/* A thread that ends before others go on exits in the replay as well, in its place of the order;
 * one that ends with the process does not. */
static void test_ends(void **state) {
    (void)state;
    struct hakt_rec r[] = {
        rec(HAKT_MALLOC, 1, 1, 0, 100),   rec(HAKT_MALLOC, 0, 2, 0, 100),
        rec(HAKT_THREAD_END, 1, 0, 0, 0), rec(HAKT_MALLOC, 0, 3, 0, 100),
        rec(HAKT_MALLOC, 2, 4, 0, 100),   rec(HAKT_THREAD_END, 0, 0, 0, 0),
        rec(HAKT_THREAD_END, 2, 0, 0, 0),
    };
    struct hakr_plan p;
    plan_all(&p, r, sizeof r / sizeof *r);
    assert_int_equal(p.threads[1].ends, 1);
    assert_int_equal(p.threads[0].ends, 0);
    assert_int_equal(p.threads[2].ends, 0);
    hakr_plan_free(&p);
    assert_int_equal(hakr_plan_begin(&p, sizeof r / sizeof *r, 3, NULL), 0);
    p.drift = 0;
    assert_int_equal(hakr_plan_add(&p, r, sizeof r / sizeof *r, NULL), 0);
    assert_int_equal(hakr_plan_finish(&p, NULL), 0);
    assert_int_equal(p.threads[1].n_words, 3); /* malloc, the wait for thread 0's op, the end */
    assert_int_equal(hakr_word_kind(p.threads[1].words[1]), HAKR_CONTROL);
    hakr_plan_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_ends),
        cmocka_unit_test(test_wide),    cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_waits),   cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_any_interleaving),
        cmocka_unit_test(test_drift),   cmocka_unit_test(test_bundles),
        cmocka_unit_test(test_times),   cmocka_unit_test(test_waits_are_needed),
        cmocka_unit_test(test_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
