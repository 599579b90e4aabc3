/*
 * The shared memory between a traced program (libhaktrace.so, tracer/rt) and its collector
 * (haktrace). The only header that both sides include.
 *
 * Layout of the memfd, which the collector creates, owns and sizes; it is sparse, so only what is
 * used takes memory:
 *
 *   struct hakt_shm            one page; the collector's settings and a few counters
 *   struct hakt_shm_slot[n]    from slots_offset: one for each ring
 *   rings                      from rings_offset: n rings of ring_bytes, page-aligned
 *
 * Glossary
 *   slot    a ring and its book-keeping. A thread takes a free slot at its first op and keeps it
 *           until the kernel has no such thread any more: only the collector gives a slot back,
 *           so ops in the last destructors of a thread still have their ring.
 *   index   a record's number in its slot, from 0, never restarted, also not when the slot goes to
 *           another thread. Record i stands at i % (records of a ring).
 *   commit  the word that publishes a record: its low half is (uint32_t)(index + 1), so what an
 *           earlier lap left there is never taken for the record awaited.
 *   published = committed. Death of the program takes back nothing that was committed.
 *
 * A slot has one producer. A signal handler that allocates in the middle of a wrapper takes the
 * next index (reserving is one instruction), so records may be committed out of order by as many
 * as handlers nest; the collector reads up to the first that is not committed.
 */
#ifndef TRACER_RT_TRACE_SHM_H
#define TRACER_RT_TRACE_SHM_H

#include <stdint.h>

#define HAKT_SHM_MAGIC   0x316d68736b6168ull /* "hakshm1" */
#define HAKT_SHM_VERSION 2u
#define HAKT_SHM_ENV     "HAKTRACE_SHM" /* names the memfd: /proc/PID/fd/N */

/* Records that must stay free below a full ring: one for each handler that may interrupt another
 * between its look at the limit and its reservation. */
#define HAKT_SHM_SLACK 64u

/* What happened. The first ten are HAKT_MALLOC ... HAKT_PVALLOC of the trace format (the collector
 * asserts it). A realloc of NULL is a plain REALLOC or REALLOCARRAY record; any other is a BEGIN
 * before the real call and an END after it. */
enum hakt_shm_op {
    HAKT_SHM_MALLOC = 0,
    HAKT_SHM_CALLOC = 1,
    HAKT_SHM_REALLOC = 2,
    HAKT_SHM_REALLOCARRAY = 3,
    HAKT_SHM_FREE = 4,
    HAKT_SHM_MEMALIGN = 5,
    HAKT_SHM_ALIGNED_ALLOC = 6,
    HAKT_SHM_POSIX_MEMALIGN = 7,
    HAKT_SHM_VALLOC = 8,
    HAKT_SHM_PVALLOC = 9,
    HAKT_SHM_REALLOC_BEGIN = 16,      /* ptr = old pointer, size = new size */
    HAKT_SHM_REALLOCARRAY_BEGIN = 17, /* the same */
    HAKT_SHM_REALLOC_END = 18,        /* ptr = result, size = old pointer */
};

/* 32 bytes: half a cache line, never across two. A failed allocation has ptr = 0; an overflowing
 * product has size = UINT64_MAX. */
struct hakt_shm_rec {
    uint64_t commit; /* low 32 bits: index + 1; then op (8 bits), log2 of the alignment (8 bits) */
    uint64_t time;   /* raw: TSC ticks, or ns of CLOCK_MONOTONIC; 0: not stamped (ring.h, PACED) */
    uint64_t ptr;
    uint64_t size;
};

static inline uint64_t hakt_shm_commit_word(uint64_t index, unsigned op, unsigned align_log2) {
    return (uint64_t)(uint32_t)(index + 1) | (uint64_t)op << 32 | (uint64_t)align_log2 << 40;
}

enum hakt_shm_slot_state {
    HAKT_SLOT_FREE = 0,
    HAKT_SLOT_CLAIMED = 1,  /* a thread is setting it up */
    HAKT_SLOT_ATTACHED = 2, /* tid is valid */
};

struct hakt_shm_slot {
    /* Written by the program. */
    _Alignas(64) uint32_t state; /* enum hakt_shm_slot_state; the collector writes FREE */
    uint32_t tid;
    uint64_t dropped; /* ops lost by this thread because the ring was full; counts on over owners */
    uint32_t waiting; /* the thread waits, or waited, for room */
    /* Written by the collector. */
    _Alignas(64) uint64_t tail; /* all records below are consumed */
    uint32_t wake;              /* futex: raised when room was made for a thread that waits */
};

enum hakt_shm_clock {
    HAKT_SHM_MONOTONIC = 0,
    HAKT_SHM_TSC = 1,
};

/* The most that `pace` may be: so many records ahead stands the next stamp at the latest. */
#define HAKT_SHM_PACE_MAX 16u

enum hakt_shm_on_full {
    HAKT_SHM_WAIT = 0,
    HAKT_SHM_DROP = 1,
};

struct hakt_shm {
    /* Fixed before the program starts. */
    uint64_t magic;
    uint32_t version;
    uint32_t slot_count;
    uint64_t total_bytes;
    uint64_t slots_offset;
    uint64_t rings_offset;
    uint64_t ring_bytes; /* a power of two */
    uint32_t clock;      /* enum hakt_shm_clock */
    uint32_t on_full;    /* enum hakt_shm_on_full */
    uint32_t collector_pid;
    uint32_t pace;  /* of a burst of ops one in `pace` is stamped; 1 = all are */
    uint32_t burst; /* raw time: stamps closer together than this are a burst */
    /* Written by the program. */
    _Alignas(64) uint32_t owner_pid; /* the one process that may write; 0 = library not loaded */
    uint32_t attach_seq;             /* raised after each slot that became ATTACHED */
    uint32_t want_slot;              /* a thread found no free slot and waits for one */
    uint32_t threads_unserved;       /* threads that went on without a ring */
    uint64_t ops_unserved;           /* ops not recorded for want of a ring */
    /* Written by both. */
    _Alignas(64) uint32_t bell; /* futex that the collector sleeps on */
    uint32_t sleeping;          /* the collector sleeps, or is about to */
    /* Written by the collector. */
    _Alignas(64) uint64_t heartbeat; /* raised every round: the collector is at work */
    uint32_t slot_hint;              /* where a free slot is likely */
};

static inline struct hakt_shm_slot *hakt_shm_slots(struct hakt_shm *shm) {
    return (struct hakt_shm_slot *)((char *)shm + shm->slots_offset);
}

static inline struct hakt_shm_rec *hakt_shm_ring(struct hakt_shm *shm, uint32_t slot) {
    return (struct hakt_shm_rec *)((char *)shm + shm->rings_offset + slot * shm->ring_bytes);
}

#endif
