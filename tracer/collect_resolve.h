/*
 * The collector's second half: what one ring record means. Keeps the table of live objects, joins
 * the two halves of a realloc, and hands finished records to the sink. The order in which records
 * come is collect_merge.c's business.
 */
#ifndef TRACER_COLLECT_RESOLVE_H
#define TRACER_COLLECT_RESOLVE_H

#include "common/err.h"
#include "tracer/collect.h"
#include "tracer/collect_backlog.h"
#include "tracer/live_table.h"

#include <stdint.h>

/* Reallocs begun and not ended that a thread can have: nested by signal handlers. When a handler
 * left others behind with longjmp, the oldest is given up. */
#define HAKT_PENDING_MAX 8

#define HAKT_PLAIN_BATCH 128

struct hakt_pending {
    uint64_t addr, id, old_size; /* the old object; id 0 = foreign */
    uint64_t size;               /* asked for */
    uint8_t op, flags;
};

/* One traced thread. */
struct hakt_origin {
    uint32_t number; /* dense; given at the first record */
    int seen;
    unsigned depth;
    struct hakt_pending pending[HAKT_PENDING_MAX]; /* innermost last */
    struct hakt_shm_rec memory;                    /* first half of a memory call; op 0 = none */
};

struct hakt_resolver {
    struct hakt_live live;
    const struct hakt_clock *clock;
    struct hakt_collect_sink sink;
    uint64_t next_id; /* never restarted, nor is last_ns */
    uint64_t last_ns; /* of the last record handed on */
    uint64_t id_base; /* ids up to this belong to earlier traces; subtracted when handing on */
    uint64_t ns_base;
    uint32_t next_thread;
    struct hakt_collect_stats stats;
    struct hakt_plain_rec batch[HAKT_PLAIN_BATCH]; /* on their way to the sink */
    size_t batched;
    struct hakc_err err; /* err.code != 0: the sink or memory failed; all later records are
                            counted as discarded */
};

int hakt_resolver_init(struct hakt_resolver *r, const struct hakt_clock *clock,
                       struct hakt_collect_sink sink, struct hakc_err *err);
void hakt_resolver_fini(struct hakt_resolver *r);

/* Takes a thread's next record. 0: done. 1: its cause is not in yet, nothing was changed; *awaited
 * is the address that must first be allocated or freed. With force it is always done: an unknown
 * object becomes foreign, a live address is freed by an implied free. */
int hakt_resolve(struct hakt_resolver *r, struct hakt_origin *o, const struct hakt_shm_rec *rec,
                 int force, uint64_t *awaited);

/* Takes a thread's next records, from t->at on, as long as they are plain mallocs and frees with
 * times up to `until` whose causes are in: t->at is the first that is not, for hakt_resolve. */
void hakt_resolve_plain(struct hakt_resolver *r, struct hakt_origin *o, struct hakt_taken *t,
                        uint64_t until);

/* Hands on what hakt_resolve_plain still keeps. After the last call of a round. */
void hakt_resolve_flush(struct hakt_resolver *r);

/* The thread is gone: its unfinished reallocs, then its end marker (if it was ever seen). */
void hakt_resolve_thread_end(struct hakt_resolver *r, struct hakt_origin *o);

#endif
