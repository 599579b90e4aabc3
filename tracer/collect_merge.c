#include "tracer/collect_merge.h"

#include <time.h>

#define RELIEVE_EVERY 4096     /* records: some 100 us */
#define HELD_NS_MAX   50000000 /* then a held record is given its due, whatever the others do */
#define HOLE_WAIT_NS  20000000

static uint64_t monotonic_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline struct hakt_pacing pacing(const struct hakt_collect *c) {
    return (struct hakt_pacing){.burst = c->shm->burst, .attached = &c->shm->attach_seq};
}

static inline int has_records(struct hakt_collect *c, struct hakt_feed *f) {
    if (f->taken->at < f->taken->n)
        return 1;
    if (!hakt_feed_refill(f, &c->store, pacing(c)))
        return 0;
    for (uint32_t i = 0; i < f->taken->n; i++)
        hakt_live_prefetch(&c->res.live, f->taken->ptr[i]);
    return 1;
}

static int is_ready(struct hakt_collect *c, struct hakt_feed *f) {
    return has_records(c, f) && hakt_feed_time(f) <= c->cut;
}

static void heap_push(struct hakt_collect *c, struct hakt_feed *f) {
    uint64_t time = hakt_feed_time(f);
    uint32_t i = c->heap_count++;
    while (i > 0 && c->heap[(i - 1) / 2].time > time) {
        c->heap[i] = c->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    c->heap[i] = (struct hakt_heap_entry){time, f};
}

static struct hakt_feed *heap_pop(struct hakt_collect *c) {
    struct hakt_feed *top = c->heap[0].feed;
    struct hakt_heap_entry last = c->heap[--c->heap_count];
    uint32_t i = 0, child;
    while ((child = 2 * i + 1) < c->heap_count) {
        if (child + 1 < c->heap_count && c->heap[child + 1].time < c->heap[child].time)
            child++;
        if (c->heap[child].time >= last.time)
            break;
        c->heap[i] = c->heap[child];
        i = child;
    }
    c->heap[i] = last;
    return top;
}

static void hold(struct hakt_collect *c, struct hakt_feed *f, uint64_t awaited) {
    f->held = 1;
    f->held_at = c->now;
    f->awaited = awaited;
    c->held[c->held_count++] = f;
    c->res.stats.held++;
}

/* Puts a held ring back among the others. */
static void release(struct hakt_collect *c, uint32_t i) {
    struct hakt_feed *f = c->held[i];
    c->held[i] = c->held[--c->held_count];
    f->held = 0;
    heap_push(c, f);
}

/* rec was handled: those who waited for its addresses try again. 1 if there were any. */
static int release_waiters(struct hakt_collect *c, const struct hakt_shm_rec *rec) {
    int any = 0;
    for (uint32_t i = 0; i < c->held_count;) {
        uint64_t a = c->held[i]->awaited;
        if (a == rec->ptr || a == rec->size) { /* size: the old pointer of a failed realloc */
            release(c, i);
            any = 1;
        } else {
            i++;
        }
    }
    return any;
}

/* Handles the next record of a ring, whatever it is. 0: it is held. */
static int handle_one(struct hakt_collect *c, struct hakt_feed *f) {
    struct hakt_taken *t = f->taken;
    unsigned op = t->op[t->at] & ~HAKT_STAMPED, stamped = t->op[t->at] / HAKT_STAMPED;
    struct hakt_shm_rec rec = {.time = t->time[t->at],
                               .ptr = t->ptr[t->at],
                               .size = t->size[t->at],
                               .op = (uint8_t)op,
                               .align_log2 = t->align[t->at]};
    uint64_t awaited;
    if (hakt_resolve(&c->res, &f->origin, &rec, f->force, &awaited)) {
        hold(c, f, awaited);
        return 0;
    }
    f->force = 0;
    c->res.stats.stamped += stamped & (unsigned)hakt_shm_counts(op);
    t->at++;
    if (c->held_count > 0)
        release_waiters(c, &rec);
    return 1;
}

/* Handles a ring's records as long as none of another ring is older. */
static void run_feed(struct hakt_collect *c, struct hakt_feed *f) {
    while (is_ready(c, f)) {
        uint64_t until = c->heap_count > 0 && c->heap[0].time < c->cut ? c->heap[0].time : c->cut;
        uint32_t from = f->taken->at;
        if (hakt_feed_time(f) > until || c->budget <= 0) {
            heap_push(c, f);
            return;
        }
        if (c->held_count == 0 && !f->force)
            hakt_resolve_plain(&c->res, &f->origin, f->taken, until);
        if (f->taken->at == from && !handle_one(c, f))
            return;
        uint32_t handled = f->taken->at - from;
        c->budget -= handled;
        if ((c->unrelieved += handled) >= RELIEVE_EVERY)
            hakt_collect_relieve(c);
    }
}

static void merge(struct hakt_collect *c) {
    while (c->heap_count > 0 && c->budget > 0)
        run_feed(c, heap_pop(c));
    hakt_resolve_flush(&c->res);
}

/* Is there a hole? Then what is not found may still be in there. */
static int hole_in_sight(struct hakt_collect *c) {
    for (uint32_t i = 0; i < c->active_count; i++) {
        if (hakt_feed_has_hole(c->active[i])) {
            uint64_t now = monotonic_ns();
            if (c->hole_since == 0)
                c->hole_since = now;
            return now - c->hole_since < HOLE_WAIT_NS;
        }
    }
    c->hole_since = 0;
    return 0;
}

/* Which held record is to be given its due now: the oldest, once nobody can bring its cause. */
static int pick_forced(struct hakt_collect *c, int final, uint32_t *pick) {
    uint64_t oldest = UINT64_MAX, skew = hakt_clock_span(c->res.clock, HAKT_SKEW_NS);
    uint64_t patience = hakt_clock_span(c->res.clock, HELD_NS_MAX);
    int fresh = 0, overdue = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        struct hakt_feed *f = c->held[i];
        uint64_t time = hakt_feed_time(f);
        fresh |= c->cut < f->held_at + skew;
        overdue |= c->now > f->held_at + patience;
        if (time < oldest) {
            oldest = time;
            *pick = i;
        }
    }
    return c->held_count > 0 && (final || overdue || (!fresh && !hole_in_sight(c)));
}

static void begin_round(struct hakt_collect *c) {
    hakt_collect_find_rings(c);
    c->at_work = 0;
    for (uint32_t i = 0; i < c->active_count; i++) {
        struct hakt_feed *f = c->active[i];
        f->woken_at = f->cursor;
        c->at_work += hakt_feed_is_committed(f, f->cursor);
        if (f->held)
            continue;
        if (is_ready(c, f))
            heap_push(c, f);
        else
            c->lost_holes += hakt_feed_skip_hole_if_stuck(f);
    }
}

uint64_t hakt_collect_merge(struct hakt_collect *c, uint64_t cut, int64_t budget, int final) {
    uint32_t i = 0;
    c->budget = budget;
    if (!c->unfinished) {
        c->cut = cut;
        begin_round(c);
    }
    merge(c);
    c->unfinished = c->heap_count > 0;
    while (!c->unfinished && pick_forced(c, final, &i)) {
        c->held[i]->force = 1;
        release(c, i);
        merge(c);
        c->unfinished = c->heap_count > 0;
    }
    for (i = 0; i < c->active_count; i++)
        hakt_feed_give_back(c->active[i], 1);
    return (uint64_t)(budget - c->budget);
}
