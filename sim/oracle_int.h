/* Inside the oracle: gaps, and schedules as they are evaluated. */
#ifndef SIM_ORACLE_INT_H
#define SIM_ORACLE_INT_H

#include "sim/event_stream.h"
#include "sim/oracle.h"

typedef unsigned __int128 haks_u128;

enum haks_gap_end {
    HAKS_GAP_TOUCHED, /* the pages are touched again */
    HAKS_GAP_DROPPED, /* a realloc puts other pages in their place */
    HAKS_GAP_NEVER,   /* the trace ends first */
};

/* Pages of one span that became idle together and are idle equally long. */
struct haks_gap {
    uint32_t start, end; /* events: the PUT, and what ended it (n_events: nothing) */
    uint32_t pages;
    enum haks_gap_end how;
    uint64_t length; /* ops or ns */
};

/* What a span's release at a PUT would bring, from the gaps that start there. */
struct haks_put {
    uint64_t saved;    /* page-time */
    uint32_t pages;    /* of the use that ended */
    uint32_t refaults; /* of them, those touched again */
    uint32_t next;     /* first event that touches one of them; n_events: none */
};

/* A schedule for the mean, and what came of it. */
struct haks_tried {
    struct haks_figures f;
    uint64_t threshold, delay;
};

struct haks_oracle {
    const struct haks_stream *stream;
    const struct haks_pass *pass;
    struct haks_costs costs;
    enum haks_weight weight;
    uint64_t page_release_ns, page_fault_ns; /* the least that they cost */
    struct haks_gap *gaps;
    size_t n_gaps, gaps_room;
    struct haks_put *puts; /* by event; zeros where it is no PUT */
    int32_t *delta;        /* by event: change of pages if nothing is given back */
    uint64_t span_of_time; /* ops or ns of the whole trace */
    haks_u128 kept;        /* page-time if nothing is given back */
    uint64_t base_ns;      /* the least that its faults, calls and entries can cost */
    /* by gap, the best first: sums of page-time saved and of cost */
    haks_u128 *saved;
    uint64_t *spent;
    size_t *order;
    uint64_t least_peak;      /* pages */
    struct haks_tried *curve; /* schedules for the mean: the cheapest for each memory */
    size_t n_curve, curve_room;
    uint64_t *thresholds; /* that were tried, ascending */
    size_t n_thresholds;
};

/* oracle_gaps.c: fills in gaps, puts, delta, kept, base_ns. */
int haks_oracle_find_gaps(struct haks_oracle *o, struct hakc_err *err);

/* oracle_schedule.c: one schedule. Threshold: a span goes when saved page-time by ns of cost is at
 * least that (0: all go; UINT64_MAX: none); delay: of the release, ops or ns; peak: pages, at which
 * the farthest go (UINT64_MAX: no limit). Fills in *out but for its being possible: *over is the
 * most pages by which the peak was missed. HAKC_ENOMEM. */
struct haks_schedule {
    uint64_t threshold, delay, peak;
};
int haks_oracle_run(const struct haks_oracle *o, const struct haks_schedule *s,
                    struct haks_figures *out, uint64_t *over, struct hakc_err *err);

/* ns that giving back costs for a span at a PUT, with a call of its own. */
uint64_t haks_oracle_put_cost(const struct haks_oracle *o, const struct haks_put *p);

static inline uint64_t haks_gap_page_ns(const struct haks_oracle *o, const struct haks_gap *g) {
    return o->page_release_ns + (g->how == HAKS_GAP_TOUCHED ? o->page_fault_ns : 0);
}

#endif
