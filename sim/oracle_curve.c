/* The oracle's schedules: the curve of the mean by thresholds and delays, and single bounds. */
#include <stdlib.h>

#include "sim/oracle_int.h"

#define STEPS 48 /* thresholds: evenly spaced in memory */

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
    uint64_t x = mean_of(o, a), y = mean_of(o, b);
    const struct haks_figures *f = a, *g = b;
    if (x != y)
        return x < y ? -1 : 1;
    return f->cost_ns < g->cost_ns ? -1 : f->cost_ns > g->cost_ns;
}

/* Keeps those that are cheaper than all with less memory. */
static void keep_front(struct haks_oracle *o) {
    size_t kept = 0;
    qsort_r(o->curve, o->n_curve, sizeof *o->curve, compare_points, o);
    for (size_t i = 0; i < o->n_curve; i++)
        if (kept == 0 || o->curve[i].cost_ns < o->curve[kept - 1].cost_ns)
            o->curve[kept++] = o->curve[i];
    o->n_curve = kept;
}

int haks_oracle_mean_curve(struct haks_oracle *o, const struct haks_figures **points, size_t *n,
                           struct hakc_err *err) {
    uint64_t thresholds[STEPS + 2], over;
    /* no delay, and some millionths to hundredths of the trace */
    const uint64_t delays[] = {0, o->span_of_time / 100000 + 1, o->span_of_time / 1000 + 1};
    size_t n_thresholds = 0;
    int rc = 0;
    if (o->curve == NULL) {
        rc = find_thresholds(o, thresholds, &n_thresholds, err);
        if (rc == 0 && (o->curve = calloc(3 * (STEPS + 2), sizeof *o->curve)) == NULL)
            rc = hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
        for (size_t d = 0; d < 3; d++) {
            for (size_t t = 0; rc == 0 && t < n_thresholds; t++) {
                struct haks_schedule s = {thresholds[t], delays[d], UINT64_MAX};
                rc = haks_oracle_run(o, &s, &o->curve[o->n_curve++], &over, err);
            }
        }
        if (rc == 0)
            keep_front(o);
    }
    *points = o->curve;
    *n = o->n_curve;
    return rc;
}

int haks_oracle_mean_schedule(struct haks_oracle *o, uint64_t bytes, struct haks_figures *out,
                              struct hakc_err *err) {
    const struct haks_figures *points;
    size_t n, best = 0;
    int rc = haks_oracle_mean_curve(o, &points, &n, err);
    if (rc != 0)
        return rc;
    while (best < n && mean_of(o, &points[best]) <= bytes)
        best++;
    if (best == 0)
        return hakc_fail(err, HAKC_EREFUSED, "no schedule keeps the mean below %llu bytes",
                         (unsigned long long)bytes);
    *out = points[best - 1];
    return 0;
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
