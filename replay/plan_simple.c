/*
 * The records that most traces consist of: malloc of up to HAKR_SIMPLE_MAX bytes, and free of what
 * the same thread made. Which of the two comes next often cannot be guessed, so what they do is
 * chosen by arithmetic, not by a jump: a jump guessed wrong costs as much as planning the record.
 * All else is left to hakr_plan_add, which is the contract: what is planned here is what it would
 * have planned.
 */
#include "replay/plan_int.h"

/* What a run of records changes, kept in registers. */
struct run {
    uint64_t live, peak, allocs;
    double live_sum;
};

/* Fetches what the records to come will need: first the entry of an object, then its slot.
 * (Inlined early: gcc 12 takes a function of nothing but prefetches for one without effect.) */
static inline __attribute__((always_inline)) void look_ahead(const struct hakr_planner *pl,
                                                             const struct hakt_rec *r) {
    uint64_t far = r[2 * HAKR_AHEAD].old_id, near = r[HAKR_AHEAD].old_id;
    if (unlikely(far >= pl->ids_cap || near >= pl->ids_cap))
        return;
    __builtin_prefetch(&pl->slot_of[far], 1);
    uint32_t slot = pl->slot_of[near];
    __builtin_prefetch(&pl->slots[slot - (slot != 0)], 1); /* without a branch to guess */
}

/* Whether thread th's next op needs nothing before it: no room, epoch or time. */
static inline __attribute__((always_inline)) int
is_ready(const struct hakr_plan *p, const struct hakr_plan_thread *th, uint64_t time) {
    const struct hakr_planner *pl = p->planner;
    uint64_t end = th->n_words + WORDS_PER_RECORD;
    if (unlikely(end * 8 > th->present || (end + 1 + HAKR_TAIL_WORDS) * 8 > pl->stride))
        return 0;
    if (p->drift != HAKR_NO_DRIFT && (pl->epoch_left == 0 || th->epoch != pl->epoch))
        return 0;
    if (p->every_time || p->clock_every_ns != 0)
        return time < th->clock_due || (!p->every_time && th->ops < th->clock_due_ops);
    return 1;
}

/* Plans the record if it is simple; returns whether it was. */
static inline __attribute__((always_inline)) int
plan_one(struct hakr_plan *p, const struct hakt_rec *r, uint64_t records, struct run *run) {
    struct hakr_planner *pl = p->planner;
    uint64_t make = r->op == HAKT_MALLOC, mask = -make;
    uint64_t id = (r->id & mask) | (r->old_id & ~mask), size = r->size & mask;
    uint32_t t = r->thread;
    if (unlikely((make | (r->op == HAKT_FREE)) == 0 || (r->flags | r->align_log2) != 0 ||
                 size - make >= HAKR_SIMPLE_MAX || t >= p->n_threads || id == 0 ||
                 id >= pl->ids_cap || id > records + 1))
        return 0;
    struct hakr_plan_thread *th = &p->threads[t];
    struct hakr_free_slots *f = &pl->free[t];
    uint64_t entry = pl->slot_of[id], room = f->n - make;
    if (unlikely((entry == 0) != make || room >= f->cap || !is_ready(p, th, r->time)))
        return 0;
    uint32_t gone = (uint32_t)entry - 1, spare = f->at[room];
    uint32_t slot = gone ^ ((gone ^ spare) & (uint32_t)mask);
    struct hakr_slot_info *s = &pl->slots[slot];
    if (unlikely((make | (hakr_place_thread(s->maker) == t)) == 0))
        return 0;
    f->at[room] = slot;
    f->n = room + 1 - make;
    pl->slot_of[id] = (slot + 1) & (uint32_t)mask;
    uint64_t old = s->size;
    run->live += size - (old & ~mask);
    s->size = size | (old & ~mask);
    s->maker = (hakr_place_of(t, th->n_words, 0) & mask) | (s->maker & ~mask);
    run->peak = run->live > run->peak ? run->live : run->peak;
    run->allocs += make;
    run->live_sum += (double)run->live;
    hakr_put_simple(th,
                    (HAKR_FREE ^ ((HAKR_FREE ^ HAKR_MALLOC) & mask)) | size << HAKR_SIZE_SHIFT |
                        (uint64_t)slot << 32,
                    (int)make);
    th->ops++;
    pl->epoch_left -= p->drift != HAKR_NO_DRIFT;
    return 1;
}

size_t hakr_plan_simple(struct hakr_plan *p, const struct hakt_rec *recs, size_t n) {
    struct hakr_planner *pl = p->planner;
    struct run run = {pl->live, p->stats.peak_live, 0, pl->live_sum};
    uint64_t records = p->stats.records;
    size_t i;
    if (p->drift == 0 || records == 0)
        return 0;
    for (i = 0; i < n; i++) {
        if (i + 2 * HAKR_AHEAD < n)
            look_ahead(pl, recs + i);
        if (!plan_one(p, &recs[i], records + i, &run))
            break;
    }
    if (i == 0)
        return 0;
    p->last_time = recs[i - 1].time;
    p->stats.records += i;
    p->stats.ops += i;
    p->stats.bundled += i;
    p->stats.allocs += run.allocs;
    p->stats.peak_live = run.peak;
    pl->live = run.live;
    pl->live_sum = run.live_sum;
    return i;
}
