/*
 * One run, seen from the parent: starts the child with the library preloaded, waits for it with a
 * time limit, and turns what it left in shared memory into a result.
 */
#ifndef REPLAY_RUN_H
#define REPLAY_RUN_H

#include <stdint.h>
#include <sys/types.h>
#include "common/err.h"
#include "replay/plan.h"
#include "replay/shm.h"

enum hakr_status {
    HAKR_OK = 0,
    HAKR_FAILED = 1,
    HAKR_CRASHED = 2,
    HAKR_TIMEOUT = 3,
    HAKR_WRONG_LIBRARY = 4,
    HAKR_INTERRUPTED = 5, /* by the user: not a result */
};

/* How memory system calls are counted. */
enum hakr_counting { HAKR_BY_SECCOMP = 1, HAKR_BY_PTRACE = 2 };

/* What to run. Strings are the caller's. */
struct hakr_task {
    const struct hakr_plan *plan;
    const char *library; /* absolute path, or NULL for the C library */
    dev_t dev;           /* of the library */
    ino_t ino;
    const char *const *env; /* "KEY=VALUE", ended by NULL; may be NULL */
    const char *policy;     /* that must be in force; NULL = any */
    enum hakr_pass pass;
    enum hakr_touch touch;
    double pace;           /* see hakr_ctl */
    int keep_drift;        /* the plan's drift limit is kept */
    int tell_time;         /* hakmem takes the recorded time for its clock */
    uint64_t timeout_ns;   /* 0 = none */
    uint64_t memory_limit; /* bytes; 0 = none */
    int limit_by_cgroup;   /* of resident memory, by the kernel's killing; else RLIMIT_DATA */
    int marks;             /* see child.h */
    int traced;            /* system calls are counted by ptrace, not by seccomp */
    int recorded;          /* run in this very process, which is being recorded: see proof.h */
    uint64_t rest_ns;      /* account pass: how long to look on after the run */
    int tsc;               /* latency pass: the clock; see hakr_tick_choose */
    uint32_t slowest;      /* latency pass: ops to list */
    const struct hakr_slow *slow; /* inside pass: the ops to look into */
    uint32_t n_slow;
};

struct hakr_result {
    enum hakr_status status;
    char error[600]; /* where status is not HAKR_OK; else a warning, or "" */
    int started;     /* the region began */
    int hidden_call; /* it failed because seccomp cannot report a call to a thread that blocks
                        SIGSYS */
    uint64_t wall_ns, user_ns, sys_ns;
    uint64_t minflt, majflt;
    uint64_t failed;        /* allocations that gave NULL */
    char first_failed[160]; /* where the first of them was in its thread, or "" */
    uint64_t call_faults;   /* made by populate calls; account */
    double fault_ns;        /* price of a fault; account; -1 = not known */
    uint64_t blocked;       /* hand-overs that had to wait */
    uint64_t held_back;     /* waits for the drift limit */
    uint64_t paced_waits;   /* ops that waited for their recorded time */
    struct hakc_hist *lag;  /* by how much ops came after it, in ns; owned; NULL without pace */
    char lib_path[512], build_id[72], substituted[128];
    char policy[256]; /* in force, as hakmem says; "" with another allocator */
    /* The account pass alone: */
    int counted; /* totals are valid: 0 = no, else one of enum hakr_counting */
    struct hakr_sys_total totals[HAKR_SYS_COUNT];
    struct hakr_sys_total foreign;              /* of them: by threads that are not the trace's */
    uint64_t checked_blocks, checked_bytes;     /* check pass */
    struct hakr_counted counters[HAKR_C_COUNT]; /* counters pass */
    struct hakr_thread_result {                 /* owned, by thread */
        uint64_t ops, minflt, majflt, calls, blocked, end_ns;
    } * threads;
    uint32_t n_threads;
    struct hakr_latency *latency; /* latency pass alone; owned */
    struct hakr_inside *inside;   /* inside pass alone; owned; by thread and op */
    uint32_t n_inside;
    struct hakr_why *why; /* owned; dearest first */
    size_t n_why;
    uint64_t baseline, peak, at_end, lazy_free;
    uint64_t huge;                 /* of at_end; UINT64_MAX = not known */
    uint64_t peak_lazy, peak_huge; /* of the samples that looked; likewise */
    struct hakr_rest rest[HAKR_RESTS];
    uint64_t shared;                 /* the driver's own mappings, in none of the others */
    double mean_resident, mean_live; /* over the ops */
    double mean_resident_time, mean_live_time; /* over the recorded time; NAN without times */
    uint64_t peak_live;                        /* of the samples */
    struct hakr_sample *samples;               /* owned; by op */
    uint32_t n_samples;
};

/* Runs the task to its end. 0 with *r filled in, whatever became of the child; an error only where
 * the parent itself failed. Blocks SIGINT and SIGTERM but while it waits: such a signal (whose
 * handler the caller has set, and which must set *stop) ends the child and gives HAKR_INTERRUPTED.
 */
int hakr_run(const struct hakr_task *task, const volatile int *stop, struct hakr_result *r,
             struct hakc_err *err);
void hakr_result_free(struct hakr_result *r);

/* "ok", "crashed", ... as the store wants them. */
const char *hakr_status_name(enum hakr_status s);

/* "seccomp", "ptrace", or NULL. */
const char *hakr_counting_name(int counting);

/* "time", "account", "latency", ... */
const char *hakr_pass_name(enum hakr_pass pass);

#endif
