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
 *             consumer's stream has a HAKR_WAIT before it; the producing word carries
 *             HAKR_PUBLISH. Nothing else synchronises.
 *
 * A word:  bits 0-3 kind, bit 4 HAKR_PUBLISH, bit 5 HAKR_WIDE, bits 6-31 size, bits 32-63 slot.
 * With HAKR_WIDE a second word follows: bits 0-55 size, bits 56-63 log2 of the alignment.
 * HAKR_WAIT has the producer's thread in the slot field; a second word holds the position to wait
 * for. HAKR_WAIT with HAKR_WIDE waits for nothing: it tells the recorded time, which the second
 * word holds, to an allocator that takes it (clock_every_ns). So an op costs 8 bytes, 16 with an
 * alignment or 64 MiB and more, and 16 more at a hand-over.
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
#include "tracer/format/trace.h"

#define HAKR_MAX_THREADS 16384u

enum hakr_kind {
    HAKR_END = 0,
    HAKR_MALLOC = 1,
    HAKR_CALLOC = 2,
    HAKR_REALLOC = 3,
    HAKR_FREE = 4,
    HAKR_WAIT = 5,
    HAKR_MEMALIGN = 6,
    HAKR_ALIGNED_ALLOC = 7,
    HAKR_POSIX_MEMALIGN = 8,
    HAKR_VALLOC = 9,
    HAKR_PVALLOC = 10,
    HAKR_REALLOCARRAY = 11,
    HAKR_FREE_NULL = 12,
    HAKR_REALLOC_NEW = 13,      /* realloc(NULL, size) */
    HAKR_REALLOC_ZERO = 14,     /* realloc(p, 0) that gave no object */
    HAKR_REALLOCARRAY_NEW = 15, /* reallocarray(NULL, 1, size) */
};

#define HAKR_KIND_MASK  15u
#define HAKR_PUBLISH    16u
#define HAKR_WIDE       32u
#define HAKR_SIZE_SHIFT 6
#define HAKR_SIZE_MAX   ((1u << 26) - 1) /* in the word itself */
#define HAKR_WIDE_MAX   ((UINT64_C(1) << 56) - 1)

static inline unsigned hakr_word_kind(uint64_t w) {
    return (unsigned)w & HAKR_KIND_MASK;
}
static inline uint32_t hakr_word_slot(uint64_t w) {
    return (uint32_t)(w >> 32);
}
static inline uint64_t hakr_word_size(uint64_t w) {
    return (uint32_t)w >> HAKR_SIZE_SHIFT;
}
static inline uint64_t hakr_wide_size(uint64_t w) {
    return w & HAKR_WIDE_MAX;
}
static inline unsigned hakr_wide_align(uint64_t w) {
    return (unsigned)(w >> 56);
}

struct hakr_plan_thread {
    uint64_t *words;    /* the stream in the planner's own mapping */
    uint64_t n_words;   /* with the closing HAKR_END */
    uint64_t offset;    /* bytes into the memfd */
    uint64_t ops;       /* calls planned (waits are not calls) */
    uint64_t clock_due; /* recorded time, and ops, from which on it is told again */
    uint64_t clock_due_ops;
    int seen; /* it has records */
    int ends; /* THREAD_END was recorded: it exits when its stream is done */
};

struct hakr_plan_stats {
    uint64_t records;
    uint64_t ops;    /* planned over all threads */
    uint64_t allocs; /* of them: those that make an object */
    uint64_t waits;  /* hand-overs that need a wait */
    uint64_t handed; /* objects consumed by another thread than their maker */
    uint64_t publishes;
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
