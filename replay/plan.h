/*
 * The plan: a trace turned into what the driver can run without thinking. Data flows one way:
 * trace -> plan -> run -> result.
 *
 * Glossary
 *   stream    the plan of one thread: 64-bit words in program order, closed by HAKR_END. Lives in a
 *             memfd that parent and child map, so that it is in nobody's anonymous memory.
 *   slot      a place for one pointer in the slot table (shared memory too). A live object has one
 *             slot; a slot given up by a thread is used again by that thread alone, so reuse never
 *             needs a wait.
 *   position  the number of words of a stream that are done.
 *   hand-over an object made by one thread and consumed (freed, reallocated) by another. The
 *             consumer's stream has a wait before it; the producing word carries
 *             HAKR_PUBLISH. Nothing else synchronises.
 *
 * plan_words.h says what the words are.
 *
 * Drift: with a limit, the records are counted off in epochs of equal length, and a thread enters
 * epoch e (HAKR_EPOCH) only when all ops of epochs up to e - HAKR_EPOCH_LAG are done. So no op runs
 * before one that was recorded more than the limit before it. A limit of 0 replays in the recorded
 * order: each thread waits for the op before its own.
 *
 * What is planned for the records that are not plain calls:
 *   failed        nothing (the program got NULL; the object of a failed realloc lives on)
 *   foreign free  nothing: the object was never seen
 *   foreign realloc  realloc(NULL, size): a new object
 *   unfinished realloc, implied free   a free
 *   realloc to 0 bytes with no result  realloc(p, 0), and a free of what it returns, if anything
 *   realloc to 0 bytes with a result   realloc(p, 1): an object, with any allocator
 * All of them are counted.
 *
 * Threads: one plan belongs to one thread until it is finished; then it is read-only.
 */
#ifndef REPLAY_PLAN_H
#define REPLAY_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "replay/plan_words.h"
#include "tracer/format/trace.h"

#define HAKR_MAX_THREADS (1u << HAKR_THREAD_BITS)
#define HAKR_EPOCH_LAG   2u
#define HAKR_NO_DRIFT    UINT64_MAX /* no limit */
#define HAKR_NO_EPOCH    UINT64_MAX

struct hakr_plan_thread {
    uint64_t *words;    /* the stream in the planner's own mapping */
    uint64_t n_words;   /* with the closing HAKR_END */
    uint64_t offset;    /* bytes into the memfd */
    uint64_t ops;       /* calls planned (waits are not calls) */
    uint64_t clock_due; /* recorded time, and ops, from which on it is told again */
    uint64_t clock_due_ops;
    uint64_t present;              /* bytes of the stream made present ahead of their use */
    uint64_t epoch;                /* the one its last op is in; HAKR_NO_EPOCH */
    unsigned pattern, pattern_ops; /* of the bundle being made; 0 = none */
    int seen;                      /* it has records */
    int ends; /* THREAD_END was recorded, and ops after it: it exits when its stream is done */
    uint64_t end_at; /* ops of all threads before its THREAD_END */
};

struct hakr_plan_stats {
    uint64_t records;
    uint64_t ops;    /* planned over all threads */
    uint64_t allocs; /* of them: those that make an object */
    uint64_t waits;  /* hand-overs that need a wait */
    uint64_t handed; /* objects consumed by another thread than their maker */
    uint64_t publishes;
    uint64_t turns;   /* drift 0: waits for the op before in the recorded order */
    uint64_t bundled; /* ops that stand in bundles */
    uint64_t times;   /* HAKR_TIME words */
    uint64_t skipped_failed, skipped_foreign;
    uint64_t foreign_reallocs, unfinished, implied, realloc_zero;
    uint64_t bytes;     /* of all streams */
    uint64_t peak_live; /* bytes asked for, in the trace's order */
    double mean_live;   /* the same, mean over the ops */
};

struct hakr_plan {
    int fd; /* the memfd of the streams */
    /* How much recorded time passes in a thread until its stream tells it again (and 8 ops at
     * least); 0 = never. May be set after hakr_plan_begin. */
    uint64_t clock_every_ns;
    int every_time;        /* the time of each op instead (a replay at recorded times); likewise */
    uint64_t drift;        /* limit in records, HAKR_NO_DRIFT = none (the default); likewise */
    uint64_t first_time;   /* of the first record */
    uint64_t last_time;    /* of the last one */
    uint64_t n_epochs;     /* 0 = no limit, or none needed */
    uint32_t *epoch_needs; /* by epoch: threads with records in it */
    uint64_t epoch_length; /* records */
    uint32_t n_threads;
    struct hakr_plan_thread *threads;
    uint64_t n_slots;
    struct hakr_plan_stats stats;
    struct hakr_planner *planner; /* NULL once finished */
};

/* Starts a plan for about `records` records in `threads` threads (0 = unknown): they bound the
 * address space reserved, not the memory used. */
int hakr_plan_begin(struct hakr_plan *p, uint64_t records, uint64_t threads, struct hakc_err *err);

/* Appends records in the trace's order. HAKC_ECORRUPT if one contradicts an earlier one (an id made
 * twice, an object consumed that is not live), with the record's number in the message. */
int hakr_plan_add(struct hakr_plan *p, const struct hakt_rec *recs, size_t n, struct hakc_err *err);

/* Closes the streams; the plan can then be run any number of times. */
int hakr_plan_finish(struct hakr_plan *p, struct hakc_err *err);

/* Gives all back; also after a failure, and twice. */
void hakr_plan_free(struct hakr_plan *p);

/* The op that starts at word `pos` of thread t or contains it, counted from 0 in its thread, with
 * kind and size. Linear in the stream: for messages. Returns 0, or -1 at the end of the stream. */
int hakr_plan_locate(const struct hakr_plan *p, uint32_t t, uint64_t pos, uint64_t *op,
                     unsigned *kind, uint64_t *size);

/* "malloc", "free(NULL)", ...: never NULL. */
const char *hakr_kind_name(unsigned kind);

#endif
