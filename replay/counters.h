/*
 * The processor's own counters (perf_event_open) over the region of a run, all threads of the
 * process, user mode alone (that needs no privilege up to perf_event_paranoid 2). Where the machine
 * or its administrator has none, each says so: nothing is estimated.
 */
#ifndef REPLAY_COUNTERS_H
#define REPLAY_COUNTERS_H

#include <stdint.h>

enum hakr_counter {
    HAKR_C_CYCLES,
    HAKR_C_INSTRUCTIONS,
    HAKR_C_CACHE_MISSES,
    HAKR_C_DTLB_MISSES,
    HAKR_C_BRANCH_MISSES,
    HAKR_C_PAGE_FAULTS,      /* the kernel counts it: there without counters in hardware */
    HAKR_C_CONTEXT_SWITCHES, /* likewise */
    HAKR_C_MIGRATIONS,       /* likewise: moves to another processor */
    HAKR_C_COUNT
};

/* What came of one. scaled: the counter ran for `running` of `enabled` ns, shared with others; the
 * value is then an estimate and already scaled up. */
struct hakr_counted {
    int32_t error; /* errno of opening or reading it: there is no value; else 0 */
    uint32_t scaled;
    uint64_t value;
};

/* Opens them all, stopped. Before the threads are started, which inherit them. */
void hakr_counters_open(struct hakr_counted out[HAKR_C_COUNT]);
void hakr_counters_start(void);
void hakr_counters_stop(struct hakr_counted out[HAKR_C_COUNT]);

const char *hakr_counter_name(unsigned c); /* "cycles", "branch_misses" */

#endif
