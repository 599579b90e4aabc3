/*
 * Sweeps: one text that stands for many policies. Each part of a policy's text, its name and the
 * value of each key, may list alternatives, and a number may be a range; all are crossed.
 *
 *   eager|never                       two policies
 *   decay:ms=10|100|1s                three
 *   decay:ms=1..10000*2               1, 2, 4 ... 8192: each the one before times 2, up to 10000
 *   partial:n=10..100+10              10, 20 ... 100: steps of 10
 *   decay:ms=1..1000*10,max=1M..64M*4,how=dontneed|free     4 x 4 x 2
 *
 * The ends of a range share a unit, or each has one of its own (1ms..10s*10). A factor may have up
 * to three decimals (1.25). Numbers of a range are whole; equal neighbours count once.
 */
#ifndef SIM_SWEEP_H
#define SIM_SWEEP_H

#include <stddef.h>
#include "common/err.h"

/* More policies than this in one sweep are taken for a slip of the pen. */
#define HAKS_SWEEP_MOST 1000000

/* Called with each policy's text, in order: the last part changes fastest. Nonzero ends it. */
typedef int haks_sweep_fn(void *ctx, const char *policy, struct hakc_err *err);

/* Expands the text of one policy. What is not a range or a list passes through as it is: whether it
 * is a policy, the call-back finds out. Returns 0, the call-back's code, or HAKC_EUSAGE with a
 * sentence that quotes the part. */
int haks_sweep(const char *text, haks_sweep_fn *fn, void *ctx, struct hakc_err *err);

#endif
