#include "tracer/collect_resolve.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PUBLISH_EVERY  1024 /* records: room is given back in pieces of this */
#define PREFETCH_AHEAD 16   /* records */
#define HELD_NS_MAX                                                                                \
    50000000           /* a held record is given its due after that, whatever the others do        \
                        */
#define HOLE_PEEK    8 /* records behind an uncommitted one that a handler may have committed */
#define HOLE_WAIT_NS 20000000
/* By how much a stamp may be off: another CPU's counter, and a counter read by a CPU that runs
 * ahead of its loads and stores. */
#define SKEW_NS 2000

/* The collector's view of a slot. */
struct ring {
    uint64_t cursor; /* next index to read */
    uint64_t tail;   /* given back up to here */
    struct hakt_shm_rec *recs;
    struct hakt_shm_slot *slot;
    struct hakt_origin origin;
    uint64_t dropped_before; /* slot->dropped when its last thread ended */
    uint64_t round_start;    /* cursor at the start of the round */
    uint32_t tid;
    uint8_t active, held, force, dead;
    uint8_t paced;    /* step is that of the records up to the next stamp */
    uint64_t last;    /* time of the record before the cursor */
    uint64_t step;    /* between unstamped records */
    uint64_t usual;   /* step of the last burst */
    uint64_t held_at; /* raw time at the start of the round that held it */
    uint64_t awaited; /* address */
};

/* A ring that is ready, by the stamp of its next record. */
struct heap_entry {
    uint64_t time;
    struct ring *ring;
};

struct hakt_collect {
    struct hakt_shm *shm;
    uint64_t mask; /* records of a ring - 1 */
    struct hakt_resolver res;
    struct ring *rings;   /* one for each slot */
    struct ring **active; /* those with a thread */
    uint32_t active_count;
    uint32_t attach_seen;
    struct heap_entry *heap;
    uint32_t heap_count;
    struct ring **held;
    uint32_t held_count;
    uint64_t now;        /* raw time at the start of the round */
    uint64_t cut;        /* stamps up to this are this round's: SKEW_NS before now */
    uint64_t hole_since; /* CLOCK_MONOTONIC ns, 0 = no hole in sight */
    uint64_t lost_holes;
    struct hakt_thread_drops *drops; /* threads that ended and had lost ops */
    size_t drops_count;
};

static uint64_t monotonic_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int hakt_collect_open(struct hakt_collect **out, struct hakt_shm *shm,
                      const struct hakt_clock *clock, struct hakt_collect_sink sink,
                      struct hakc_err *err) {
    struct hakt_collect *c = calloc(1, sizeof(*c));
    uint32_t n = shm->slot_count;
    int rc;

    *out = NULL;
    if (c == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the collector");
    c->shm = shm;
    c->mask = shm->ring_bytes / sizeof(struct hakt_shm_rec) - 1;
    c->rings = calloc(n, sizeof(*c->rings));
    c->active = calloc(n, sizeof(struct ring *));
    c->held = calloc(n, sizeof(struct ring *));
    c->heap = calloc(n, sizeof(*c->heap));
    if (c->rings == NULL || c->active == NULL || c->held == NULL || c->heap == NULL)
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for %u rings", n);
    else
        rc = hakt_resolver_init(&c->res, clock, sink, err);
    if (rc != 0)
        hakt_collect_close(c);
    else
        *out = c;
    return rc;
}

void hakt_collect_close(struct hakt_collect *c) {
    if (c == NULL)
        return;
    hakt_resolver_fini(&c->res);
    free(c->rings);
    free(c->active);
    free(c->held);
    free(c->heap);
    free(c->drops);
    free(c);
}

/* ---- rings -------------------------------------------------------------------------------- */

static inline struct hakt_shm_rec *record_at(const struct hakt_collect *c, const struct ring *r,
                                             uint64_t index) {
    return &r->recs[index & c->mask];
}

static inline int is_committed(const struct hakt_collect *c, const struct ring *r, uint64_t index) {
    return (uint32_t)__atomic_load_n(&record_at(c, r, index)->commit, __ATOMIC_ACQUIRE) ==
           (uint32_t)(index + 1);
}

/* How far apart the unstamped records from the cursor on are taken to be. Between two stamps of a
 * burst they are spread evenly. Where the next stamp is far away, the program paused before it
 * (ring.h): they follow the last one closely. With other threads about, they do so as well: the
 * first of these may have been started after them, and no stamp of its may lie before them. */
static uint64_t unstamped_step(const struct hakt_collect *c, struct ring *r) {
    if (c->active_count > 1)
        return 1;
    for (uint64_t i = r->cursor + 1; i <= r->cursor + HAKT_SHM_PACE_MAX; i++) {
        if (!is_committed(c, r, i))
            return r->usual / 2;
        uint64_t time = record_at(c, r, i)->time;
        if (time == 0)
            continue;
        uint64_t span = time - r->last;
        if (time < r->last || span > c->shm->burst)
            return r->usual / 2;
        return r->usual = span / (i - r->cursor + 1);
    }
    return r->usual / 2;
}

/* The raw time of the record at the cursor, which is committed. */
static inline uint64_t time_of(const struct hakt_collect *c, struct ring *r) {
    uint64_t time = record_at(c, r, r->cursor)->time;
    if (time != 0)
        return time;
    if (!r->paced) {
        r->step = unstamped_step(c, r);
        r->paced = 1;
    }
    return r->last + r->step;
}

/* Steps over the record at the cursor. */
static inline void advance(struct hakt_collect *c, struct ring *r, uint64_t time) {
    const struct hakt_shm_rec *rec = record_at(c, r, r->cursor);
    unsigned op = rec->commit >> 32 & 0xff;
    r->paced = rec->time == 0;
    c->res.stats.stamped += !r->paced & (op < HAKT_SHM_REALLOC_BEGIN || op == HAKT_SHM_REALLOC_END);
    r->last = time;
    r->cursor++;
}

static inline int is_ready(const struct hakt_collect *c, struct ring *r, uint64_t *time) {
    if (!is_committed(c, r, r->cursor))
        return 0;
    *time = time_of(c, r);
    return *time <= c->cut;
}

static void wake_waiter(struct ring *r) {
    if (__atomic_exchange_n(&r->slot->waiting, 0, __ATOMIC_SEQ_CST) != 0) {
        __atomic_fetch_add(&r->slot->wake, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &r->slot->wake, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    }
}

/* Gives the room below the cursor back. A thread that sleeps for room is woken once there is enough
 * to be worth it, `enough` records, so that it and the collector work at the same time. */
static void give_back(struct ring *r, uint64_t enough) {
    if (r->tail != r->cursor) {
        r->tail = r->cursor;
        __atomic_store_n(&r->slot->tail, r->tail, __ATOMIC_SEQ_CST);
    }
    if (r->cursor - r->round_start >= enough &&
        __atomic_load_n(&r->slot->waiting, __ATOMIC_SEQ_CST) != 0)
        wake_waiter(r);
}

/* The first committed record behind a hole, if within n; else 0. */
static uint64_t behind_hole(const struct hakt_collect *c, const struct ring *r, unsigned n) {
    for (uint64_t i = r->cursor + 1; i <= r->cursor + n; i++) {
        if (is_committed(c, r, i))
            return i;
    }
    return 0;
}

/* Steps over records that will never be committed: reserved by a thread that died in the middle,
 * or that a handler left by longjmp. 1 if it did. */
static int skip_hole(struct hakt_collect *c, struct ring *r) {
    uint64_t next;
    if (is_committed(c, r, r->cursor) || (next = behind_hole(c, r, HAKT_SHM_SLACK)) == 0)
        return 0;
    c->lost_holes += next - r->cursor;
    r->cursor = next;
    return 1;
}

/* A thread that waits, with everything reserved that it can reserve, and the first record not
 * committed: it sits in a handler above that record, or has left it for good. */
static void skip_hole_if_stuck(struct hakt_collect *c, struct ring *r) {
    if (__atomic_load_n(&r->slot->waiting, __ATOMIC_RELAXED) != 0 &&
        is_committed(c, r, r->cursor + c->mask - HAKT_SHM_SLACK))
        skip_hole(c, r);
}

static void activate(struct hakt_collect *c, uint32_t number) {
    struct ring *r = &c->rings[number];
    uint32_t tid = __atomic_load_n(&r->slot->tid, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < c->active_count; i++) {
        if (c->active[i]->tid == tid) /* the kernel gave the number to a new thread */
            c->active[i]->dead = 1;
    }
    r->tid = tid;
    r->active = 1;
    r->dead = r->held = r->force = r->paced = 0;
    r->last = r->usual = 0;
    r->cursor = r->tail = __atomic_load_n(&r->slot->tail, __ATOMIC_RELAXED);
    r->origin.depth = 0;
    r->origin.memory.commit = 0;
    r->origin.seen = 0;
    c->active[c->active_count++] = r;
}

/* Takes notice of slots that threads have taken since the last round. */
static void find_new_rings(struct hakt_collect *c) {
    struct hakt_shm_slot *slots = hakt_shm_slots(c->shm);
    uint32_t seq = __atomic_load_n(&c->shm->attach_seq, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < c->shm->slot_count && c->attach_seen != seq; i++) {
        if (c->rings[i].active ||
            __atomic_load_n(&slots[i].state, __ATOMIC_ACQUIRE) != HAKT_SLOT_ATTACHED)
            continue;
        c->rings[i].slot = &slots[i];
        c->rings[i].recs = hakt_shm_ring(c->shm, i);
        activate(c, i);
        c->attach_seen++;
    }
}

/* ---- the merge ---------------------------------------------------------------------------- */

static void heap_push(struct hakt_collect *c, struct ring *r) {
    uint64_t time = time_of(c, r);
    uint32_t i = c->heap_count++;
    while (i > 0 && c->heap[(i - 1) / 2].time > time) {
        c->heap[i] = c->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    c->heap[i] = (struct heap_entry){time, r};
}

static struct ring *heap_pop(struct hakt_collect *c) {
    struct ring *top = c->heap[0].ring;
    struct heap_entry last = c->heap[--c->heap_count];
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

static void hold(struct hakt_collect *c, struct ring *r, uint64_t awaited) {
    r->held = 1;
    r->held_at = c->now;
    r->awaited = awaited;
    c->held[c->held_count++] = r;
    c->res.stats.held++;
}

/* Puts a held ring back among the others. */
static void release(struct hakt_collect *c, uint32_t i) {
    struct ring *r = c->held[i];
    c->held[i] = c->held[--c->held_count];
    r->held = 0;
    heap_push(c, r);
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

static inline int resolve(struct hakt_collect *c, struct ring *r, const struct hakt_shm_rec *rec,
                          uint64_t *awaited) {
    switch (rec->commit >> 32 & 0xff) {
    case HAKT_SHM_MALLOC:
        return hakt_resolve_malloc(&c->res, &r->origin, rec, r->force, awaited);
    case HAKT_SHM_FREE:
        return hakt_resolve_free(&c->res, &r->origin, rec, r->force, awaited);
    default:
        return hakt_resolve(&c->res, &r->origin, rec, r->force, awaited);
    }
}

/* Handles a ring's records as long as none of another ring is older. */
static uint64_t run_ring(struct hakt_collect *c, struct ring *r) {
    uint64_t start = r->cursor, awaited, time;
    uint64_t until = c->heap_count > 0 ? c->heap[0].time : UINT64_MAX;

    while (is_ready(c, r, &time)) {
        if (time > until) {
            heap_push(c, r);
            break;
        }
        struct hakt_shm_rec rec = *record_at(c, r, r->cursor);
        rec.time = time;
        hakt_live_prefetch(
            &c->res.live,
            __atomic_load_n(&record_at(c, r, r->cursor + PREFETCH_AHEAD)->ptr, __ATOMIC_RELAXED));
        if (resolve(c, r, &rec, &awaited)) {
            hold(c, r, awaited);
            break;
        }
        r->force = 0;
        advance(c, r, time);
        if (c->held_count > 0 && release_waiters(c, &rec))
            until = c->heap[0].time;
        if (r->cursor - r->tail >= PUBLISH_EVERY)
            give_back(r, c->mask / 4);
    }
    return r->cursor - start;
}

static uint64_t merge(struct hakt_collect *c) {
    uint64_t handled = 0;
    while (c->heap_count > 0)
        handled += run_ring(c, heap_pop(c));
    return handled;
}

/* Is there a record that a handler has committed behind one that the thread below it has not? Then
 * what is not found may still be in there. */
static int hole_in_sight(struct hakt_collect *c) {
    for (uint32_t i = 0; i < c->active_count; i++) {
        struct ring *r = c->active[i];
        if (!r->held && !is_committed(c, r, r->cursor) && behind_hole(c, r, HOLE_PEEK) != 0) {
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
    uint64_t oldest = UINT64_MAX, skew = hakt_clock_span(c->res.clock, SKEW_NS);
    uint64_t patience = hakt_clock_span(c->res.clock, HELD_NS_MAX);
    int fresh = 0, overdue = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        struct ring *r = c->held[i];
        uint64_t time = time_of(c, r);
        fresh |= c->cut < r->held_at + skew;
        overdue |= c->now > r->held_at + patience;
        if (time < oldest) {
            oldest = time;
            *pick = i;
        }
    }
    return c->held_count > 0 && (final || overdue || (!fresh && !hole_in_sight(c)));
}

static uint64_t round_up_to(struct hakt_collect *c, uint64_t cut, int final, int *more) {
    uint64_t handled, time;
    uint32_t i;

    __atomic_fetch_add(&c->shm->heartbeat, 1, __ATOMIC_RELAXED);
    c->cut = cut;
    find_new_rings(c);
    for (i = 0; i < c->active_count; i++) {
        struct ring *r = c->active[i];
        r->round_start = r->cursor;
        if (!r->held && is_ready(c, r, &time))
            heap_push(c, r);
        else if (!r->held)
            skip_hole_if_stuck(c, r);
    }
    handled = merge(c);
    while (pick_forced(c, final, &i)) {
        c->held[i]->force = 1;
        release(c, i);
        handled += merge(c);
    }
    for (i = 0; i < c->active_count; i++)
        give_back(c->active[i], 1);
    if (more != NULL)
        *more = c->held_count > 0 || handled > c->mask / 8;
    return handled;
}

uint64_t hakt_collect_round(struct hakt_collect *c, int *more) {
    uint64_t now = hakt_clock_now(c->res.clock), skew = hakt_clock_span(c->res.clock, SKEW_NS);
    c->now = now;
    return round_up_to(c, now > skew ? now - skew : 0, 0, more);
}

void hakt_collect_rotate(struct hakt_collect *c, struct hakt_collect_sink sink) {
    struct hakt_resolver *r = &c->res;
    r->sink = sink;
    r->id_base = r->next_id - 1;
    r->ns_base = r->last_ns;
    r->next_thread = 0;
    r->stats.stamped = 0;
    for (uint32_t i = 0; i < c->active_count; i++)
        c->active[i]->origin.seen = 0;
}

uint64_t hakt_collect_origin_ns(const struct hakt_collect *c) {
    return c->res.ns_base;
}

uint64_t hakt_collect_last_ns(const struct hakt_collect *c) {
    return c->res.last_ns - c->res.ns_base;
}

/* ---- ends --------------------------------------------------------------------------------- */

/* Keeps how many ops a thread lost. Without memory for it the total is still right. */
static void note_drops(struct hakt_collect *c, struct ring *r) {
    uint64_t now = __atomic_load_n(&r->slot->dropped, __ATOMIC_RELAXED);
    uint64_t lost = now - r->dropped_before;
    r->dropped_before = now;
    if (lost == 0 || !r->origin.seen)
        return;
    struct hakt_thread_drops *more = realloc(c->drops, (c->drops_count + 1) * sizeof(*c->drops));
    if (more == NULL)
        return;
    c->drops = more;
    c->drops[c->drops_count++] = (struct hakt_thread_drops){r->origin.number, lost};
}

static void retire(struct hakt_collect *c, uint32_t i) {
    struct ring *r = c->active[i];
    uint32_t number = (uint32_t)(r - c->rings);
    c->active[i] = c->active[--c->active_count];
    note_drops(c, r);
    hakt_resolve_thread_end(&c->res, &r->origin);
    give_back(r, UINT64_MAX);
    r->active = 0;
    __atomic_store_n(&r->slot->state, HAKT_SLOT_FREE, __ATOMIC_RELEASE);
    if (number < c->shm->slot_hint)
        __atomic_store_n(&c->shm->slot_hint, number, __ATOMIC_RELAXED);
}

void hakt_collect_reap(struct hakt_collect *c, pid_t pid) {
    __atomic_store_n(&c->shm->want_slot, 0, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < c->active_count;) {
        struct ring *r = c->active[i];
        if (!r->dead && syscall(SYS_tgkill, pid, r->tid, 0) != 0 && errno == ESRCH)
            r->dead = 1;
        /* Looked at after the thread's death: nothing more can come. */
        if (r->dead && !r->held && !is_committed(c, r, r->cursor) && !skip_hole(c, r))
            retire(c, i);
        else
            i++;
    }
}

void hakt_collect_finish(struct hakt_collect *c) {
    int skipped;
    do {
        skipped = 0;
        round_up_to(c, UINT64_MAX, 1, NULL);
        for (uint32_t i = 0; i < c->active_count; i++)
            skipped |= skip_hole(c, c->active[i]);
    } while (skipped);
    while (c->active_count > 0)
        retire(c, 0);
}

void hakt_collect_get_stats(const struct hakt_collect *c, struct hakt_collect_stats *stats) {
    *stats = c->res.stats;
    stats->dropped_full = 0;
    for (uint32_t i = 0; i < c->shm->slot_count; i++)
        stats->dropped_full +=
            __atomic_load_n(&hakt_shm_slots(c->shm)[i].dropped, __ATOMIC_RELAXED);
    stats->drops = c->drops;
    stats->drops_count = c->drops_count;
    stats->unserved_threads = __atomic_load_n(&c->shm->threads_unserved, __ATOMIC_RELAXED);
    stats->dropped = stats->dropped_full + c->lost_holes +
                     __atomic_load_n(&c->shm->ops_unserved, __ATOMIC_RELAXED);
}

int hakt_collect_failed(const struct hakt_collect *c, struct hakc_err *err) {
    if (c->res.err.code != 0 && err != NULL)
        *err = c->res.err;
    return c->res.err.code;
}
