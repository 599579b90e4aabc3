/*
 * What happened inside the slowest ops: their memory system calls and page faults.
 *
 * The latency pass only takes the time: to count within it would disturb it. So once the slowest
 * ops of a variant are known, the stream runs once more, with system calls counted as in the
 * account pass and the thread's faults read before and after each of these ops alone. What is told
 * is therefore of the same op (thread and index) in another run: an allocator that does not go by
 * time or chance does the same there, and an op that was slow because the system took the processor
 * away shows nothing inside.
 */
#ifndef REPLAY_INSIDE_H
#define REPLAY_INSIDE_H

#include <stdint.h>
#include "replay/latency.h"
#include "replay/sysclass.h"

struct hakr_ctl;
struct hakr_shm_thread;

/* One of them: in shared memory while the run goes on, then in its result. */
struct hakr_inside {
    struct hakr_slow slow;   /* as the latency pass found it, in ps; the task */
    uint64_t minflt, majflt; /* in the call alone: blocks are touched afterwards */
    uint64_t done;           /* 1 = the op was run */
    struct hakr_sys_total calls[HAKR_SYS_COUNT];
};

/* Parent: writes the task, n ops in any order, into c, which has room for them. */
void hakr_inside_plan(struct hakr_ctl *c, const struct hakr_slow *slow, uint32_t n);

/* Child: around the call of the op that t->inside_at names. */
void hakr_inside_begin(struct hakr_ctl *c, struct hakr_shm_thread *t);
void hakr_inside_end(struct hakr_ctl *c, struct hakr_shm_thread *t);

/* The sum over all classes of calls. */
struct hakr_sys_total hakr_inside_sum(const struct hakr_inside *i);

#endif
