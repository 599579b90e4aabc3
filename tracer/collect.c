#include "tracer/collect_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUND_MAX       65536        /* records, then the caller may look after other things */
#define RELIEVE_RINGS   16           /* looked at each time */
#define SHRINK          (256u << 10) /* bytes of a full backlog that are not filled again, a round */
#define LIGHT           1024         /* words of a ring that is as good as empty */
#define PIECES          4            /* of a ring: threads that wait are served in turn */
#define DEFER_NS_MAX    5000000000u  /* a record waits in the backlog no longer than that */
#define CATCH_UP_NS_MAX 1000000000

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

void hakt_collect_find_rings(struct hakt_collect *c) {
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
    hakt_collect_find_rings(c);
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
    uint64_t skew = hakt_clock_span(c->res.clock, HAKT_SKEW_NS);
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
        handled = hakt_collect_merge(c, skewed(c, now), ROUND_MAX, 0);
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
        if (hakt_feed_time(c->held[i]) <= moment)
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
        hakt_collect_merge(c, skewed(c, c->now), INT64_MAX, 0);
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
        hakt_collect_merge(c, UINT64_MAX, INT64_MAX, 1); /* ends a round that was not */
        hakt_collect_merge(c, UINT64_MAX, INT64_MAX, 1);
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
