/*
 * The shared memory between a traced program (libhaktrace.so, tracer/rt) and its collector
 * (haktrace). The only header that both sides include.
 *
 * Layout of the memfd, which the collector creates, owns and sizes; it is sparse, so only what is
 * used takes memory:
 *
 *   struct hakt_shm            pages; the collector's settings and a few counters
 *   struct hakt_shm_slot[n]    from slots_offset: one for each ring
 *   rings                      from rings_offset: n rings of ring_bytes, page-aligned
 *
 * Glossary
 *   slot    a ring and its book-keeping. A thread takes a free slot at its first op and keeps it
 *           until the kernel has no such thread any more: only the collector gives a slot back,
 *           so ops in the last destructors of a thread still have their ring.
 *   word    64 bits of a ring. A record is one to four of them, see below.
 *   index   a word's number in its slot, from 0, never restarted, also not when the slot goes to
 *           another thread; and a record's, that of its first word. Word i stands at i modulo the
 *           words of a ring.
 *   commit  storing a record's first word publishes it: it bears the lap, so what an earlier lap
 *           left there is never taken for the record awaited. published = committed. Death of the
 *           program takes back nothing that was committed.
 *
 * A slot has one producer. A signal handler that allocates in the middle of a wrapper takes the
 * next words (reserving is one instruction), so records may be committed out of order by as many
 * as handlers nest; the collector reads up to the first that is not committed.
 */
#ifndef TRACER_RT_TRACE_SHM_H
#define TRACER_RT_TRACE_SHM_H

#include <stdint.h>

#define HAKT_SHM_MAGIC   0x316d68736b6168ull /* "hakshm1" */
#define HAKT_SHM_VERSION 5u
#define HAKT_SHM_ENV     "HAKTRACE_SHM" /* names the memfd: /proc/PID/fd/N */
#define HAKT_SHM_PATH    64             /* bytes of such a name */

/* Of a library that is preloaded by itself: where the trace goes, options of `haktrace start` for
 * its collector, separated by spaces, and the haktrace to run. */
#define HAKT_OUTPUT_ENV  "HAKTRACE_OUTPUT"
#define HAKT_OPTIONS_ENV "HAKTRACE_OPTIONS"
#define HAKT_TOOL_ENV    "HAKTRACE_TOOL"

/* Words that must stay free below a full ring: for each handler that may interrupt another between
 * its look at the limit and its reservation, a record. */
#define HAKT_SHM_SLACK 256u

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

/* Is such a record an op of its own, and not the beginning of one or a memory call? */
static inline int hakt_shm_counts(unsigned op) {
    return op < HAKT_SHM_REALLOC_BEGIN || op == HAKT_SHM_REALLOC_END;
}

/* A failed allocation has ptr = 0; an overflowing product has size = UINT64_MAX. */
struct hakt_shm_rec {
    uint64_t time; /* raw: TSC ticks, or ns of CLOCK_MONOTONIC; if stamped (ring.h, PACED) */
    uint64_t ptr;
    uint64_t size;
    uint8_t op;
    uint8_t align_log2;
    uint8_t stamped;
};

/*
 * A record's first word:
 *
 *   bit 63        1; it is 0 in all other words
 *   bits 60-62    the lap, from 1, modulo 8
 *   bits 58-59    enum hakt_shm_form
 *   bit 57        stamped: the record's last word is the time
 *   bits 44-56    the size, of a SHORT_MALLOC
 *   bits 0-43     the pointer / 8, of all but a LONG
 *
 * SHORT_FREE has no size; that of a MALLOC is the second word. LONG is for everything else: op in
 * bits 0-7, log2 of the alignment in bits 8-15, bits 63 of pointer and size in bits 16 and 17; then
 * follow pointer and size, without those. So a malloc or free is 8 bytes, most times, and a store.
 */
enum hakt_shm_form {
    HAKT_SHM_SHORT_MALLOC = 0,
    HAKT_SHM_SHORT_FREE = 1,
    HAKT_SHM_SIZED_MALLOC = 2,
    HAKT_SHM_LONG = 3,
};
#define HAKT_SHM_WORDS_MAX  4u /* of a record */
#define HAKT_SHM_FIRST      (1ull << 63)
#define HAKT_SHM_FORM_SHIFT 58
#define HAKT_SHM_STAMPED    (1ull << 57)
#define HAKT_SHM_SIZE_SHIFT 44
#define HAKT_SHM_SHORT_SIZE (1ull << 13) /* sizes below */
#define HAKT_SHM_SHORT_PTR  (1ull << 47) /* pointers below */
#define HAKT_SHM_LAP_SHIFT  60

/* What the top four bits of a first word are at this index; words = 1 << log2. */
static inline uint64_t hakt_shm_lap(uint64_t index, unsigned log2) {
    return 8 | (((index >> log2) + 1) & 7);
}

static inline unsigned hakt_shm_form(uint64_t first) {
    return first >> HAKT_SHM_FORM_SHIFT & 3;
}

/* Words of the record that begins so. */
static inline unsigned hakt_shm_words(uint64_t first) {
    unsigned form = hakt_shm_form(first);
    return form + (form == 0) + (unsigned)(first >> 57 & 1);
}

/* A record as words, the first one without the lap. How many. */
static inline unsigned hakt_shm_encode(const struct hakt_shm_rec *r,
                                       uint64_t w[HAKT_SHM_WORDS_MAX]) {
    int plain = r->align_log2 == 0 && r->ptr % 8 == 0 && r->ptr < HAKT_SHM_SHORT_PTR;
    uint64_t form = HAKT_SHM_LONG, low = r->ptr / 8;
    unsigned n = 1;
    if (plain && r->op == HAKT_SHM_FREE && r->size == 0) {
        form = HAKT_SHM_SHORT_FREE;
    } else if (plain && r->op == HAKT_SHM_MALLOC && r->size < HAKT_SHM_SHORT_SIZE) {
        form = HAKT_SHM_SHORT_MALLOC;
        low |= r->size << HAKT_SHM_SIZE_SHIFT;
    } else if (plain && r->op == HAKT_SHM_MALLOC && r->size < HAKT_SHM_FIRST) {
        form = HAKT_SHM_SIZED_MALLOC;
        w[n++] = r->size;
    } else {
        low = r->op | (uint64_t)r->align_log2 << 8 | r->ptr >> 63 << 16 | r->size >> 63 << 17;
        w[n++] = r->ptr & ~HAKT_SHM_FIRST;
        w[n++] = r->size & ~HAKT_SHM_FIRST;
    }
    w[0] = HAKT_SHM_FIRST | form << HAKT_SHM_FORM_SHIFT | low;
    if (r->stamped) {
        w[0] |= HAKT_SHM_STAMPED;
        w[n++] = r->time & ~HAKT_SHM_FIRST;
    }
    return n;
}

/* Commits them at index i of a ring. Relaxed stores: the collector may glance at words before they
 * are committed. */
static inline void hakt_shm_commit(uint64_t *ring, unsigned log2, uint64_t i, const uint64_t *w,
                                   unsigned n) {
    uint64_t mask = (1ull << log2) - 1;
    for (unsigned k = 1; k < n; k++)
        __atomic_store_n(&ring[(i + k) & mask], w[k], __ATOMIC_RELAXED);
    __atomic_store_n(&ring[i & mask], w[0] | hakt_shm_lap(i, log2) << HAKT_SHM_LAP_SHIFT,
                     __ATOMIC_RELEASE);
}

/* The program's own memory calls, with record_mmap. Two records each: `ptr` and `size` of the first
 * are the first two numbers of the event, those of the second, a HAKT_SHM_MORE, the others. */
enum hakt_shm_memory_op {
    HAKT_SHM_MMAP = 32, /* address got, length; prot | flags << 32, errno */
    HAKT_SHM_MUNMAP,    /* address, length; 0, errno */
    HAKT_SHM_MREMAP,    /* old address, old length; address got, new length (got 0: failed) */
    HAKT_SHM_MADVISE,   /* address, length; advice, errno */
    HAKT_SHM_MPROTECT,  /* address, length; prot, errno */
    HAKT_SHM_BRK,       /* end of the heap before, after; 0, errno */
    HAKT_SHM_MORE = 48,
};

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
    _Alignas(64) uint64_t tail; /* all words below are consumed */
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

/* Which processes that come of the traced one are recorded too, each by a collector of its own. */
enum hakt_shm_follow {
    HAKT_FOLLOW_NONE = 0,
    HAKT_FOLLOW_FORK = 1, /* its forks */
    HAKT_FOLLOW_EXEC = 2, /* and what any of them executes */
};

enum hakt_shm_request_state {
    HAKT_REQUEST_FREE = 0,
    HAKT_REQUEST_CLAIMED = 1, /* a process is writing its pid */
    HAKT_REQUEST_ASKED = 2,
    HAKT_REQUEST_TAKEN = 3,   /* its collector is being started */
    HAKT_REQUEST_GRANTED = 4, /* path is valid */
    HAKT_REQUEST_REFUSED = 5,
};

/* A process that came of the traced one asks for a collector. It frees the request again. */
struct hakt_shm_request {
    uint32_t state; /* enum hakt_shm_request_state; futex */
    uint32_t pid;
    uint32_t executed;        /* it has executed a program since it came of the recorded one */
    char path[HAKT_SHM_PATH]; /* of its own shared memory */
};
#define HAKT_SHM_REQUESTS 16

enum hakt_shm_command {
    HAKT_COMMAND_NONE = 0,
    HAKT_COMMAND_STOP = 1,
    HAKT_COMMAND_ROTATE = 2,
    HAKT_COMMAND_SNAPSHOT = 3, /* of a flight recorder: write the window */
    HAKT_COMMAND_FAILED = 14,  /* it could not be carried out */
    HAKT_COMMAND_REFUSED = 15, /* the answer to one that this recording has no use for */
};

/* For `haktrace status`; the collector's, some 20 times a second. */
struct hakt_shm_status {
    uint64_t started_unix_ns;
    uint64_t ops;   /* taken out of the rings, for this file; in memory at first */
    uint64_t bytes; /* of this file */
    uint64_t dropped, threads;
    uint64_t window_bytes;  /* held by a flight recorder */
    uint64_t backlog_bytes; /* of records that are not resolved yet */
    uint64_t backlog_max;
    char file[4096];
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
    uint32_t pace;         /* of a burst of ops one in `pace` is stamped; 1 = all are */
    uint32_t burst;        /* raw time: stamps closer together than this are a burst */
    uint32_t follow;       /* enum hakt_shm_follow */
    uint32_t record_mmap;  /* the program's own memory calls are recorded too */
    uint32_t collector_fd; /* this memory in the collector: /proc/COLLECTOR_PID/fd/COLLECTOR_FD */
    /* Written by the program. */
    _Alignas(64) uint32_t owner_pid; /* the one process that may write; 0 = library not loaded */
    uint32_t attach_seq;             /* raised before each slot that becomes ATTACHED */
    uint32_t want_slot;              /* a thread found no free slot and waits for one */
    uint32_t threads_unserved;       /* threads that went on without a ring */
    uint64_t ops_unserved;           /* ops not recorded for want of a ring */
    uint64_t exe_dev, exe_ino;       /* of the program's file */
    char other_malloc[256];          /* the file whose malloc is in front of ours; "" = none */
    uint32_t requests_asked;         /* raised after each request */
    uint32_t children_unserved;      /* that asked and got no answer */
    struct hakt_shm_request requests[HAKT_SHM_REQUESTS];
    /* Written by both. */
    _Alignas(64) uint32_t bell; /* futex that the collector sleeps on */
    uint32_t sleeping;          /* the collector sleeps, or is about to */
    /* Written by the collector. */
    _Alignas(64) uint64_t heartbeat; /* raised every round: the collector is at work */
    uint32_t slot_hint;              /* where a free slot is likely */
    uint32_t stopped;                /* the recording has ended: threads leave their rings */
    /* Written by a `haktrace` that looks on. */
    uint32_t command;      /* enum hakt_shm_command */
    uint32_t command_done; /* the command that was carried out last, FAILED or REFUSED */
    struct hakt_shm_status status;
};

/*
 * What a library that is loaded and not recording offers to `haktrace start PID`, which finds it by
 * its magic in the library's data and reads and writes it from outside (process_vm_writev).
 */
#define HAKT_CONTROL_MAGIC   "haktrace-control"
#define HAKT_CONTROL_VERSION 2u
#define HAKT_PROBLEM         256
struct hakt_control {
    char magic[16];
    uint32_t version;
    uint32_t active;     /* 1: ops go to the slow path, which joins a new generation */
    uint32_t generation; /* raised after path was written */
    uint32_t joined;     /* the generation joined last */
    char path[HAKT_SHM_PATH];
    /* Where the threads' ring states lie, so that a stop takes effect at each thread's next op:
     * limit and end of ring i at rings + i * ring_stride + limit_offset, + end_offset. */
    uint64_t rings;
    uint32_t ring_count, ring_stride, limit_offset, end_offset;
    /* Why it could not start a collector, as its environment says it should; "" = no problem. */
    char problem[HAKT_PROBLEM];
};

/* What a collector that a library started tells it: all of it in one write. */
struct hakt_notify {
    char path[HAKT_SHM_PATH]; /* "": it cannot record */
    char problem[HAKT_PROBLEM];
};

/* log2 of the words of a ring. */
static inline unsigned hakt_shm_ring_log2(const struct hakt_shm *shm) {
    return (unsigned)__builtin_ctzll(shm->ring_bytes / sizeof(uint64_t));
}

static inline struct hakt_shm_slot *hakt_shm_slots(struct hakt_shm *shm) {
    return (struct hakt_shm_slot *)((char *)shm + shm->slots_offset);
}

static inline uint64_t *hakt_shm_ring(struct hakt_shm *shm, uint32_t slot) {
    return (uint64_t *)((char *)shm + shm->rings_offset + slot * shm->ring_bytes);
}

#endif
