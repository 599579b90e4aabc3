#include "tracer/collect_resolve.h"

#include <string.h>

_Static_assert((int)HAKT_SHM_MALLOC == HAKT_MALLOC && (int)HAKT_SHM_CALLOC == HAKT_CALLOC &&
                   (int)HAKT_SHM_REALLOC == HAKT_REALLOC &&
                   (int)HAKT_SHM_REALLOCARRAY == HAKT_REALLOCARRAY &&
                   (int)HAKT_SHM_FREE == HAKT_FREE && (int)HAKT_SHM_MEMALIGN == HAKT_MEMALIGN &&
                   (int)HAKT_SHM_ALIGNED_ALLOC == HAKT_ALIGNED_ALLOC &&
                   (int)HAKT_SHM_POSIX_MEMALIGN == HAKT_POSIX_MEMALIGN &&
                   (int)HAKT_SHM_VALLOC == HAKT_VALLOC && (int)HAKT_SHM_PVALLOC == HAKT_PVALLOC,
               "ring records carry the trace format's op numbers");

int hakt_resolver_init(struct hakt_resolver *r, const struct hakt_clock *clock,
                       struct hakt_collect_sink sink, struct hakc_err *err) {
    memset(r, 0, sizeof(*r));
    r->clock = clock;
    r->sink = sink;
    r->next_id = 1;
    int rc = hakt_live_init(&r->live);
    return rc == 0 ? 0 : hakc_fail(err, rc, "no memory for the table of live addresses");
}

void hakt_resolver_fini(struct hakt_resolver *r) {
    hakt_live_fini(&r->live);
}

/* ---- handing on --------------------------------------------------------------------------- */

static void fail(struct hakt_resolver *r, int rc) {
    r->err.code = rc;
}

/* To a sink that takes records one by one. */
static int put_each(struct hakt_resolver *r) {
    for (size_t i = 0; i < r->batched; i++) {
        const struct hakt_plain_rec *p = &r->batch[i];
        struct hakt_rec rec = {.time = p->time,
                               .id = p->is_free ? 0 : p->id,
                               .old_id = p->is_free ? p->id : 0,
                               .size = p->is_free ? 0 : p->size,
                               .thread = p->thread,
                               .op = p->is_free ? HAKT_FREE : HAKT_MALLOC};
        int rc = r->sink.put(r->sink.ctx, &rec, p->is_free ? p->size : 0, &r->err);
        if (rc != 0) {
            r->stats.discarded += r->batched - i - 1;
            return rc;
        }
        r->stats.records++;
    }
    return 0;
}

void hakt_resolve_flush(struct hakt_resolver *r) {
    int rc = 0;
    if (r->batched == 0)
        return;
    if (r->err.code != 0) {
        r->stats.discarded += r->batched;
    } else if (r->sink.put_plain == NULL) {
        rc = put_each(r);
    } else if ((rc = r->sink.put_plain(r->sink.ctx, r->batch, r->batched, &r->err)) == 0) {
        r->stats.records += r->batched;
    }
    if (rc != 0)
        fail(r, rc);
    r->batched = 0;
}

static void put(struct hakt_resolver *r, const struct hakt_rec *rec, uint64_t old_size) {
    hakt_resolve_flush(r);
    if (r->err.code != 0)
        return;
    int rc = r->sink.put(r->sink.ctx, rec, old_size, &r->err);
    if (rc != 0)
        fail(r, rc);
    else
        r->stats.records++;
}

/* The first record of a thread. */
static void emit_start(struct hakt_resolver *r, struct hakt_origin *o, uint64_t ns) {
    struct hakt_rec start = {.time = ns, .op = HAKT_THREAD_START};
    o->seen = 1;
    o->number = start.thread = r->next_thread++;
    r->stats.threads++;
    put(r, &start, 0);
}

/* Of a trace that is not the first: ids as it knows them. 0: the record says nothing in it. */
static int rebase(struct hakt_resolver *r, struct hakt_rec *rec, uint64_t *old_size) {
    if (rec->id != 0)
        rec->id -= r->id_base;
    if (rec->old_id > r->id_base) {
        rec->old_id -= r->id_base;
    } else if (rec->old_id != 0) {
        if (rec->flags & HAKT_REC_IMPLIED)
            return 0;
        rec->old_id = *old_size = 0;
        rec->flags |= HAKT_REC_FOREIGN;
    }
    return 1;
}

/* Completes a record by its time, raised where the stamps contradict the order of causes, and its
 * thread, and hands it on. */
static void emit(struct hakt_resolver *r, struct hakt_origin *o, struct hakt_rec *rec,
                 uint64_t old_size, uint64_t raw) {
    uint64_t ns = hakt_clock_ns(r->clock, raw);
    r->stats.foreign += (rec->flags & HAKT_REC_FOREIGN) != 0;
    if (ns < r->last_ns) {
        r->stats.clamped++;
        ns = r->last_ns;
    }
    r->last_ns = ns;
    rec->time = ns - r->ns_base;
    if (!o->seen)
        emit_start(r, o, rec->time);
    rec->thread = o->number;
    if (r->id_base != 0 && !rebase(r, rec, &old_size))
        return;
    r->stats.ops++;
    put(r, rec, old_size);
}

/* ---- the ops ------------------------------------------------------------------------------ */

/* The program got an address that counts as live. */
static void imply_free(struct hakt_resolver *r, struct hakt_origin *o, uint64_t addr,
                       uint64_t raw) {
    struct hakt_rec rec = {.op = HAKT_FREE, .flags = HAKT_REC_IMPLIED};
    uint64_t size = 0;
    hakt_live_take(&r->live, addr, &rec.old_id, &size);
    r->stats.implied++;
    emit(r, o, &rec, size, raw);
}

static void live_failed(struct hakt_resolver *r, int rc) {
    if (rc == HAKC_EUNSUPPORTED && r->err.code == 0)
        hakc_fail(&r->err, rc, "more than %llu allocations in one recording",
                  (unsigned long long)HAKT_LIVE_ID_LIMIT - 1);
    else if (r->err.code == 0)
        hakc_fail(&r->err, rc, "no memory for the table of live addresses (%zu objects)",
                  r->live.count);
}

/* Notes a live object. 0, or 1: its address is taken and it must wait (never with force). */
static int set_live(struct hakt_resolver *r, struct hakt_origin *o, uint64_t addr, uint64_t id,
                    uint64_t size, uint64_t raw, int force) {
    int rc = hakt_live_add(&r->live, addr, id, size);
    if (rc == 0)
        return 0;
    if (rc > 0) {
        if (!force)
            return 1;
        imply_free(r, o, addr, raw);
        rc = hakt_live_add(&r->live, addr, id, size);
    }
    if (rc != 0)
        live_failed(r, rc);
    return 0;
}

static int on_alloc(struct hakt_resolver *r, struct hakt_origin *o, const struct hakt_shm_rec *in,
                    unsigned op, unsigned align_log2, int force) {
    struct hakt_rec rec = {.size = in->size, .op = (uint8_t)op, .align_log2 = (uint8_t)align_log2};
    if (in->ptr == 0) {
        rec.flags = HAKT_REC_FAILED;
    } else if (in->ptr >= HAKT_LIVE_ADDR_LIMIT) {
        hakc_fail(&r->err, HAKC_ECORRUPT,
                  "a ring holds an address that no program can have: the program has overwritten "
                  "the shared memory");
        return 0;
    } else {
        if (set_live(r, o, in->ptr, r->next_id, in->size, in->time, force))
            return 1;
        rec.id = r->next_id++;
    }
    emit(r, o, &rec, 0, in->time);
    return 0;
}

static int on_free(struct hakt_resolver *r, struct hakt_origin *o, const struct hakt_shm_rec *in,
                   int force) {
    struct hakt_rec rec = {.op = HAKT_FREE};
    uint64_t size = 0;
    if (in->ptr != 0 && !hakt_live_take(&r->live, in->ptr, &rec.old_id, &size)) {
        if (!force)
            return 1;
        rec.flags = HAKT_REC_FOREIGN;
    }
    emit(r, o, &rec, size, in->time);
    return 0;
}

static void give_up_pending(struct hakt_resolver *r, struct hakt_origin *o, unsigned i,
                            uint64_t raw) {
    const struct hakt_pending *p = &o->pending[i];
    struct hakt_rec rec = {.op = p->op,
                           .old_id = p->id,
                           .size = p->size,
                           .flags = (uint8_t)(p->flags | HAKT_REC_UNFINISHED)};
    emit(r, o, &rec, p->old_size, raw);
    memmove(&o->pending[i], &o->pending[i + 1], (--o->depth - i) * sizeof(*p));
}

static int on_realloc_begin(struct hakt_resolver *r, struct hakt_origin *o,
                            const struct hakt_shm_rec *in, unsigned op, int force) {
    uint64_t id = 0, old_size = 0;
    if (!hakt_live_take(&r->live, in->ptr, &id, &old_size) && !force)
        return 1;
    if (o->depth == HAKT_PENDING_MAX)
        give_up_pending(r, o, 0, in->time);
    o->pending[o->depth++] =
        (struct hakt_pending){.addr = in->ptr,
                              .id = id,
                              .old_size = old_size,
                              .size = in->size,
                              .op = op == HAKT_SHM_REALLOC_BEGIN ? HAKT_REALLOC : HAKT_REALLOCARRAY,
                              .flags = id == 0 ? HAKT_REC_FOREIGN : 0};
    return 0;
}

static int on_realloc_end(struct hakt_resolver *r, struct hakt_origin *o,
                          const struct hakt_shm_rec *in, int force) {
    unsigned i = o->depth;
    while (i > 0 && o->pending[i - 1].addr != in->size)
        i--;
    if (i == 0) { /* its beginning was given up: only the new object is known, not its size */
        struct hakt_shm_rec alloc = {.time = in->time, .ptr = in->ptr};
        return in->ptr == 0 ? 0 : on_alloc(r, o, &alloc, HAKT_REALLOC, 0, force);
    }
    if (in->ptr != 0 &&
        set_live(r, o, in->ptr, r->next_id, o->pending[i - 1].size, in->time, force))
        return 1;
    /* Left behind by a handler that did not return. They make no id. */
    while (o->depth > i)
        give_up_pending(r, o, o->depth - 1, in->time);
    const struct hakt_pending *p = &o->pending[--o->depth];
    struct hakt_rec rec = {.op = p->op, .old_id = p->id, .size = p->size, .flags = p->flags};
    if (in->ptr != 0) {
        rec.id = r->next_id++;
    } else if (p->size != 0) { /* failed: the old object lives on */
        rec.flags |= HAKT_REC_FAILED;
        if (p->id != 0)
            set_live(r, o, p->addr, p->id, p->old_size, in->time, 1);
    }
    emit(r, o, &rec, p->old_size, in->time);
    return 0;
}

/* The second half of a memory call: the two stand next to each other in the ring. */
static void on_memory(struct hakt_resolver *r, struct hakt_origin *o,
                      const struct hakt_shm_rec *more) {
    static const uint16_t kinds[] = {HAKT_EV_MMAP,    HAKT_EV_MUNMAP,   HAKT_EV_MREMAP,
                                     HAKT_EV_MADVISE, HAKT_EV_MPROTECT, HAKT_EV_BRK};
    const struct hakt_shm_rec *first = &o->memory;
    unsigned op = first->op;
    uint64_t ns = hakt_clock_ns(r->clock, first->time);

    o->memory.op = 0;
    if (r->sink.event == NULL || op < HAKT_SHM_MMAP || op > HAKT_SHM_BRK)
        return;
    r->last_ns = ns > r->last_ns ? ns : r->last_ns;
    struct hakt_event e = {.time = r->last_ns - r->ns_base,
                           .arg = {first->ptr, first->size, more->ptr, more->size},
                           .kind = kinds[op - HAKT_SHM_MMAP]};
    if (op == HAKT_SHM_MMAP) {
        e.arg[2] = more->ptr & 0xffffffffu;
        e.arg[3] = more->ptr >> 32;
    } else if (op != HAKT_SHM_MREMAP) {
        e.arg[3] = 0;
    }
    if (op == HAKT_SHM_MREMAP ? more->ptr == 0 : more->size != 0) {
        e.flags = HAKT_EVENT_FAILED;
        if (op == HAKT_SHM_MMAP)
            e.arg[0] = more->size; /* instead of the address got */
    }
    if (!o->seen)
        emit_start(r, o, e.time);
    e.thread = o->number;
    hakt_resolve_flush(r);
    int rc = r->err.code == 0 ? r->sink.event(r->sink.ctx, &e, &r->err) : 0;
    if (rc != 0)
        r->err.code = rc;
}

int hakt_resolve(struct hakt_resolver *r, struct hakt_origin *o, const struct hakt_shm_rec *rec,
                 int force, uint64_t *awaited) {
    unsigned op = rec->op, align_log2 = rec->align_log2;
    int held;

    if (r->err.code != 0) {
        r->stats.discarded++;
        return 0;
    }
    switch (op) {
    case HAKT_SHM_FREE:
        held = on_free(r, o, rec, force);
        break;
    case HAKT_SHM_REALLOC_BEGIN:
    case HAKT_SHM_REALLOCARRAY_BEGIN:
        held = on_realloc_begin(r, o, rec, op, force);
        break;
    case HAKT_SHM_REALLOC_END:
        held = on_realloc_end(r, o, rec, force);
        break;
    case HAKT_SHM_MORE:
        on_memory(r, o, rec);
        return 0;
    default:
        if (op >= HAKT_SHM_MMAP && op <= HAKT_SHM_BRK) {
            o->memory = *rec;
            return 0;
        }
        if (op > HAKT_SHM_PVALLOC) {
            hakc_fail(&r->err, HAKC_ECORRUPT,
                      "a ring holds an unknown record (kind %u): the "
                      "program has overwritten the shared memory",
                      op);
            return 0;
        }
        held = on_alloc(r, o, rec, op, align_log2, force);
    }
    *awaited = rec->ptr;
    return held;
}

void hakt_resolve_thread_end(struct hakt_resolver *r, struct hakt_origin *o) {
    if (!o->seen && o->depth == 0)
        return;
    uint64_t raw = hakt_clock_now(r->clock);
    while (o->depth > 0)
        give_up_pending(r, o, 0, raw);
    struct hakt_rec end = {
        .time = r->last_ns - r->ns_base, .op = HAKT_THREAD_END, .thread = o->number};
    put(r, &end, 0);
    o->seen = 0;
}

/* ---- plain mallocs and frees --------------------------------------------------------------- */

/* A plain record that hakt_live_quick leaves alone. 0: nothing was changed. */
static int change_live(struct hakt_resolver *r, uint64_t ptr, unsigned is_free, uint64_t *id,
                       uint64_t *size) {
    if (is_free)
        return hakt_live_take(&r->live, ptr, id, size);
    int rc = hakt_live_add(&r->live, ptr, *id, *size);
    if (rc < 0)
        live_failed(r, rc);
    return rc <= 0;
}

/*
 * What comes next in a program, a malloc or a free, no CPU foresees: so one path does both, without
 * a branch on which it is.
 */
void hakt_resolve_plain(struct hakt_resolver *r, struct hakt_origin *o, struct hakt_taken *t,
                        uint64_t until) {
    uint64_t next_id = r->next_id, last_ns = r->last_ns, clamped = 0, stamped = 0;
    uint32_t i = t->at, from = i;
    if (r->err.code != 0 || !o->seen)
        return;
    if (r->batched + (t->n - i) > HAKT_PLAIN_BATCH)
        hakt_resolve_flush(r);
    for (; i < t->n && t->time[i] <= until; i++) {
        unsigned op = t->op[i] & ~HAKT_STAMPED, is_free = op == HAKT_SHM_FREE;
        uint64_t ptr = t->ptr[i], id = next_id, size = t->size[i];
        if ((op & ~(unsigned)HAKT_SHM_FREE) != 0 || ptr - 1 >= HAKT_LIVE_ADDR_LIMIT - 1 ||
            next_id >= HAKT_LIVE_ID_LIMIT)
            break;
        if (!hakt_live_quick(&r->live, ptr, is_free, &id, &size) &&
            !change_live(r, ptr, is_free, &id, &size))
            break;
        next_id += !is_free;
        stamped += t->op[i] / HAKT_STAMPED;
        uint64_t ns = hakt_clock_ns(r->clock, t->time[i]);
        clamped += ns < last_ns;
        last_ns = ns < last_ns ? last_ns : ns;
        if (__builtin_expect(id <= r->id_base, 0)) { /* an object of an earlier trace: foreign */
            struct hakt_rec rec = {.op = HAKT_FREE, .old_id = id};
            r->last_ns = last_ns;
            emit(r, o, &rec, size, t->time[i]);
            r->stats.ops--; /* counted below */
            continue;
        }
        r->batch[r->batched++] = (struct hakt_plain_rec){.time = last_ns - r->ns_base,
                                                         .id = id - r->id_base,
                                                         .size = size,
                                                         .thread = o->number,
                                                         .is_free = is_free};
    }
    t->at = i;
    r->next_id = next_id;
    r->last_ns = last_ns;
    r->stats.clamped += clamped;
    r->stats.stamped += stamped;
    r->stats.ops += i - from;
    int rc = r->live.count >= r->live.grow_at ? hakt_live_grow(&r->live) : 0;
    if (rc != 0)
        live_failed(r, rc);
}
