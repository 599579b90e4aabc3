#include "tracer/collect_feed.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PUBLISH_EVERY 512 /* records: room is given back in pieces of this */
#define RECORD_LINE   2   /* records of a cache line */

void hakt_feed_begin(struct hakt_feed *f, struct hakt_shm *shm, uint32_t slot) {
    f->slot = &hakt_shm_slots(shm)[slot];
    f->recs = hakt_shm_ring(shm, slot);
    f->mask = shm->ring_bytes / sizeof(struct hakt_shm_rec) - 1;
    f->tid = __atomic_load_n(&f->slot->tid, __ATOMIC_RELAXED);
    f->active = 1;
    f->dead = f->held = f->force = f->paced = 0;
    f->last = f->usual = 0;
    f->cursor = f->tail = f->woken_at = __atomic_load_n(&f->slot->tail, __ATOMIC_RELAXED);
    f->taken->at = f->taken->n = 0;
    f->queue = (struct hakt_queue){0};
    f->origin.depth = 0;
    f->origin.memory.commit = 0;
    f->origin.seen = 0;
}

/* How far apart the unstamped records from number i on are taken to be. Between two stamps of a
 * burst they are spread evenly. Where the next stamp is far away, the program paused before it
 * (ring.h): they follow the last one closely. If there ever was another thread, they do so as well:
 * none may come later than it was (rt/owner.h). That is asked after the next stamp was seen: who
 * comes after that has later stamps. */
static uint64_t unstamped_step(struct hakt_feed *f, uint64_t from, struct hakt_pacing pacing) {
    uint64_t i = from + 1, step = f->usual / 2;
    while (i <= from + HAKT_SHM_PACE_MAX && hakt_feed_is_committed(f, i) &&
           f->recs[i & f->mask].time == 0)
        i++;
    if (i <= from + HAKT_SHM_PACE_MAX && hakt_feed_is_committed(f, i)) {
        uint64_t time = f->recs[i & f->mask].time, span = time - f->last;
        if (time >= f->last && span <= pacing.burst)
            step = f->usual = span / (i - from + 1);
    }
    return __atomic_load_n(pacing.attached, __ATOMIC_ACQUIRE) > 1 ? 1 : step;
}

/* Starts loading the records after the next ones, where the thread is far ahead: its own line must
 * not be taken away from it. */
static void look_ahead(const struct hakt_feed *f) {
    if (!hakt_feed_is_committed(f, f->cursor + 8 * HAKT_TAKEN_MAX))
        return;
    for (uint64_t i = 0; i < HAKT_TAKEN_MAX; i += RECORD_LINE)
        __builtin_prefetch(&f->recs[(f->cursor + 2 * HAKT_TAKEN_MAX + i) & f->mask]);
}

/* Takes up to HAKT_TAKEN_MAX committed records out of the ring. */
static uint32_t take(struct hakt_feed *f, struct hakt_pacing pacing) {
    struct hakt_taken *t = f->taken;
    uint64_t last = f->last;
    uint32_t n = 0;
    look_ahead(f);
    for (; n < HAKT_TAKEN_MAX; n++) {
        uint64_t i = f->cursor + n;
        const struct hakt_shm_rec *rec = &f->recs[i & f->mask];
        uint64_t commit = __atomic_load_n(&rec->commit, __ATOMIC_ACQUIRE);
        if ((uint32_t)commit != (uint32_t)(i + 1))
            break;
        uint64_t time = rec->time;
        unsigned stamped = time != 0;
        if (!stamped) {
            if (!f->paced) {
                f->last = last;
                f->step = unstamped_step(f, i, pacing);
            }
            time = last + f->step;
        }
        f->paced = !stamped;
        t->op[n] = (uint8_t)((commit >> 32 & 0x7f) | stamped * HAKT_STAMPED);
        t->align[n] = (uint8_t)(commit >> 40);
        t->ptr[n] = rec->ptr;
        t->size[n] = rec->size;
        t->time[n] = last = time;
    }
    f->last = last;
    f->cursor += n;
    t->at = 0;
    t->n = n;
    if (f->cursor - f->tail >= PUBLISH_EVERY)
        hakt_feed_give_back(f, f->mask / 4);
    return n;
}

int hakt_feed_refill(struct hakt_feed *f, struct hakt_store *store, struct hakt_pacing pacing) {
    if (f->queue.records > 0) {
        hakt_queue_take(&f->queue, store, f->taken);
        return 1;
    }
    return take(f, pacing) > 0;
}

void hakt_feed_relieve(struct hakt_feed *f, struct hakt_store *store, struct hakt_pacing pacing) {
    struct hakt_taken *kept = f->taken, fresh;
    if (!hakt_feed_is_committed(f, f->cursor + f->mask / 2))
        return;
    fresh.at = fresh.n = 0;
    f->taken = &fresh;
    /* Whatever was taken must have a place: asked for before. */
    while (hakt_queue_reserve(&f->queue, store) == 0 && take(f, pacing) > 0)
        hakt_queue_put(&f->queue, &fresh);
    f->taken = kept;
    if (f->queue.records == 0)
        hakt_queue_clear(&f->queue, store);
    hakt_feed_give_back(f, 1);
}

int hakt_feed_is_empty(const struct hakt_feed *f) {
    return f->taken->at == f->taken->n && f->queue.records == 0 &&
           !hakt_feed_is_committed(f, f->cursor);
}

void hakt_feed_give_back(struct hakt_feed *f, uint64_t enough) {
    if (f->tail != f->cursor) {
        f->tail = f->cursor;
        __atomic_store_n(&f->slot->tail, f->tail, __ATOMIC_SEQ_CST);
    }
    if (f->cursor - f->woken_at < enough ||
        __atomic_load_n(&f->slot->waiting, __ATOMIC_SEQ_CST) == 0)
        return;
    f->woken_at = f->cursor;
    if (__atomic_exchange_n(&f->slot->waiting, 0, __ATOMIC_SEQ_CST) != 0) {
        __atomic_fetch_add(&f->slot->wake, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &f->slot->wake, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    }
}

/* The first committed record behind a hole, if within n; else 0. */
static uint64_t behind_hole(const struct hakt_feed *f, unsigned n) {
    for (uint64_t i = f->cursor + 1; i <= f->cursor + n; i++) {
        if (hakt_feed_is_committed(f, i))
            return i;
    }
    return 0;
}

int hakt_feed_has_hole(const struct hakt_feed *f) {
    return !hakt_feed_is_committed(f, f->cursor) && behind_hole(f, HAKT_HOLE_PEEK) != 0;
}

uint64_t hakt_feed_skip_hole(struct hakt_feed *f) {
    uint64_t next, skipped;
    if (hakt_feed_is_committed(f, f->cursor) || (next = behind_hole(f, HAKT_SHM_SLACK)) == 0)
        return 0;
    skipped = next - f->cursor;
    f->cursor = next;
    return skipped;
}

uint64_t hakt_feed_skip_hole_if_stuck(struct hakt_feed *f) {
    if (__atomic_load_n(&f->slot->waiting, __ATOMIC_RELAXED) == 0 ||
        !hakt_feed_is_committed(f, f->cursor + f->mask - HAKT_SHM_SLACK))
        return 0;
    return hakt_feed_skip_hole(f);
}
