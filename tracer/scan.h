/*
 * One pass over a trace: who allocates what, for how long, and who gives it back. What haktrace
 * info shows. Memory: the live objects, the threads, and the pairs of threads that hand objects
 * over.
 */
#ifndef TRACER_SCAN_H
#define TRACER_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/hist.h"
#include "common/map.h"
#include "tracer/format/trace.h"

#define HAKT_SIZE_CLASSES 65 /* 0, 1, 2..3, 4..7, ...: by the highest bit */
#define HAKT_EVENT_KINDS  64 /* known or not; higher ones count as the last */
#define HAKT_PAIRS_MAX    65536u

/* A live object. */
struct hakt_scan_object {
    uint64_t time, record, size;
    uint32_t thread;
    uint32_t next_free;
};

struct hakt_scan_thread {
    uint64_t ops, allocations, frees; /* frees: objects consumed, by free or realloc */
    uint64_t taken;                   /* of these, made by another thread */
    uint64_t given;                   /* own objects that another thread consumed */
    uint64_t requested;               /* bytes */
    uint64_t dropped;                 /* ops lost */
    uint64_t first_time, last_time;
};

/* Objects consumed by `to` that `from` made. */
struct hakt_scan_pair {
    uint32_t from, to;
    uint64_t count;
};

struct hakt_scan {
    uint64_t ops_by_kind[HAKT_OP_COUNT];
    uint64_t ops, consumed, freed, handovers, freed_handovers, failed, foreign, implied, unfinished;
    uint64_t requested; /* bytes, of successful allocations */
    uint64_t live_at_end;
    uint64_t size_count[HAKT_SIZE_CLASSES], size_bytes[HAKT_SIZE_CLASSES];
    /* lifetimes, by the highest bit of ns and of records from one to the other */
    uint64_t ns_count[HAKT_SIZE_CLASSES], records_count[HAKT_SIZE_CLASSES];
    struct hakc_hist sizes, ns, records;
    uint64_t events, events_by_kind[HAKT_EVENT_KINDS], events_failed[HAKT_EVENT_KINDS];
    struct hakt_scan_thread *threads; /* by number; owned */
    size_t nthreads;
    struct hakt_scan_pair *pairs; /* the most frequent first, after hakt_scan_run; owned */
    size_t npairs;
    uint64_t unpaired; /* hand-overs of further pairs, beyond HAKT_PAIRS_MAX */
    /* inside */
    struct hakc_map by_id, by_pair; /* id -> object + 1; from, to -> pair + 1 */
    struct hakt_scan_object *objects;
    size_t nobjects, objects_cap, pairs_cap, threads_cap;
    uint32_t free_object;
};

/* Makes an empty scan. It is large: not for the stack. NULL: no memory. */
struct hakt_scan *hakt_scan_new(void);
void hakt_scan_free(struct hakt_scan *s);

/* Scans all records and events of a reader that has just been opened. */
int hakt_scan_run(struct hakt_scan *s, struct hakt_reader *r, struct hakc_err *err);

#endif
