/*
 * Time for a recording: raw stamps (TSC ticks, or ns of CLOCK_MONOTONIC) to ns since its start.
 * The TSC is held against CLOCK_MONOTONIC now and then; there its line is bent and does not jump,
 * so times stay in the order of the stamps. But a stamp from before a bend that is converted after
 * it, because its record waited in between, comes out on the new line: earlier or later than what
 * was converted before, by up to two thousandths of the time from the stamp to the bend. Whoever
 * needs the order raises it (collect_resolve.c does).
 */
#ifndef TRACER_COLLECT_CLOCK_H
#define TRACER_COLLECT_CLOCK_H

#include "tracer/rt/trace_shm.h"

#include <stdint.h>

enum hakt_clock_choice {
    HAKT_CLOCK_AUTO,
    HAKT_CLOCK_TSC,
    HAKT_CLOCK_MONOTONIC,
};

struct hakt_clock {
    uint32_t kind;      /* enum hakt_shm_clock */
    uint64_t raw0, ns0; /* at the start: raw, and CLOCK_MONOTONIC */
    uint64_t raw;       /* from here on (and back) the line */
    uint64_t ns;        /*   goes through this time since the start */
    uint64_t mult;      /*   with this slope: ns per tick, times 2^32 */
    uint64_t start_unix_ns;
};

/* Chooses and starts the clock; takes about 10 ms with the TSC. AUTO takes the TSC where the CPU
 * says that it is invariant and the CPUs of this process agree on it to within a microsecond, else
 * CLOCK_MONOTONIC. HAKT_CLOCK_TSC returns -1 where that does not hold. Moves the calling thread
 * over the CPUs and back. */
int hakt_clock_start(struct hakt_clock *c, enum hakt_clock_choice choice);

/* Bends the line to the truth. About once a second. */
void hakt_clock_update(struct hakt_clock *c);

/* The raw time now. */
uint64_t hakt_clock_now(const struct hakt_clock *c);

/* Raw time that passes in ns. */
static inline uint64_t hakt_clock_span(const struct hakt_clock *c, uint64_t ns) {
    return c->kind == HAKT_SHM_MONOTONIC ? ns : (uint64_t)(((unsigned __int128)ns << 32) / c->mult);
}

/* "tsc" or "monotonic", as in struct hakt_info. */
const char *hakt_clock_name(const struct hakt_clock *c);

/* ns since the start; 0 for what came before it. */
static inline uint64_t hakt_clock_ns(const struct hakt_clock *c, uint64_t raw) {
    if (c->kind == HAKT_SHM_MONOTONIC)
        return raw > c->raw0 ? raw - c->raw0 : 0;
    if (raw >= c->raw)
        return c->ns + (uint64_t)((unsigned __int128)(raw - c->raw) * c->mult >> 32);
    uint64_t back = (uint64_t)((unsigned __int128)(c->raw - raw) * c->mult >> 32);
    return back < c->ns ? c->ns - back : 0;
}

#endif
