/* The oracle's schedules: the curve of the mean by thresholds and delays, and single bounds. */
#include <stdlib.h>

#include "sim/oracle_int.h"

#define STEPS       48 /* thresholds: evenly spaced in memory */
#define REFINEMENTS 10 /* between two of them, for one bound */

/* A PUT by what it saves for its cost. */
struct offer {
    uint64_t ratio, saved;
};

static int compare_offers(const void *a, const void *b) {
    const struct offer *x = a, *y = b;
    return x->ratio > y->ratio ? -1 : x->ratio < y->ratio;
}

/* Thresholds at which so much more page-time is saved each time; [0]: all goes. */
static int find_thresholds(const struct haks_oracle *o, uint64_t *thresholds, size_t *n,
                           struct hakc_err *err) {
    struct offer *v = malloc((o->stream->n_events + 1) * sizeof *v);
    size_t offers = 0;
    haks_u128 all = 0, sum = 0;
    if (v == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
    for (size_t i = 0; i < o->stream->n_events; i++) {
        const struct haks_put *p = &o->puts[i];
        uint64_t ns = p->saved > 0 ? haks_oracle_put_cost(o, p) : 0;
        if (p->saved == 0)
            continue;
        v[offers++] = (struct offer){p->saved / (ns > 0 ? ns : 1), p->saved};
        all += p->saved;
    }
    qsort(v, offers, sizeof *v, compare_offers);
    *n = 0;
    thresholds[(*n)++] = 0;
    thresholds[(*n)++] = UINT64_MAX;
    for (size_t i = 0, step = 1; i < offers && step < STEPS; i++) {
        sum += v[i].saved;
        if (sum < all * step / STEPS)
            continue;
        if (v[i].ratio != thresholds[*n - 1])
            thresholds[(*n)++] = v[i].ratio;
        while (step < STEPS && sum >= all * step / STEPS)
            step++;
    }
    free(v);
    return 0;
}

static uint64_t mean_of(const struct haks_oracle *o, const struct haks_figures *f) {
    return o->weight == HAKS_BY_TIME ? f->mean_resident_time_bytes : f->mean_resident_bytes;
}

/* By memory; of equal memory the cheapest. */
static int compare_points(const void *a, const void *b, void *ctx) {
    const struct haks_oracle *o = ctx;
    const struct haks_figures *f = &((const struct haks_tried *)a)->f;
    const struct haks_figures *g = &((const struct haks_tried *)b)->f;
    uint64_t x = mean_of(o, f), y = mean_of(o, g);
    if (x != y)
        return x < y ? -1 : 1;
    return f->cost_ns < g->cost_ns ? -1 : f->cost_ns > g->cost_ns;
}

/* Keeps those that are cheaper than all with less memory. */
static void keep_front(struct haks_oracle *o) {
    size_t kept = 0;
    qsort_r(o->curve, o->n_curve, sizeof *o->curve, compare_points, o);
    for (size_t i = 0; i < o->n_curve; i++)
        if (kept == 0 || o->curve[i].f.cost_ns < o->curve[kept - 1].f.cost_ns)
            o->curve[kept++] = o->curve[i];
    o->n_curve = kept;
}

/* Evaluates a schedule and adds it to the curve. */
static int try(struct haks_oracle *o, uint64_t threshold, uint64_t delay, uint64_t *mean,
               struct hakc_err *err) {
    struct haks_schedule s = {threshold, delay, UINT64_MAX};
    struct haks_tried *t;
    uint64_t over;
    int rc;
    *mean = 0;
    if (o->n_curve == o->curve_room) {
        size_t room = o->curve_room * 2 + 256;
        struct haks_tried *grown = realloc(o->curve, room * sizeof *grown);
        if (grown == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
        o->curve = grown;
        o->curve_room = room;
    }
    t = &o->curve[o->n_curve++];
    t->threshold = threshold;
    t->delay = delay;
    rc = haks_oracle_run(o, &s, &t->f, &over, err);
    *mean = mean_of(o, &t->f);
    return rc;
}

static int make_curve(struct haks_oracle *o, struct hakc_err *err) {
    /* no delay, a hundred-thousandth of the trace, and a thousandth */
    const uint64_t delays[] = {0, o->span_of_time / 100000 + 1, o->span_of_time / 1000 + 1};
    uint64_t mean;
    int rc = 0;
    o->thresholds = malloc((STEPS + 2) * sizeof *o->thresholds);
    if (o->thresholds == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
    rc = find_thresholds(o, o->thresholds, &o->n_thresholds, err);
    for (size_t d = 0; d < 3; d++)
        for (size_t t = 0; rc == 0 && t < o->n_thresholds; t++)
            rc = try(o, o->thresholds[t], delays[d], &mean, err);
    if (rc == 0)
        keep_front(o);
    return rc;
}

/* The place of the point with the most memory within a bound; n_curve: none. */
static size_t find_point(const struct haks_oracle *o, uint64_t bytes) {
    size_t n = 0;
    while (n < o->n_curve && mean_of(o, &o->curve[n].f) <= bytes)
        n++;
    return n > 0 ? n - 1 : o->n_curve;
}

/* Between the thresholds that were tried: the highest that still stays within the bound. */
static int refine(struct haks_oracle *o, const struct haks_tried *at, uint64_t bytes,
                  struct hakc_err *err) {
    uint64_t low = at->threshold, high = UINT64_MAX, delay = at->delay, mean;
    int rc = 0;
    for (size_t i = 0; i < o->n_thresholds; i++)
        if (o->thresholds[i] > low && o->thresholds[i] < high)
            high = o->thresholds[i];
    if (high == UINT64_MAX)
        high = low < UINT64_MAX / 4 ? 4 * low + 4 : low;
    for (unsigned step = 0; rc == 0 && step < REFINEMENTS && high - low > 1; step++) {
        uint64_t mid = low + (high - low) / 2;
        rc = try(o, mid, delay, &mean, err);
        if (mean <= bytes)
            low = mid;
        else
            high = mid;
    }
    if (rc == 0)
        keep_front(o);
    return rc;
}

int haks_oracle_mean_schedule(struct haks_oracle *o, uint64_t bytes, struct haks_figures *out,
                              struct hakc_err *err) {
    size_t at;
    int rc = o->thresholds == NULL ? make_curve(o, err) : 0;
    if (rc != 0)
        return rc;
    at = find_point(o, bytes);
    if (at == o->n_curve)
        return hakc_fail(err, HAKC_EREFUSED, "no schedule keeps the mean below %llu bytes",
                         (unsigned long long)bytes);
    if (o->curve[at].threshold != UINT64_MAX)
        rc = refine(
            o,
            &(struct haks_tried){.threshold = o->curve[at].threshold, .delay = o->curve[at].delay},
            bytes, err);
    if (rc == 0)
        *out = o->curve[find_point(o, bytes)].f;
    return rc;
}

int haks_oracle_peak_schedule(const struct haks_oracle *o, uint64_t bytes, struct haks_figures *out,
                              struct hakc_err *err) {
    struct haks_schedule s = {UINT64_MAX, 0, bytes / o->pass->page_size};
    uint64_t over;
    int rc = haks_oracle_run(o, &s, out, &over, err);
    if (rc == 0 && over > 0)
        rc = hakc_fail(err, HAKC_EREFUSED, "no schedule keeps the peak below %llu bytes",
                       (unsigned long long)bytes);
    return rc;
}
