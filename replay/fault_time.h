/*
 * Account pass: what page faults cost. The time of each op that makes an object is taken, touching
 * included; where it made a memory call, that of the touching alone. If it was long, and the
 * thread's count of faults grew, it was the faults that took it; so their mean price is known, and
 * its sum over the run is the mean times the count of all faults. What a quick op takes is taken
 * off; an op in which the processor went to another thread does not count.
 */
#ifndef REPLAY_FAULT_TIME_H
#define REPLAY_FAULT_TIME_H

#include <stdint.h>

struct hakr_fault_time {
    uint64_t seen;                /* the thread's minor faults when they were last looked at */
    uint64_t preempted;           /* how often the processor was taken from it until then */
    uint64_t trapped;             /* memory calls of the thread so far */
    uint64_t in_calls;            /* faults that populate calls made: their time is the calls' */
    uint64_t faults, ops, ns;     /* timed: faults, the ops they were in, the time of those */
    uint64_t quick_ops, quick_ns; /* the ops without: how many, and their time */
};

#define HAKR_FAULT_LEAST_NS 400    /* no fault takes less */
#define HAKR_FAULT_MOST_NS  100000 /* something else ran: not counted */

struct hakr_fault_start {
    uint64_t ns, trapped;
};

/* Minor faults of the calling thread so far. */
uint64_t hakr_faults_of_thread(void);

/* Before the thread's first op: the faults until now are not the stream's. */
void hakr_fault_time_begin(struct hakr_fault_time *f);
/* The op has made its object, with a memory call: only the touches that follow can be timed. */
void hakr_fault_time_restart(struct hakr_fault_time *f, struct hakr_fault_start *start);
/* A long op, begun at `start`, has ended. */
void hakr_fault_time_look(struct hakr_fault_time *f, const struct hakr_fault_start *start,
                          uint64_t ns);

/* Price of one fault in ns over n threads' times, or -1 where too few were timed. */
double hakr_fault_price(const struct hakr_fault_time *f, unsigned long n, unsigned long stride);

#endif
