/*
 * Choosing among evaluated policies: the Pareto front of memory and cost, its knee, the cheapest
 * policy within a memory bound, and one policy for several traces.
 *
 * Pure: numbers in, places out. Any thread.
 *
 *   point     what one policy does on one trace: memory (bytes) and cost (ns).
 *   loss      of a policy on a trace: its cost beyond that of the cheapest policy within the
 * trace's bound, as a share of the latter, in millionths. broken    a trace on which a policy does
 * not stay within the bound.
 */
#ifndef SIM_OPTIMISE_H
#define SIM_OPTIMISE_H

#include <stddef.h>
#include <stdint.h>

#define HAKS_NOWHERE SIZE_MAX

struct haks_point {
    uint64_t memory, cost;
    int ok; /* 0: was not evaluated, or may not be chosen */
};

/* The points that no other beats in one without losing in the other, by memory, the least first. Of
 * equal points the first. front has room for n; returns how many. */
size_t haks_front(const struct haks_point *p, size_t n, size_t *front);

/* The place in the front where giving up memory stops to pay: the point farthest below the line
 * from its first to its last point, memory and cost each scaled to their range on the front.
 * HAKS_NOWHERE: fewer than three points, or none is below the line. */
size_t haks_knee(const struct haks_point *p, const size_t *front, size_t n);

/* The cheapest point with at most `bound` memory; of equal cost that with the least. */
size_t haks_cheapest(const struct haks_point *p, size_t n, uint64_t bound);

/* Several traces: points[trace * policies + policy], and a memory bound for each trace. */
struct haks_table {
    size_t traces, policies;
    const struct haks_point *points;
    const uint64_t *bounds;
};

struct haks_choice {
    size_t policy;       /* HAKS_NOWHERE: none was evaluated on all */
    size_t broken;       /* traces */
    uint64_t excess_ppm; /* the most memory beyond a bound, as a share of it */
    uint64_t worst_ppm;  /* loss: the greatest, */
    uint64_t mean_ppm;   /* and the mean, over the traces that are used */
};

/* Loss of policy p on trace t; 0 where no policy stays within the bound. */
uint64_t haks_loss_ppm(const struct haks_table *t, size_t trace, size_t policy);

/* One policy for all traces t with use[t] (NULL: all): the fewest broken, then the smallest
 * excess, then the smallest worst loss (minimax regret), then the smallest mean loss. */
struct haks_choice haks_choose_for_all(const struct haks_table *t, const uint8_t *use);

#endif
