/*
 * The oracle: what a release policy could reach at best on a trace, if it knew the future.
 *
 * Two answers enclose that best:
 *   bound     a lower bound: no schedule of releases within the memory bound costs less.
 *   schedule  an upper bound: a schedule that looks into the future, evaluated as a policy is.
 *             Somebody who knew the future would reach it.
 * So of a policy's cost at most cost - bound is left to win, and at least cost - schedule was.
 *
 * What is bounded. A schedule decides, span by span, when the pages of a free span are given back
 * by MADV_DONTNEED or by unmapping. Placement is that of the trace's first pass, which no policy
 * changes (spans.h). Pages come in by faults: policies that populate or ask for huge pages are
 * outside of this, and so are those with a placement of their own.
 *
 * The bound, for the mean. Taken page by page: after its last use a page is idle from the moment
 * its span becomes free until its next touch (a gap). Giving it back right then is never worse than
 * later; it saves the gap's length in page-time and costs the page's release, and a fault if it is
 * touched again. Which gaps to take so that the saved page-time suffices is a knapsack; its
 * fractional relaxation, gaps in the order of page-time by cost, is solved exactly and bounds
 * it from below. Relaxed besides: calls are free (a real one serves many pages of many spans),
 * pages of a span may go one by one, a calloc touches nothing, and a page that is touched again
 * costs the lowest of the model's prices of a fault.
 * A page given back for good may be the hot frame of a fault elsewhere, and a release may keep the
 * kernel's code in the caches until a fault that would have found it cold: so the bound takes off,
 * whatever the memory, the most that both can save. Giving nothing back lies above it by that.
 *
 * The bound, for the peak. At each moment enough gaps must have been given back that the rest fits.
 * Taking, at the first moment that does not fit, the gap that ends farthest away (Belady) is
 * optimal for that page by page, because all gaps that end are equally dear and the cheaper ones,
 * which never end, are the farthest. Pages that a realloc drops are taken to be given back for
 * nothing.
 *
 * The schedule, for the mean: a span is given back when it becomes free if the page-time saved by
 * its cost, call included, is above a threshold; several thresholds, and delays that let neighbours
 * share a call, are tried. For the peak: whenever memory does not fit, the free spans whose next
 * touch is farthest go, neighbours in one call.
 *
 * Units: bytes and ns outside; pages, events and the weight (ops or ns of the trace) inside.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/cost_model.h"
#include "sim/sim.h"

struct haks_oracle;

/* What means are weighted by. */
enum haks_weight { HAKS_BY_OPS, HAKS_BY_TIME };

#define HAKS_IMPOSSIBLE UINT64_MAX /* no schedule stays within the bound */

/* Percent of a cost that is above `least`: what is left to win. Not below 0: a policy with other
 * ways (MADV_FREE) may cost less than the bound, which is one of schedules that give back for good.
 */
static inline double haks_to_win_percent(uint64_t cost, uint64_t least) {
    return least < cost ? 100 * (1 - (double)least / (double)cost) : 0;
}

/* Finds all gaps of a stream, which must outlive the oracle. HAKC_ENOMEM; HAKC_EREFUSED for
 * HAKS_BY_TIME without times. */
int haks_oracle_new(struct haks_oracle **o, const struct haks_stream *stream,
                    const struct haks_pass *pass, const struct haks_costs *costs,
                    enum haks_weight weight, struct hakc_err *err);
void haks_oracle_free(struct haks_oracle *o); /* NULL is fine */

/* Mean and peak below which no schedule gets. */
uint64_t haks_oracle_least_mean(const struct haks_oracle *o);
uint64_t haks_oracle_least_peak(const struct haks_oracle *o);

/* The lower bound on cost_ns of a schedule whose mean (peak) resident memory is at most `bytes`; or
 * HAKS_IMPOSSIBLE. peak: HAKC_ENOMEM. Any thread, several at a time. */
uint64_t haks_oracle_mean_bound(const struct haks_oracle *o, uint64_t bytes);
int haks_oracle_peak_bound(const struct haks_oracle *o, uint64_t bytes, uint64_t *cost_ns,
                           struct hakc_err *err);

/* The cheapest schedule found for a bound on the mean: out. HAKC_EREFUSED where none stays within
 * it (the bound is below what giving back every span at once reaches). Evaluates the curve at its
 * first call. */
int haks_oracle_mean_schedule(struct haks_oracle *o, uint64_t bytes, struct haks_figures *out,
                              struct hakc_err *err);

/* The same for a bound on the peak. */
int haks_oracle_peak_schedule(const struct haks_oracle *o, uint64_t bytes, struct haks_figures *out,
                              struct hakc_err *err);

#endif
