/* The oracle's lower bounds, and its making. */
#include "sim/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "sim/oracle_int.h"

/* ---- the mean: a fractional knapsack -------------------------------------------------------- */

struct ranked {
    uint64_t length, ns; /* of one page */
    size_t gap;
};

/* By page-time saved for a ns, the most first; ties in the order of the trace. */
static int compare_ranked(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    haks_u128 l = (haks_u128)x->length * y->ns, r = (haks_u128)y->length * x->ns;
    if (l != r)
        return l > r ? -1 : 1;
    return x->gap < y->gap ? -1 : x->gap > y->gap;
}

static int rank_gaps(struct haks_oracle *o, struct hakc_err *err) {
    struct ranked *r = malloc((o->n_gaps + 1) * sizeof *r);
    o->order = malloc((o->n_gaps + 1) * sizeof *o->order);
    o->saved = malloc((o->n_gaps + 1) * sizeof *o->saved);
    o->spent = malloc((o->n_gaps + 1) * sizeof *o->spent);
    if (r == NULL || o->order == NULL || o->saved == NULL || o->spent == NULL) {
        free(r);
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
    }
    for (size_t i = 0; i < o->n_gaps; i++)
        r[i] = (struct ranked){o->gaps[i].length, haks_gap_page_ns(o, &o->gaps[i]), i};
    qsort(r, o->n_gaps, sizeof *r, compare_ranked);
    o->saved[0] = 0;
    o->spent[0] = 0;
    for (size_t i = 0; i < o->n_gaps; i++) {
        const struct haks_gap *g = &o->gaps[r[i].gap];
        o->order[i] = r[i].gap;
        o->saved[i + 1] = o->saved[i] + (haks_u128)g->length * g->pages;
        o->spent[i + 1] = o->spent[i] + r[i].ns * g->pages;
    }
    free(r);
    return 0;
}

/* Page-time that `bytes` in the mean allow, rounded up: a figure was rounded down. */
static haks_u128 allowed(const struct haks_oracle *o, uint64_t bytes) {
    uint64_t page = o->pass->page_size;
    return ((haks_u128)bytes + 1) * o->span_of_time / page;
}

uint64_t haks_oracle_least_mean(const struct haks_oracle *o) {
    haks_u128 least = o->kept - o->saved[o->n_gaps];
    return o->span_of_time > 0 ? (uint64_t)(least * o->pass->page_size / o->span_of_time) : 0;
}

uint64_t haks_oracle_mean_bound(const struct haks_oracle *o, uint64_t bytes) {
    haks_u128 may = allowed(o, bytes), need;
    size_t lo = 0, hi = o->n_gaps;
    if (o->kept <= may)
        return o->base_ns;
    need = o->kept - may;
    if (need > o->saved[o->n_gaps])
        return HAKS_IMPOSSIBLE;
    while (lo < hi) { /* the first place with saved >= need */
        size_t mid = lo + (hi - lo) / 2;
        if (o->saved[mid] >= need)
            hi = mid;
        else
            lo = mid + 1;
    }
    const struct haks_gap *g = &o->gaps[o->order[lo - 1]];
    haks_u128 part = need - o->saved[lo - 1]; /* of its length x pages */
    return o->base_ns + o->spent[lo - 1] +
           (uint64_t)(part * haks_gap_page_ns(o, g) / (g->length > 0 ? g->length : 1));
}

/* ---- the peak: the gap that ends farthest away goes -----------------------------------------
 * A heap of the gaps that are open, by their end. */

struct open_gap {
    uint32_t end, pages;
    uint64_t ns; /* of one page */
};

struct heap {
    struct open_gap *v;
    size_t n;
};

static void heap_push(struct heap *h, struct open_gap g) {
    size_t i = h->n++;
    for (; i > 0 && h->v[(i - 1) / 2].end < g.end; i = (i - 1) / 2)
        h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = g;
}

static void heap_pop(struct heap *h) {
    struct open_gap last = h->v[--h->n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < h->n) {
        child += child + 1 < h->n && h->v[child + 1].end > h->v[child].end;
        if (h->v[child].end <= last.end)
            break;
        h->v[i] = h->v[child];
        i = child;
    }
    h->v[i] = last;
}

/* Work space of one question. */
struct peak_walk {
    struct heap heap;
    size_t *by_start;    /* gaps by the event that opens them */
    uint32_t *ends_with; /* by event: pages given back whose gap ends there */
    int64_t *dropped;    /* by event: change by gaps that a realloc ends: they go for nothing */
};

static int compare_start(const void *a, const void *b, void *ctx) {
    const struct haks_oracle *o = ctx;
    uint32_t x = o->gaps[*(const size_t *)a].start, y = o->gaps[*(const size_t *)b].start;
    return x < y ? -1 : x > y;
}

static int walk_init(const struct haks_oracle *o, struct peak_walk *w) {
    size_t n = o->stream->n_events + 1;
    *w = (struct peak_walk){.heap.v = malloc((o->n_gaps + 1) * sizeof *w->heap.v),
                            .by_start = malloc((o->n_gaps + 1) * sizeof *w->by_start),
                            .ends_with = calloc(n, sizeof *w->ends_with),
                            .dropped = calloc(n, sizeof *w->dropped)};
    if (w->heap.v == NULL || w->by_start == NULL || w->ends_with == NULL || w->dropped == NULL)
        return HAKC_ENOMEM;
    for (size_t i = 0; i < o->n_gaps; i++) {
        const struct haks_gap *g = &o->gaps[i];
        w->by_start[i] = i;
        if (g->how == HAKS_GAP_DROPPED) {
            w->dropped[g->start] -= g->pages;
            w->dropped[g->end] += g->pages;
        }
    }
    qsort_r(w->by_start, o->n_gaps, sizeof *w->by_start, compare_start, (void *)(uintptr_t)o);
    return 0;
}

static void walk_fini(struct peak_walk *w) {
    free(w->heap.v);
    free(w->by_start);
    free(w->ends_with);
    free(w->dropped);
}

/* Walks the events with at most `most` pages. *ns: what giving back costs. Returns the most pages
 * by which it did not fit. */
static uint64_t walk_peak(const struct haks_oracle *o, struct peak_walk *w, uint64_t most,
                          uint64_t *ns) {
    int64_t resident = 0, over = 0;
    size_t next = 0;
    *ns = 0;
    for (uint32_t i = 0; i < o->stream->n_events; i++) {
        resident += o->delta[i] + w->dropped[i] + w->ends_with[i];
        for (; next < o->n_gaps && o->gaps[w->by_start[next]].start == i; next++) {
            const struct haks_gap *g = &o->gaps[w->by_start[next]];
            if (g->how != HAKS_GAP_DROPPED)
                heap_push(&w->heap, (struct open_gap){g->end, g->pages, haks_gap_page_ns(o, g)});
        }
        while (resident > (int64_t)most && w->heap.n > 0 && w->heap.v[0].end > i) {
            struct open_gap *g = &w->heap.v[0];
            uint64_t excess = (uint64_t)resident - most;
            uint32_t go = excess < g->pages ? (uint32_t)excess : g->pages;
            resident -= go;
            w->ends_with[g->end] += go;
            *ns += go * g->ns;
            g->pages -= go;
            if (g->pages == 0)
                heap_pop(&w->heap);
        }
        if (resident - (int64_t)most > over)
            over = resident - (int64_t)most;
    }
    return (uint64_t)over;
}

/* Without the bound's own mistake: what is over at 0 pages is what must be resident. */
static int find_least_peak(struct haks_oracle *o, struct hakc_err *err) {
    struct peak_walk w;
    uint64_t ns;
    int rc = walk_init(o, &w);
    if (rc == 0)
        o->least_peak = walk_peak(o, &w, 0, &ns);
    else
        hakc_fail(err, rc, "no memory for the oracle");
    walk_fini(&w);
    return rc;
}

uint64_t haks_oracle_least_peak(const struct haks_oracle *o) {
    return o->least_peak * o->pass->page_size;
}

int haks_oracle_peak_bound(const struct haks_oracle *o, uint64_t bytes, uint64_t *cost_ns,
                           struct hakc_err *err) {
    struct peak_walk w;
    uint64_t ns, over;
    int rc = walk_init(o, &w);
    if (rc == 0) {
        over = walk_peak(o, &w, bytes / o->pass->page_size, &ns);
        *cost_ns = over > 0 ? HAKS_IMPOSSIBLE : o->base_ns + ns;
    } else {
        hakc_fail(err, rc, "no memory for the oracle");
    }
    walk_fini(&w);
    return rc;
}

/* Of the prices that a page may have, the one that no schedule gets below. */
static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* ---- making it ------------------------------------------------------------------------------ */

int haks_oracle_new(struct haks_oracle **out, const struct haks_stream *stream,
                    const struct haks_pass *pass, const struct haks_costs *costs,
                    enum haks_weight weight, struct hakc_err *err) {
    struct haks_oracle *o;
    int rc;
    *out = NULL;
    if (weight == HAKS_BY_TIME && (!pass->has_times || pass->end_time == 0))
        return hakc_fail(err, HAKC_EREFUSED, "the trace has no times to weight memory by");
    o = calloc(1, sizeof *o);
    if (o == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle");
    o->stream = stream;
    o->pass = pass;
    o->costs = *costs;
    o->weight = weight;
    o->span_of_time = weight == HAKS_BY_TIME ? pass->end_time : pass->ops;
    o->page_fault_ns = least(least(costs->fault_ns, costs->warm_fault_ns), costs->hot_fault_ns);
    o->page_release_ns =
        least(least(costs->dontneed_page_ns, costs->unmap_page_ns), costs->hot_page_ns);
    if ((rc = haks_oracle_find_gaps(o, err)) != 0 || (rc = rank_gaps(o, err)) != 0 ||
        (rc = find_least_peak(o, err)) != 0) {
        haks_oracle_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

void haks_oracle_free(struct haks_oracle *o) {
    if (o == NULL)
        return;
    free(o->gaps);
    free(o->puts);
    free(o->delta);
    free(o->saved);
    free(o->spent);
    free(o->order);
    free(o->curve);
    free(o->thresholds);
    free(o);
}
