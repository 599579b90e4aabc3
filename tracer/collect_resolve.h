/*
 * The collector's second half: what one ring record means. Keeps the table of live objects, joins
 * the two halves of a realloc, and hands finished records to the sink. The order in which records
 * come is collect.c's business.
 */
#ifndef TRACER_COLLECT_RESOLVE_H
#define TRACER_COLLECT_RESOLVE_H

#include "common/err.h"
#include "tracer/collect.h"
#include "tracer/live_table.h"

#include <stdint.h>

/* Reallocs begun and not ended that a thread can have: nested by signal handlers. When a handler
 * left others behind with longjmp, the oldest is given up. */
#define HAKT_PENDING_MAX 8

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

/* The same for the two most frequent ops. rec is a MALLOC, or a FREE. */
static inline int hakt_resolve_malloc(struct hakt_resolver *r, struct hakt_origin *o,
                                      const struct hakt_shm_rec *rec, int force, uint64_t *awaited);
static inline int hakt_resolve_free(struct hakt_resolver *r, struct hakt_origin *o,
                                    const struct hakt_shm_rec *rec, int force, uint64_t *awaited);

/* The thread is gone: its unfinished reallocs, then its end marker (if it was ever seen). */
void hakt_resolve_thread_end(struct hakt_resolver *r, struct hakt_origin *o);

/* ---- private -------------------------------------------------------------------------------- */

/* The table of live addresses can take no more: the recording ends. */
void hakt_live_failed(struct hakt_resolver *r, int rc);

/* Hands on the first record of a thread, its start. */
void hakt_emit_start(struct hakt_resolver *r, struct hakt_origin *o, uint64_t ns);

/* Of a trace that is not the first: ids as it knows them. 0: the record says nothing in it. */
int hakt_emit_rebase(struct hakt_resolver *r, struct hakt_rec *rec, uint64_t *old_size);

static inline void hakt_emit_put(struct hakt_resolver *r, const struct hakt_rec *rec,
                                 uint64_t old_size) {
    if (__builtin_expect(r->err.code != 0, 0))
        return;
    int rc = r->sink.put(r->sink.ctx, rec, old_size, &r->err);
    if (__builtin_expect(rc != 0, 0))
        r->err.code = rc;
    else
        r->stats.records++;
}

/* Completes a record by its time, raised where the stamps contradict the order of causes, and its
 * thread, and hands it on. */
static inline void hakt_emit(struct hakt_resolver *r, struct hakt_origin *o, struct hakt_rec *rec,
                             uint64_t old_size, uint64_t raw) {
    uint64_t ns = hakt_clock_ns(r->clock, raw);
    if (__builtin_expect(ns < r->last_ns, 0)) {
        r->stats.clamped++;
        ns = r->last_ns;
    }
    r->last_ns = ns;
    rec->time = ns - r->ns_base;
    if (__builtin_expect(!o->seen, 0))
        hakt_emit_start(r, o, rec->time);
    rec->thread = o->number;
    if (__builtin_expect(r->id_base != 0, 0) && !hakt_emit_rebase(r, rec, &old_size))
        return;
    r->stats.ops++;
    hakt_emit_put(r, rec, old_size);
}

static inline int hakt_resolve_malloc(struct hakt_resolver *r, struct hakt_origin *o,
                                      const struct hakt_shm_rec *in, int force, uint64_t *awaited) {
    int rc = __builtin_expect(r->err.code != 0 || in->ptr == 0, 0)
                 ? 1
                 : hakt_live_add(&r->live, in->ptr, r->next_id, in->size);
    if (__builtin_expect(rc > 0, 0)) /* and nothing was changed */
        return hakt_resolve(r, o, in, force, awaited);
    if (__builtin_expect(rc < 0, 0))
        hakt_live_failed(r, rc);
    struct hakt_rec rec = {.id = r->next_id++, .size = in->size, .op = HAKT_MALLOC};
    hakt_emit(r, o, &rec, 0, in->time);
    return 0;
}

static inline int hakt_resolve_free(struct hakt_resolver *r, struct hakt_origin *o,
                                    const struct hakt_shm_rec *in, int force, uint64_t *awaited) {
    struct hakt_rec rec = {.op = HAKT_FREE};
    uint64_t size;
    if (__builtin_expect(r->err.code != 0 || in->ptr == 0, 0) ||
        __builtin_expect(!hakt_live_take(&r->live, in->ptr, &rec.old_id, &size), 0))
        return hakt_resolve(r, o, in, force, awaited);
    hakt_emit(r, o, &rec, size, in->time);
    return 0;
}

#endif
