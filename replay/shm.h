/*
 * What parent and child of one run share: a memfd that starts with struct hakr_ctl and holds, at
 * the offsets it names, the arrays. The parent fills in the task; the child the results. Being
 * shared memory, none of it is in the child's anonymous memory, and it outlives a crash.
 *
 * Threads: a struct hakr_shm_thread is written by its thread alone (wanted and wakes are the
 * exception, see there); the parent reads all of it once the child is gone.
 */
#ifndef REPLAY_SHM_H
#define REPLAY_SHM_H

#include <stddef.h>
#include <stdint.h>
#include "common/hist.h"
#include "replay/counters.h"
#include "replay/fault_time.h"
#include "replay/inside.h"
#include "replay/latency.h"
#include "replay/sysclass.h"
#include "replay/why.h"

#define HAKR_CTL_MAGIC UINT64_C(0x314c54434b4148) /* "HAKCTL1" */

enum hakr_pass {
    HAKR_PASS_TIME = 0,
    HAKR_PASS_ACCOUNT = 1,
    HAKR_PASS_LATENCY = 2,
    HAKR_PASS_CHECK = 3,    /* patterns in all blocks */
    HAKR_PASS_COUNTERS = 4, /* the time pass under the processor's counters */
    HAKR_PASS_INSIDE = 5,   /* the latency pass's slowest ops, looked into: inside.h */
    HAKR_PASS_COUNT
};

enum hakr_touch {
    HAKR_TOUCH_FIRST = 0, /* a byte in each page of each new block, but not of calloc's */
    HAKR_TOUCH_NONE = 1,
    HAKR_TOUCH_ALL = 2, /* every byte of each new block, calloc's too */
};

/* Whether memory system calls are counted in this pass. */
static inline int hakr_pass_counts(unsigned pass) {
    return pass == HAKR_PASS_ACCOUNT || pass == HAKR_PASS_INSIDE;
}

/* What the check pass found wrong. */
enum hakr_wrong {
    HAKR_WRONG_NOTHING = 0,
    HAKR_WRONG_BEFORE,    /* a byte of a live block has changed */
    HAKR_WRONG_COPY,      /* realloc did not keep the bytes */
    HAKR_WRONG_ZERO,      /* calloc's block is not zero */
    HAKR_WRONG_ALIGNMENT, /* of a new block's address */
    HAKR_WRONG_AT_END,    /* like BEFORE, in a block that the trace never frees */
};

/* How far the child has come. The parent reads it when the child has ended. */
enum hakr_state {
    HAKR_STATE_NEW = 0,     /* exec has not reached our main, or failed */
    HAKR_STATE_STARTED = 1, /* in our main: the preload did not keep the program from starting */
    HAKR_STATE_PROVEN = 2,  /* malloc is the library's that was asked for */
    HAKR_STATE_RUNNING = 3, /* inside the region */
    HAKR_STATE_DONE = 4,    /* results are whole */
    HAKR_STATE_WRONG_LIBRARY = 5,
    HAKR_STATE_FAILED = 6, /* message says why */
};

struct hakr_shm_thread {
    /* Line 0: what others look at. Position of the last published word of this thread. wanted: the
     * first position that a sleeper waits for, which asks for a wake (UINT64_MAX = nobody sleeps);
     * wakes: a futex that each wake changes. */
    _Alignas(64) uint64_t progress;
    uint64_t wanted;
    uint32_t wakes;
    uint32_t tid;
    /* Line 1: where the thread is: the address of the word after the one being run, stored before
     * each op, for messages after a crash; and the address of its stream. */
    _Alignas(64) uint64_t cursor;
    uint64_t base;
    uint64_t live;        /* account: bytes asked for; the sum over threads is what counts */
    uint64_t ops;         /* account: calls done */
    uint64_t recorded_ns; /* the recorded time it was last told */
    uint64_t epoch;       /* it is in; HAKR_NO_EPOCH = in none */
    /* Line 2: results. */
    _Alignas(64) uint64_t failed; /* allocations that gave NULL */
    uint64_t failed_at;           /* cursor at the first of them */
    uint64_t blocked;             /* waits that had to wait */
    uint64_t held_back;           /* by the drift limit */
    uint64_t wrong;               /* check: faults found; of the first: */
    uint64_t wrong_at, wrong_what, wrong_where, wrong_got, wrong_want;
    uint64_t checked_blocks, checked_bytes;
    uint64_t paced_waits; /* ops that came before their time and waited for it */
    uint64_t minflt, majflt;
    struct hakr_fault_time fault; /* account */
    uint64_t end_ns;              /* the stream's end, after the start of the region */
    uint64_t backwards;           /* latency: ops whose second time stamp lay before the first */
    uint64_t slow_least;          /* latency: what an op must exceed to be among the slowest */
    uint64_t inside_at;           /* inside: the op (of this thread) to look into next */
    uint32_t inside_next;         /* its entry */
    uint32_t inside;              /* the entry of the op that is running, plus 1; 0 = none */
    uint64_t hists_used[(HAKR_LATENCY_CELLS + 63) / 64]; /* latency: a bit for each histogram */
    /* The task. */
    uint64_t plan_offset, plan_words;
    uint64_t plan_ops;
    uint64_t first_sample; /* ops until this thread takes its first one; then sample_every */
    uint32_t ends;
};

/* Drift limit: threads that have ops in the epoch, and those of them that are done with it. */
struct hakr_epoch {
    uint32_t needs, done;
};

struct hakr_sample {
    uint64_t op, time_ns, resident, live;
    uint64_t recorded_ns; /* the furthest recorded time told; 0 = the trace has none */
    uint64_t lazy, huge;  /* of resident: see hakr_resident_parts; UINT64_MAX = not looked at */
};

/* Memory after the run, with nobody calling the allocator. */
#define HAKR_RESTS 3
static const uint64_t hakr_rest_ns[HAKR_RESTS] = {100000000u, 1000000000u, UINT64_C(5000000000)};

struct hakr_rest {
    uint64_t resident, lazy; /* UINT64_MAX = not measured */
};

struct hakr_ctl {
    uint64_t magic;
    uint64_t bytes; /* of the whole memfd */

    /* The task. */
    int plan_fd;
    uint32_t n_threads;
    uint64_t n_slots;
    uint64_t total_ops;
    uint32_t pass, touch;
    uint32_t keep_drift;    /* HAKR_EPOCH is heeded */
    uint32_t tell_time;     /* hakmem is told the recorded time */
    double pace;            /* ns of this run for each ns recorded; 0 = as fast as it goes */
    uint64_t first_time;    /* recorded, of the first op */
    uint64_t memory_limit;  /* in the region; 0 = none */
    uint32_t in_cgroup;     /* it is kept by one, else by RLIMIT_DATA */
    int usage_fd, limit_fd; /* of the cgroup */
    uint64_t oom_kills;     /* in the cgroup; the parent's */
    char want_policy[256];  /* hakmem must have this one in force; "" = any */
    uint32_t marks;         /* enclose the region in recognisable calls, for strace */
    uint32_t recorded;      /* the run is in the parent's process, for a recorder to record */
    uint32_t traced;        /* the parent counts system calls, by ptrace */
    uint64_t rest_ns;       /* account: how long to look on afterwards */
    uint32_t libc;          /* the C library's own malloc is asked for */
    uint64_t lib_dev, lib_ino;
    uint64_t stack_bytes;     /* of each thread but the first, which runs on the process's own */
    uint64_t sample_every;    /* ops of a thread between two samples */
    uint64_t sample_every_ns; /* recorded; before a longer pause a sample is taken too; 0 = never */
    uint64_t sampled_ns;      /* the recorded time of the last such sample */
    uint32_t max_samples;
    uint32_t tsc;      /* latency: 1 = time stamps are the processor's counter, 0 = ns */
    uint32_t slowest;  /* latency: entries of each thread's list of slowest ops */
    uint32_t n_inside; /* inside: ops to look into, by thread and op */
    uint64_t off_threads, off_samples, off_totals, off_causes, off_slowest;
    uint64_t off_epochs, off_lags, off_inside;
    uint64_t off_hists; /* on a page; nothing before it needs faults, nothing behind is populated */

    /* Results. */
    uint32_t state; /* enum hakr_state */
    uint32_t n_samples;
    int32_t crash_thread; /* -1 = none of ours */
    int32_t crash_signal;
    uint64_t crash_addr;
    uint64_t wall_ns, user_ns, sys_ns;
    uint64_t minflt, majflt;
    uint64_t baseline;     /* bytes of anonymous memory before the region */
    uint64_t peak, at_end; /* above the baseline */
    uint64_t lazy_free;    /* of at_end: given to MADV_FREE, still counted; UINT64_MAX = ? */
    uint64_t huge;         /* of at_end: in huge pages; UINT64_MAX = ? */
    struct hakr_rest rest[HAKR_RESTS];
    struct hakr_counted counters[HAKR_C_COUNT];
    uint64_t shared;         /* bytes of the driver's own mappings, which are in none of these */
    uint32_t counting;       /* system calls count now */
    uint64_t sizes_addr;     /* in the child, of its table of sizes by slot */
    uint64_t counted;        /* 1 = system calls were counted */
    uint64_t brk_now;        /* the trap's own book */
    uint64_t ticks, tick_ns; /* latency: so many ticks went by in so many ns */
    uint64_t stamp_ticks;    /* latency: median of measurements of nothing */
    uint64_t step_ticks;     /* latency: the clock goes in steps of this; UINT64_MAX = ? */
    uint64_t clock_next;     /* virtual clock: the recorded time from which on it is told again */
    uint32_t clock_lock;
    char policy[256]; /* hakmem: the policy in force; else "" */
    char lib_path[512];
    char build_id[72];
    char substituted[128]; /* entry points the library lacks, and what stood in */
    char message[384];
};

static inline struct hakr_shm_thread *hakr_threads(struct hakr_ctl *c) {
    return (struct hakr_shm_thread *)((char *)c + c->off_threads);
}
static inline struct hakr_sample *hakr_samples(struct hakr_ctl *c) {
    return (struct hakr_sample *)((char *)c + c->off_samples);
}
/* Totals of thread t (n_threads = those that are not ours), by class. */
static inline struct hakr_sys_total *hakr_totals(struct hakr_ctl *c, uint32_t t) {
    return (struct hakr_sys_total *)((char *)c + c->off_totals) + (size_t)t * HAKR_SYS_COUNT;
}
/* Latency pass: the slowest ops of thread t, in no order; entries of 0 ticks are empty. */
static inline struct hakr_slow *hakr_slowest(struct hakr_ctl *c, uint32_t t) {
    return (struct hakr_slow *)((char *)c + c->off_slowest) + (size_t)t * c->slowest;
}
static inline struct hakr_inside *hakr_insides(struct hakr_ctl *c) {
    return (struct hakr_inside *)((char *)c + c->off_inside);
}
static inline struct hakr_epoch *hakr_epochs(struct hakr_ctl *c) {
    return (struct hakr_epoch *)((char *)c + c->off_epochs);
}
/* Where pace is not 0: by how much the ops of thread t were late, in ns. */
static inline struct hakc_hist *hakr_lag(struct hakr_ctl *c, uint32_t t) {
    return (struct hakc_hist *)((char *)c + c->off_lags) + t;
}
/* Where histogram `cell` (hakr_latency_cell) of thread t lies; zeroed memory until it is used. */
static inline uint64_t hakr_hist_offset(const struct hakr_ctl *c, uint32_t t, unsigned cell) {
    return c->off_hists +
           ((uint64_t)t * HAKR_LATENCY_CELLS + cell) * (uint64_t)sizeof(struct hakc_hist);
}
static inline struct hakc_hist *hakr_hist(struct hakr_ctl *c, uint32_t t, unsigned cell) {
    return (struct hakc_hist *)((char *)c + hakr_hist_offset(c, t, cell));
}
/* By hakr_cause_index; in the account pass alone. */
static inline struct hakr_cause *hakr_causes(struct hakr_ctl *c) {
    return (struct hakr_cause *)((char *)c + c->off_causes);
}

#endif
