#include "replay/experiment.h"

#include <stdlib.h>
#include <string.h>
#include "common/progress.h"
#include "common/stats.h"
#include "replay/run_figures.h"

#define CONFIDENCE 0.95 /* of --until */

struct turn {
    size_t variant;
    enum hakr_pass pass;
    uint32_t repeat;
    int kept;
    const struct hakr_latency *slow; /* inside pass: what to look into */
};

/* SplitMix64 (Steele, Lea, Flood 2014): enough to shuffle with. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Puts one round's turns in their order; they stand by pass and variant. */
static void arrange(const struct hakr_experiment *e, struct turn *t, size_t n, uint32_t round,
                    uint64_t *state) {
    for (size_t i = n; i > 1 && !e->abba; i--) {
        size_t k = (size_t)(next_random(state) % i);
        struct turn x = t[i - 1];
        t[i - 1] = t[k];
        t[k] = x;
    }
    for (size_t i = 0; i < n / 2 && e->abba && round % 2 != 0; i++) {
        struct turn x = t[i];
        t[i] = t[n - 1 - i];
        t[n - 1 - i] = x;
    }
}

/* All turns in their order; *n of them. */
static struct turn *draw(const struct hakr_experiment *e, uint64_t *state, size_t *n) {
    size_t nv = e->variants->n, most = nv;
    uint32_t rounds = 0;
    for (unsigned p = 0; p < HAKR_PASS_COUNT; p++) {
        most += nv * e->repeats[p];
        rounds = e->repeats[p] > rounds ? e->repeats[p] : rounds;
    }
    struct turn *t = calloc(most + 1, sizeof *t);
    if (t == NULL)
        return NULL;
    size_t at = 0, from;
    unsigned first = 0;
    while (first + 1 < HAKR_PASS_COUNT && e->repeats[first] == 0)
        first++;
    for (size_t v = 0; e->warm_up && v < nv; v++)
        t[at++] = (struct turn){.variant = v, .pass = first};
    arrange(e, t, at, 0, state);
    for (uint32_t r = 0; r < rounds; r++) {
        from = at;
        for (unsigned p = 0; p < HAKR_PASS_COUNT; p++)
            for (size_t v = 0; r < e->repeats[p] && v < nv; v++)
                if (!(e->variants->at[v].control && p != HAKR_PASS_TIME))
                    t[at++] = (struct turn){v, p, r, 1, NULL};
        arrange(e, t + from, at - from, r, state);
    }
    *n = at;
    return t;
}

static int keep(struct hakr_experiment *e, const struct turn *t, uint32_t position,
                struct hakr_result *res, struct hakc_err *err) {
    if (e->n_runs == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        void *a = realloc(e->runs, cap * sizeof *e->runs);
        if (a == NULL) {
            hakr_result_free(res);
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the results");
        }
        e->runs = a;
        e->cap = cap;
    }
    struct hakr_run *r = &e->runs[e->n_runs++];
    *r = (struct hakr_run){t->variant, t->pass, t->repeat, position, *res};
    return e->on_run != NULL ? e->on_run(e->arg, r, err) : 0;
}

static int take_turn(struct hakr_experiment *e, const struct turn *t, uint32_t position,
                     struct hakc_err *err) {
    const struct hakr_variant *v = &e->variants->at[t->variant];
    struct hakr_task task = {
        .plan = e->plan,
        .library = v->path,
        .dev = v->dev,
        .ino = v->ino,
        .env = (const char *const *)v->env,
        .policy = v->policy,
        .pass = t->pass,
        .touch = e->touch,
        .pace = e->pace,
        .keep_drift = (e->drift_passes >> t->pass & 1) != 0,
        .tell_time = e->tell_time,
        .timeout_ns = e->timeout_ns,
        .memory_limit = e->memory_limit,
        .limit_by_cgroup = e->limit_by_cgroup,
        .marks = e->marks,
        .recorded = e->recorded,
        .traced = e->counting == HAKR_BY_PTRACE || (e->counting == 0 && e->seccomp_forbidden),
        .rest_ns = e->rest_ns,
        .tsc = e->tsc,
        .slowest = e->slowest,
        .slow = t->slow != NULL ? t->slow->slowest : NULL,
        .n_slow = t->slow != NULL ? t->slow->n_slowest : 0,
    };
    struct hakr_result res = {0};
    int rc = hakr_run(&task, e->stop, &res, err);
    int forbidden = res.status == HAKR_OK && res.counted == 0;
    if (rc == 0 && hakr_pass_counts(t->pass) && e->counting == 0 && !task.traced &&
        (forbidden || res.hidden_call)) {
        e->seccomp_forbidden |= forbidden;
        task.traced = 1;
        hakr_result_free(&res);
        rc = hakr_run(&task, e->stop, &res, err);
    }
    if (rc != 0)
        return rc;
    if (res.status == HAKR_INTERRUPTED) {
        hakr_result_free(&res);
        return 0;
    }
    if (t->kept || res.status != HAKR_OK)
        return keep(e, t, position, &res, err);
    hakr_result_free(&res);
    return 0;
}

static int take_turns(struct hakr_experiment *e, const struct turn *t, size_t n, uint32_t *position,
                      struct hakc_progress *progress, struct hakc_err *err) {
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0 && !*e->stop; i++, ++*position) {
        if (hakr_experiment_failure(e, t[i].variant, t[i].pass) == NULL)
            rc = take_turn(e, &t[i], *position, err);
        hakc_progress_set(progress, *position + 1);
    }
    return rc;
}

/* Whether some variant's interval is wider than asked for. */
static int too_wide(const struct hakr_experiment *e) {
    int wide = 0;
    for (size_t v = 0; v < e->variants->n; v++) {
        struct hakc_summary sum;
        size_t n;
        double *x = hakr_figures(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP, &n);
        if (x != NULL && hakc_summarise(x, n, CONFIDENCE, &sum) == 0)
            wide |= !sum.has_ci || sum.ci_high - sum.median > e->until * sum.median ||
                    sum.median - sum.ci_low > e->until * sum.median;
        free(x);
    }
    return wide;
}

/* Rounds of the time pass beyond those that were drawn, until the intervals are narrow. */
static int go_on(struct hakr_experiment *e, uint64_t *state, uint32_t *position,
                 struct hakc_progress *progress, struct hakc_err *err) {
    size_t nv = e->variants->n;
    struct turn *t = calloc(nv + 1, sizeof *t);
    int rc = t == NULL ? hakc_fail(err, HAKC_ENOMEM, "out of memory for the order of runs") : 0;
    while (rc == 0 && !*e->stop && (e->too_wide = too_wide(e)) && e->time_rounds < e->max_repeats) {
        for (size_t v = 0; v < nv; v++)
            t[v] = (struct turn){v, HAKR_PASS_TIME, e->time_rounds, 1, NULL};
        arrange(e, t, nv, e->time_rounds, state);
        rc = take_turns(e, t, nv, position, progress, err);
        e->time_rounds++;
    }
    free(t);
    return rc;
}

/* Each variant's slowest ops are known: what happens inside them is told by one more run. */
static int look_inside(struct hakr_experiment *e, uint32_t *position,
                       struct hakc_progress *progress, struct hakc_err *err) {
    int rc = 0;
    for (size_t v = 0; rc == 0 && v < e->variants->n; v++) {
        struct hakr_latency *l = hakr_latency_of(e, v);
        struct turn t = {.variant = v, .pass = HAKR_PASS_INSIDE, .kept = 1, .slow = l};
        if (l != NULL && l->n_slowest != 0)
            rc = take_turns(e, &t, 1, position, progress, err);
        hakr_latency_free(l);
    }
    return rc;
}

int hakr_experiment_run(struct hakr_experiment *e, struct hakc_err *err) {
    size_t n = 0;
    uint32_t position = 0;
    uint64_t state = e->seed;
    struct hakc_progress progress;
    struct turn *turns = draw(e, &state, &n);
    if (turns == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the order of runs");
    hakr_noise_begin(&e->noise, "");
    size_t after = e->repeats[HAKR_PASS_LATENCY] != 0 && e->slowest != 0 ? e->variants->n : 0;
    hakc_progress_start(&progress, "replaying", n + after, "runs");
    int rc = take_turns(e, turns, n, &position, &progress, err);
    e->time_rounds = e->repeats[HAKR_PASS_TIME];
    if (rc == 0 && e->until > 0 && e->time_rounds != 0)
        rc = go_on(e, &state, &position, &progress, err);
    if (rc == 0 && e->repeats[HAKR_PASS_LATENCY] != 0)
        rc = look_inside(e, &position, &progress, err);
    hakc_progress_end(&progress);
    hakr_noise_end(&e->noise, "");
    e->interrupted = *e->stop != 0;
    free(turns);
    return rc;
}

void hakr_experiment_free(struct hakr_experiment *e) {
    for (size_t i = 0; i < e->n_runs; i++)
        hakr_result_free(&e->runs[i].result);
    free(e->runs);
    e->runs = NULL;
    e->n_runs = e->cap = 0;
}

const struct hakr_run *hakr_experiment_failure(const struct hakr_experiment *e, size_t variant,
                                               enum hakr_pass pass) {
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_run *r = &e->runs[i];
        if (r->variant == variant && r->result.status != HAKR_OK &&
            (pass == HAKR_PASS_COUNT || r->pass == pass || r->pass == HAKR_PASS_CHECK ||
             r->result.status == HAKR_WRONG_LIBRARY))
            return r;
    }
    return NULL;
}
