#include "tracer/collect_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MAX     65536        /* records, then the caller may look after other things */
#define RELIEVE_EVERY 4096         /* records: some 100 us */
#define RELIEVE_RINGS 16           /* looked at each time */
#define SHRINK        (256u << 10) /* bytes of a full backlog that are not filled again, a round */
#define LIGHT         1024         /* words of a ring that is as good as empty */
#define PIECES        4            /* of a ring: threads that wait are served in turn */
#define DEFER_NS_MAX  5000000000u  /* a record waits in the backlog no longer than that */
#define HELD_NS_MAX                                                                                \
    50000000 /* a held record is given its due after that, whatever the others do                  \
              */
#define HOLE_WAIT_NS    20000000
#define CATCH_UP_NS_MAX 1000000000
/* By how much a stamp may be off: another CPU's counter, and a counter read by a CPU that runs
 * ahead of its loads and stores. */
#define SKEW_NS 2000

/* A ring that is ready, by the stamp of its next record. */
struct heap_entry {
    uint64_t time;
    struct hakt_feed *feed;
};

struct hakt_collect {
    struct hakt_shm *shm;
    struct hakt_resolver res;
    struct hakt_store store;
    struct hakt_feed *feeds;   /* one for each slot */
    struct hakt_feed **active; /* those with a thread */
    uint32_t active_count;
    uint32_t relieve_next; /* of these */
    uint32_t attach_seen;
    struct heap_entry *heap;
    uint32_t heap_count;
    struct hakt_feed **held;
    uint32_t held_count;
    int unfinished;      /* the round goes on at the next call */
    uint32_t at_work;    /* rings that had records when the last round began */
    int busy;            /* see hakt_collect_set_busy */
    int outrun;          /* the backlog was full or old: nothing is put off, until we are level */
    uint64_t level_at;   /* raw time when nothing was in the backlog */
    int64_t budget;      /* records left of this call's; a block may go beyond */
    uint64_t unrelieved; /* records since all rings that fill up were relieved */
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
                      uint64_t backlog, struct hakc_err *err) {
    struct hakt_collect *c = calloc(1, sizeof(*c));
    uint32_t n = shm->slot_count;
    int rc;

    *out = NULL;
    if (c == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the collector");
    c->shm = shm;
    hakt_store_init(&c->store, backlog);
    c->feeds = calloc(n, sizeof(*c->feeds));
    c->active = calloc(n, sizeof(struct hakt_feed *));
    c->held = calloc(n, sizeof(struct hakt_feed *));
    c->heap = calloc(n, sizeof(*c->heap));
    if (c->feeds == NULL || c->active == NULL || c->held == NULL || c->heap == NULL)
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
    hakt_store_fini(&c->store);
    for (uint32_t i = 0; c->feeds != NULL && i < c->shm->slot_count; i++)
        free(c->feeds[i].taken);
    free(c->feeds);
    free(c->active);
    free(c->held);
    free(c->heap);
    free(c->drops);
    free(c);
}

/* ---- rings -------------------------------------------------------------------------------- */

static inline uint64_t ring_words(const struct hakt_collect *c) {
    return c->shm->ring_bytes / sizeof(uint64_t);
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

static inline uint64_t next_time(const struct hakt_feed *f) {
    return f->taken->time[f->taken->at];
}

static int is_ready(struct hakt_collect *c, struct hakt_feed *f) {
    return has_records(c, f) && next_time(f) <= c->cut;
}

/* Takes what a ring holds into the backlog, if it is at least half full, as far as there is room.
 */
static void relieve(struct hakt_collect *c, struct hakt_feed *f) {
    if (hakt_feed_reaches(f, f->cursor + f->mask / 2))
        hakt_feed_drain(f, &c->store, ring_words(c), &c->outrun);
}

void hakt_collect_relieve(void *collect) {
    struct hakt_collect *c = collect;
    uint32_t n = c->active_count < RELIEVE_RINGS ? c->active_count : RELIEVE_RINGS;
    __atomic_fetch_add(&c->shm->heartbeat, 1, __ATOMIC_RELAXED);
    for (uint32_t k = 0; k < n; k++)
        relieve(c, c->active[c->relieve_next++ % c->active_count]);
    c->unrelieved = 0;
}

/* 1, or 0: there is no memory for it, and its thread will wait. */
static int activate(struct hakt_collect *c, uint32_t number) {
    struct hakt_feed *f = &c->feeds[number];
    if (f->taken == NULL && (f->taken = malloc(sizeof(*f->taken))) == NULL)
        return 0;
    hakt_feed_begin(f, c->shm, number);
    for (uint32_t i = 0; i < c->active_count; i++) {
        if (c->active[i]->tid == f->tid) /* the kernel gave the number to a new thread */
            c->active[i]->dead = 1;
    }
    c->active[c->active_count++] = f;
    return 1;
}

/* Takes notice of slots that threads have taken since the last round. Whoever takes one meanwhile
 * may be found too, and is counted by then: as many as are counted now are all. */
static void find_new_rings(struct hakt_collect *c) {
    struct hakt_shm_slot *slots = hakt_shm_slots(c->shm);
    const uint32_t *seq = &c->shm->attach_seq;
    for (uint32_t i = 0; i < c->shm->slot_count; i++) {
        if (c->attach_seen == __atomic_load_n(seq, __ATOMIC_ACQUIRE))
            return;
        if (!c->feeds[i].active &&
            __atomic_load_n(&slots[i].state, __ATOMIC_ACQUIRE) == HAKT_SLOT_ATTACHED)
            c->attach_seen += (uint32_t)activate(c, i);
    }
}

/* ---- the merge ---------------------------------------------------------------------------- */

static void heap_push(struct hakt_collect *c, struct hakt_feed *f) {
    uint64_t time = next_time(f);
    uint32_t i = c->heap_count++;
    while (i > 0 && c->heap[(i - 1) / 2].time > time) {
        c->heap[i] = c->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    c->heap[i] = (struct heap_entry){time, f};
}

static struct hakt_feed *heap_pop(struct hakt_collect *c) {
    struct hakt_feed *top = c->heap[0].feed;
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
        if (next_time(f) > until || c->budget <= 0) {
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
    uint64_t oldest = UINT64_MAX, skew = hakt_clock_span(c->res.clock, SKEW_NS);
    uint64_t patience = hakt_clock_span(c->res.clock, HELD_NS_MAX);
    int fresh = 0, overdue = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        struct hakt_feed *f = c->held[i];
        uint64_t time = next_time(f);
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
    find_new_rings(c);
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

/* Begins a round up to `cut`, or goes on with one, as far as the budget goes. */
static uint64_t work(struct hakt_collect *c, uint64_t cut, int64_t budget, int final) {
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

/* ---- rounds ------------------------------------------------------------------------------- */

/* Is nothing in the backlog? */
static int is_level(const struct hakt_collect *c) {
    for (uint32_t i = 0; i < c->active_count; i++) {
        if (!hakt_queue_is_empty(&c->active[i]->queue))
            return 0;
    }
    return !c->unfinished;
}

static int is_light(const struct hakt_collect *c) {
    for (uint32_t i = 0; i < c->active_count; i++) {
        if (hakt_feed_reaches(c->active[i], c->active[i]->cursor + LIGHT))
            return 0;
    }
    return 1;
}

/* What is to come of the backlog. Once it is too small for what the program does, records had
 * better not go through it at all: it is not filled again, until the program makes a pause. */
static void look_at_backlog(struct hakt_collect *c, uint64_t now) {
    if (is_level(c)) {
        c->level_at = now;
        if (c->outrun && !c->busy && is_light(c))
            c->outrun = 0;
    } else if (now - c->level_at > hakt_clock_span(c->res.clock, DEFER_NS_MAX)) {
        c->outrun = 1;
    }
    if (!c->outrun)
        c->store.limit = c->store.limit_max;
    else
        c->store.limit = c->store.bytes > SHRINK ? c->store.bytes - SHRINK : 0;
}

/* A dead thread's slot is free for others once its records are out of the way. */
static int may_defer(const struct hakt_collect *c) {
    return c->busy && !c->outrun && c->active_count <= c->shm->slot_count / 2;
}

/* A round that puts all off. */
static uint64_t put_off(struct hakt_collect *c, uint64_t now) {
    uint64_t handled = 0;
    find_new_rings(c);
    c->at_work = 0;
    for (uint32_t i = 0; i < c->active_count; i++) {
        struct hakt_feed *f = c->active[i];
        f->woken_at = f->cursor;
        f->held_at = now; /* whoever waits was not looked at meanwhile */
        if (hakt_feed_is_committed(f, f->cursor))
            c->at_work++;
        else
            c->lost_holes += hakt_feed_skip_hole_if_stuck(f);
    }
    for (unsigned piece = 0; piece < PIECES; piece++) {
        for (uint32_t i = 0; i < c->active_count; i++)
            handled += hakt_feed_drain(c->active[i], &c->store, ring_words(c) / PIECES, &c->outrun);
    }
    return handled;
}

static uint64_t skewed(const struct hakt_collect *c, uint64_t now) {
    uint64_t skew = hakt_clock_span(c->res.clock, SKEW_NS);
    return now > skew ? now - skew : 0;
}

uint64_t hakt_collect_round(struct hakt_collect *c, int *more) {
    uint64_t now = hakt_clock_now(c->res.clock), handled;
    int again = 0;
    __atomic_fetch_add(&c->shm->heartbeat, 1, __ATOMIC_RELAXED);
    look_at_backlog(c, now);
    if (may_defer(c)) {
        handled = put_off(c, now);
    } else {
        if (!c->unfinished)
            c->now = now;
        handled = work(c, skewed(c, now), ROUND_MAX, 0);
        again = c->unfinished || c->held_count > 0 || handled > ring_words(c) / 16;
    }
    if (more != NULL)
        *more = again;
    return handled;
}

void hakt_collect_set_busy(struct hakt_collect *c, int busy) {
    c->busy = busy;
}

int hakt_collect_puts_off(const struct hakt_collect *c) {
    return may_defer(c);
}

uint32_t hakt_collect_at_work(const struct hakt_collect *c) {
    return c->at_work;
}

uint32_t hakt_collect_waiting(const struct hakt_collect *c) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->active_count; i++)
        n += __atomic_load_n(&c->active[i]->slot->waiting, __ATOMIC_RELAXED) != 0;
    return n;
}

static int is_caught_up(const struct hakt_collect *c, uint64_t moment) {
    for (uint32_t i = 0; i < c->held_count; i++) {
        if (next_time(c->held[i]) <= moment)
            return 0;
    }
    return !c->unfinished && c->cut >= moment;
}

/* Each free of an object that is not known is held for a moment, and all of its thread's records
 * stand behind it: that takes rounds. */
void hakt_collect_catch_up(struct hakt_collect *c) {
    uint64_t begin = hakt_clock_now(c->res.clock), patience;
    patience = hakt_clock_span(c->res.clock, CATCH_UP_NS_MAX);
    do {
        c->now = hakt_clock_now(c->res.clock);
        work(c, skewed(c, c->now), INT64_MAX, 0);
    } while (!is_caught_up(c, begin) && c->now - begin < patience);
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
static void note_drops(struct hakt_collect *c, struct hakt_feed *f) {
    uint64_t now = __atomic_load_n(&f->slot->dropped, __ATOMIC_RELAXED);
    uint64_t lost = now - f->dropped_before;
    f->dropped_before = now;
    if (lost == 0 || !f->origin.seen)
        return;
    struct hakt_thread_drops *more = realloc(c->drops, (c->drops_count + 1) * sizeof(*c->drops));
    if (more == NULL)
        return;
    c->drops = more;
    c->drops[c->drops_count++] = (struct hakt_thread_drops){f->origin.number, lost};
}

static uint64_t skip_hole(struct hakt_collect *c, struct hakt_feed *f) {
    uint64_t skipped = hakt_feed_skip_hole(f);
    c->lost_holes += skipped;
    return skipped;
}

static void retire(struct hakt_collect *c, uint32_t i) {
    struct hakt_feed *f = c->active[i];
    uint32_t number = (uint32_t)(f - c->feeds);
    c->active[i] = c->active[--c->active_count];
    note_drops(c, f);
    hakt_queue_clear(&f->queue, &c->store);
    hakt_resolve_thread_end(&c->res, &f->origin);
    hakt_feed_give_back(f, UINT64_MAX);
    f->active = 0;
    __atomic_store_n(&f->slot->state, HAKT_SLOT_FREE, __ATOMIC_RELEASE);
    if (number < c->shm->slot_hint)
        __atomic_store_n(&c->shm->slot_hint, number, __ATOMIC_RELAXED);
}

void hakt_collect_reap(struct hakt_collect *c, pid_t pid) {
    if (__atomic_exchange_n(&c->shm->want_slot, 0, __ATOMIC_RELAXED) != 0)
        c->outrun = 1;
    hakt_store_trim(&c->store);
    for (uint32_t i = 0; i < c->active_count;) {
        struct hakt_feed *f = c->active[i];
        if (!f->dead && syscall(SYS_tgkill, pid, f->tid, 0) != 0 && errno == ESRCH)
            f->dead = 1;
        /* Looked at after the thread's death: nothing more can come. */
        if (f->dead && !f->held && hakt_feed_is_empty(f) && !skip_hole(c, f))
            retire(c, i);
        else
            i++;
    }
}

void hakt_collect_finish(struct hakt_collect *c) {
    uint64_t skipped;
    do {
        skipped = 0;
        work(c, UINT64_MAX, INT64_MAX, 1); /* ends a round that was not */
        work(c, UINT64_MAX, INT64_MAX, 1);
        for (uint32_t i = 0; i < c->active_count; i++)
            skipped += skip_hole(c, c->active[i]);
    } while (skipped > 0);
    while (c->active_count > 0)
        retire(c, 0);
}

void hakt_collect_get_stats(const struct hakt_collect *c, struct hakt_collect_stats *stats) {
    *stats = c->res.stats;
    stats->backlog = c->store.bytes;
    stats->backlog_peak = c->store.peak;
    stats->dropped_full = 0;
    stats->taken = 0;
    for (uint32_t i = 0; i < c->shm->slot_count; i++) {
        stats->taken += c->feeds[i].ops;
        stats->dropped_full +=
            __atomic_load_n(&hakt_shm_slots(c->shm)[i].dropped, __ATOMIC_RELAXED);
    }
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
