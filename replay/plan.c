#include "replay/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "replay/plan_int.h"

#define IDS_LEAST  (UINT64_C(1) << 16)
#define PLAN_SPACE (UINT64_C(1) << 45) /* address space for all streams: 32 TiB */

int hakr_plan_begin(struct hakr_plan *p, uint64_t records, uint64_t threads, struct hakc_err *err) {
    memset(p, 0, sizeof *p);
    p->fd = -1;
    p->drift = HAKR_NO_DRIFT;
    struct hakr_planner *pl = calloc(1, sizeof *pl);
    if (pl == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
    p->planner = pl;
    if (hakc_map_init(&pl->known, 0) != 0) {
        hakr_plan_free(p);
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
    }
    if (threads == 0 || threads > HAKR_MAX_THREADS)
        threads = HAKR_MAX_THREADS;
    uint64_t most = PLAN_SPACE / threads & ~(PAGE - 1);
    pl->stride = most;
    if (records < most / (8 * WORDS_PER_RECORD) - 2)
        pl->stride = ((records + 1) * 8 * WORDS_PER_RECORD + 2 * PAGE) & ~(PAGE - 1);
    if (records == 0)
        pl->stride = most;
    pl->ids_first = IDS_LEAST; /* as many as the records, up to 32 Mi: address space */
    while (pl->ids_first <= records && pl->ids_first < IDS_LEAST << 9)
        pl->ids_first *= 2;
    p->fd = memfd_create("hakreplay-plan", MFD_CLOEXEC);
    if (p->fd < 0) {
        hakr_plan_free(p);
        return hakc_fail_errno(err, HAKC_EIO, "memfd_create for the plan");
    }
    return 0;
}

static void emit(struct hakr_plan *p, uint32_t t, unsigned kind, uint32_t slot, uint64_t size,
                 unsigned align) {
    struct hakr_plan_thread *th = &p->threads[t];
    uint64_t w = kind | (uint64_t)slot << 32, at = th->n_words;
    int wide = align != 0 || size > HAKR_SIZE_MAX, bit;
    if (wide) {
        hakr_put_word(th, w | HAKR_WIDE);
        hakr_put_word(th, (size > HAKR_WIDE_MAX ? HAKR_WIDE_MAX : size) | (uint64_t)align << 56);
    } else {
        w |= size << HAKR_SIZE_SHIFT;
        bit = hakr_simple_bit(w);
        if (bit >= 0) {
            hakr_put_simple(th, w, bit);
            p->stats.bundled++;
        } else {
            hakr_put_word(th, w);
        }
    }
    th->ops++;
    p->stats.ops++;
    p->planner->last = hakr_place_of(t, at, wide);
    p->planner->has_last = 1;
}

static int plan_release(struct hakr_plan *p, const struct hakt_rec *r, unsigned kind,
                        struct hakc_err *err) {
    uint32_t slot = 0;
    int rc = hakr_plan_consume(p, r, &slot, err);
    if (rc != 0)
        return rc;
    emit(p, r->thread, kind, slot, 0, 0);
    return hakr_plan_give_slot(p, r->thread, slot, err);
}

static int plan_alloc(struct hakr_plan *p, const struct hakt_rec *r, unsigned kind,
                      struct hakc_err *err) {
    uint32_t slot = 0;
    uint64_t size = r->size;
    int rc;
    if (kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY) {
        rc = hakr_plan_consume(p, r, &slot, err);
        if (size == 0) {
            size = 1;
            p->stats.realloc_zero++;
        }
    } else {
        rc = hakr_plan_take_slot(p, r->thread, &slot, err);
    }
    if (rc != 0)
        return rc;
    rc = hakr_plan_produce(p, r, slot, r->align_log2 != 0 || size > HAKR_SIZE_MAX, err);
    if (rc != 0)
        return rc;
    emit(p, r->thread, kind, slot, size, r->align_log2);
    return 0;
}

static int plan_realloc(struct hakr_plan *p, const struct hakt_rec *r, struct hakc_err *err) {
    int array = r->op == HAKT_REALLOCARRAY;
    if (r->flags & HAKT_REC_UNFINISHED) {
        p->stats.unfinished++;
        return r->old_id != 0 ? plan_release(p, r, HAKR_FREE, err) : 0;
    }
    if (r->flags & HAKT_REC_FOREIGN)
        p->stats.foreign_reallocs++;
    if (r->id == 0) {
        if (r->old_id == 0) { /* realloc of a foreign pointer to nothing, or realloc(NULL, 0) */
            p->stats.skipped_foreign++;
            return 0;
        }
        p->stats.realloc_zero++;
        return plan_release(p, r, HAKR_REALLOC_ZERO, err);
    }
    if (r->old_id == 0)
        return plan_alloc(p, r, array ? HAKR_REALLOCARRAY_NEW : HAKR_REALLOC_NEW, err);
    return plan_alloc(p, r, array ? HAKR_REALLOCARRAY : HAKR_REALLOC, err);
}

static int plan_free(struct hakr_plan *p, const struct hakt_rec *r, struct hakc_err *err) {
    if (r->flags & HAKT_REC_IMPLIED)
        p->stats.implied++;
    if (r->flags & HAKT_REC_FOREIGN) {
        p->stats.skipped_foreign++;
        return 0;
    }
    if (r->old_id == 0) {
        emit(p, r->thread, HAKR_FREE_NULL, 0, 0, 0);
        return 0;
    }
    return plan_release(p, r, HAKR_FREE, err);
}

/* A thread's exit frees its caches for others, so it has its place in the order like an op. */
static int plan_end(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    p->threads[t].ends = 1;
    p->threads[t].end_at = p->stats.ops;
    return p->drift != HAKR_NO_DRIFT ? hakr_plan_order(p, t, err) : 0;
}

static int plan_record(struct hakr_plan *p, const struct hakt_rec *r, struct hakc_err *err) {
    static const uint8_t kinds[HAKT_OP_COUNT] = {
        [HAKT_MALLOC] = HAKR_MALLOC,
        [HAKT_CALLOC] = HAKR_CALLOC,
        [HAKT_MEMALIGN] = HAKR_MEMALIGN,
        [HAKT_ALIGNED_ALLOC] = HAKR_ALIGNED_ALLOC,
        [HAKT_POSIX_MEMALIGN] = HAKR_POSIX_MEMALIGN,
        [HAKT_VALLOC] = HAKR_VALLOC,
        [HAKT_PVALLOC] = HAKR_PVALLOC,
    };
    int rc = hakr_plan_room(p, r->thread, err);
    if (p->stats.records == 0)
        p->first_time = r->time;
    p->last_time = r->time;
    if (rc == 0 && r->op == HAKT_THREAD_END)
        rc = plan_end(p, r->thread, err);
    if (rc != 0 || r->op == HAKT_THREAD_START || r->op == HAKT_THREAD_END)
        return rc;
    if (r->flags & HAKT_REC_FAILED) {
        p->stats.skipped_failed++;
        return 0;
    }
    if (p->drift != HAKR_NO_DRIFT)
        rc = hakr_plan_order(p, r->thread, err);
    if (rc != 0)
        return rc;
    if (p->every_time || p->clock_every_ns != 0)
        hakr_plan_time(p, &p->threads[r->thread], r->time);
    if (r->op == HAKT_FREE)
        return plan_free(p, r, err);
    if (r->op == HAKT_REALLOC || r->op == HAKT_REALLOCARRAY)
        return plan_realloc(p, r, err);
    if (r->op >= HAKT_OP_COUNT || kinds[r->op] == 0)
        return hakr_plan_corrupt(p, err, "unknown op", r->op);
    return plan_alloc(p, r, kinds[r->op], err);
}

int hakr_plan_add(struct hakr_plan *p, const struct hakt_rec *recs, size_t n,
                  struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    for (size_t i = 0; i < n; i++) {
        i += hakr_plan_simple(p, recs + i, n - i);
        if (i == n)
            break;
        uint64_t ops = p->stats.ops;
        int rc = plan_record(p, &recs[i], err);
        if (rc != 0)
            return rc;
        p->stats.records++;
        if (p->stats.ops != ops)
            pl->live_sum += (double)pl->live;
    }
    return 0;
}

static void free_planner(struct hakr_plan *p) {
    if (p->planner == NULL)
        return;
    hakr_plan_free_objects(p->planner);
    free(p->planner);
    p->planner = NULL;
}

int hakr_plan_finish(struct hakr_plan *p, struct hakc_err *err) {
    int rc = hakr_plan_close_streams(p, err);
    if (rc != 0)
        return rc;
    p->stats.mean_live = p->stats.ops != 0 ? p->planner->live_sum / (double)p->stats.ops : 0;
    free_planner(p);
    return 0;
}

void hakr_plan_free(struct hakr_plan *p) {
    int planning = p->planner != NULL;
    for (uint32_t t = 0; t < p->n_threads; t++) {
        struct hakr_plan_thread *th = &p->threads[t];
        uint64_t len = (th->n_words * 8 + PAGE - 1) & ~(PAGE - 1);
        if (planning)
            len = p->planner->stride;
        if (th->words != NULL)
            munmap(th->words, len);
    }
    free_planner(p);
    free(p->threads);
    free(p->epoch_needs);
    if (p->fd >= 0)
        close(p->fd);
    memset(p, 0, sizeof *p);
    p->fd = -1;
}
