/* From allocation ids to slots, and which hand-overs between threads need a wait. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "replay/plan_int.h"

#define SLOTS_LEAST (UINT64_C(1) << 12)
#define HUGE_PAGE   (UINT64_C(2) << 20)
#define HUGE_FROM   (2 * HUGE_PAGE)

/* Moves an area to `bytes` at a multiple of HUGE_PAGE, without copying. */
static void *place_huge(const struct hakr_area *a, size_t bytes) {
    char *space = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        return MAP_FAILED;
    size_t before = -(uintptr_t)space & (HUGE_PAGE - 1);
    char *at = space + before;
    if (before != 0)
        munmap(space, before);
    munmap(at + bytes, HUGE_PAGE - before);
    void *p = a->p != NULL ? mremap(a->p, a->bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at)
                           : mmap(at, bytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        munmap(at, bytes);
    else
        madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

/* `bytes` is a multiple of PAGE. */
static int grow(struct hakr_area *a, size_t bytes) {
    void *p;
    if (bytes >= HUGE_FROM)
        p = place_huge(a, bytes);
    else if (a->p != NULL)
        p = mremap(a->p, a->bytes, bytes, MREMAP_MAYMOVE);
    else
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (p == MAP_FAILED)
        return -1;
    *a = (struct hakr_area){p, bytes};
    return 0;
}

void hakr_plan_free_objects(struct hakr_planner *pl) {
    if (pl->ids_area.p != NULL)
        munmap(pl->ids_area.p, pl->ids_area.bytes);
    if (pl->slots_area.p != NULL)
        munmap(pl->slots_area.p, pl->slots_area.bytes);
    hakc_map_fini(&pl->known);
    free(pl->known_near);
    for (size_t t = 0; t < pl->threads_cap; t++)
        free(pl->free[t].at);
    free(pl->free);
}

int hakr_plan_corrupt(const struct hakr_plan *p, struct hakc_err *err, const char *what,
                      uint64_t id) {
    return hakc_fail(err, HAKC_ECORRUPT, "record %llu: %s (allocation %llu); run haktrace verify",
                     (unsigned long long)p->stats.records, what, (unsigned long long)id);
}

/* A slot that thread t has not given up itself. */
static int new_slot(struct hakr_plan *p, uint32_t *slot, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (p->n_slots == UINT32_MAX)
        return hakc_fail(err, HAKC_EUNSUPPORTED, "more than 4G objects live at once");
    if (p->n_slots == pl->slots_cap) {
        uint64_t cap = pl->slots_cap ? pl->slots_cap * 2 : SLOTS_LEAST;
        if (grow(&pl->slots_area, cap * sizeof *pl->slots) != 0)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's slots");
        pl->slots = pl->slots_area.p;
        pl->slots_cap = cap;
    }
    *slot = (uint32_t)p->n_slots++;
    return 0;
}

int hakr_plan_take_slot(struct hakr_plan *p, uint32_t t, uint32_t *slot, struct hakc_err *err) {
    struct hakr_free_slots *f = &p->planner->free[t];
    if (unlikely(f->n == 0))
        return new_slot(p, slot, err);
    *slot = f->at[--f->n];
    return 0;
}

int hakr_plan_give_slot(struct hakr_plan *p, uint32_t t, uint32_t slot, struct hakc_err *err) {
    struct hakr_free_slots *f = &p->planner->free[t];
    if (unlikely(f->n == f->cap)) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        void *a = realloc(f->at, cap * sizeof *f->at);
        if (a == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's slots");
        f->at = a;
        f->cap = cap;
    }
    f->at[f->n++] = slot;
    return 0;
}

/* ---- hand-overs -------------------------------------------------------------------------------
 */

/* Whether thread t has waited for position `end` of thread u, or a later one; notes that it now
 * does. Negative: no memory. */
static int is_known(struct hakr_planner *pl, uint32_t t, uint32_t u, uint64_t end) {
    if (t < NEAR_THREADS && u < NEAR_THREADS) {
        if (pl->known_near == NULL)
            pl->known_near = calloc(NEAR_THREADS * NEAR_THREADS, sizeof *pl->known_near);
        if (pl->known_near == NULL)
            return -1;
        uint64_t *known = &pl->known_near[t * NEAR_THREADS + u];
        if (*known >= end)
            return 1;
        *known = end;
        return 0;
    }
    uint64_t key = ((uint64_t)t << 32 | u) + 1;
    uint64_t *known = hakc_map_find(&pl->known, key);
    if (known != NULL && *known >= end)
        return 1;
    return hakc_map_put(&pl->known, key, end) != 0 ? -1 : 0;
}

int hakr_plan_wait(struct hakr_plan *p, uint32_t t, hakr_place op, uint64_t *count,
                   struct hakc_err *err) {
    uint32_t maker = hakr_place_thread(op);
    uint64_t end = hakr_place_end(op);
    if (end > HAKR_POSITION_MAX)
        return hakc_fail(err, HAKC_EUNSUPPORTED, "thread %u has too many ops", maker);
    int known = is_known(p->planner, t, maker, end);
    if (known < 0)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
    if (known)
        return 0;
    hakr_plan_publish(p, op);
    hakr_put_word(&p->threads[t], hakr_wait_word(maker, end));
    ++*count;
    return 0;
}

int hakr_plan_consume(struct hakr_plan *p, const struct hakt_rec *r, uint32_t *slot,
                      struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (unlikely(r->old_id >= pl->ids_cap || pl->slot_of[r->old_id] == 0))
        return hakr_plan_corrupt(p, err, "it consumes an object that is not live", r->old_id);
    *slot = pl->slot_of[r->old_id] - 1;
    pl->slot_of[r->old_id] = 0;
    const struct hakr_slot_info *s = &pl->slots[*slot];
    pl->live -= s->size;
    if (likely(hakr_place_thread(s->maker) == r->thread))
        return 0;
    p->stats.handed++;
    return hakr_plan_wait(p, r->thread, s->maker, &p->stats.waits, err);
}

static int grow_ids(struct hakr_planner *pl, uint64_t id) {
    uint64_t cap = pl->ids_cap != 0 ? pl->ids_cap : pl->ids_first;
    while (cap <= id)
        cap *= 2;
    if (grow(&pl->ids_area, cap * sizeof *pl->slot_of) != 0)
        return -1;
    pl->slot_of = pl->ids_area.p;
    pl->ids_cap = cap;
    return 0;
}

int hakr_plan_produce(struct hakr_plan *p, const struct hakt_rec *r, uint32_t slot, int wide,
                      struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    /* Every record makes one object at most. */
    if (unlikely(r->id == 0 || r->id > p->stats.records + 1 ||
                 (r->id < pl->ids_cap && pl->slot_of[r->id] != 0)))
        return hakr_plan_corrupt(p, err, "it makes an object without a new id", r->id);
    if (unlikely(r->id >= pl->ids_cap) && grow_ids(pl, r->id) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's ids");
    pl->slot_of[r->id] = slot + 1;
    pl->slots[slot] = (struct hakr_slot_info){
        .maker = hakr_place_of(r->thread, p->threads[r->thread].n_words, wide), .size = r->size};
    pl->live += r->size;
    if (pl->live > p->stats.peak_live)
        p->stats.peak_live = pl->live;
    p->stats.allocs++;
    return 0;
}
