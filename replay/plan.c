#include "replay/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/map.h"

/* Words that one record may need at most: epoch, time, two waits, and the op (2). */
#define WORDS_PER_RECORD 6
#define IDS_LEAST        (UINT64_C(1) << 16)
#define AHEAD            16u
#define POPULATE_MOST    (UINT64_C(1) << 20)
#define CLOCK_OPS        8                   /* between two times: 2 bytes an op */
#define PLAN_SPACE       (UINT64_C(1) << 45) /* address space for all streams: 32 TiB */
#define PAGE             UINT64_C(4096)

/* Who made the object that lives in a slot, and where in its maker's stream. */
struct slot_info {
    uint64_t word; /* index of the producing word */
    uint64_t end;  /* position after it */
    uint64_t size;
    uint32_t thread;
};

struct free_slots {
    uint32_t *at;
    size_t n, cap;
};

struct hakr_planner {
    uint64_t stride; /* bytes of address space a stream */
    /* By allocation id: the slot of a live object, plus 1; 0 = not live. An array, because ids are
     * dense and ascend: 4 bytes an allocation, and most objects die while their entry is cached. */
    uint32_t *slot_of;
    uint64_t ids_cap;
    struct hakc_map known; /* (consumer, producer) -> the position already waited for */
    struct slot_info *slots;
    size_t slots_cap;
    struct free_slots *free; /* by thread */
    size_t threads_cap;
    uint64_t live;
    double live_sum;
    uint64_t epoch, epoch_left; /* drift: the epoch of the records now, and how many it lacks */
    size_t epochs_cap;
    struct slot_info last; /* drift 0: the op before in the recorded order; end 0 = none */
};

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
    p->fd = memfd_create("hakreplay-plan", MFD_CLOEXEC);
    if (p->fd < 0) {
        hakr_plan_free(p);
        return hakc_fail_errno(err, HAKC_EIO, "memfd_create for the plan");
    }
    return 0;
}

/* Makes room for threads up to t. */
static int grow_threads(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (t >= HAKR_MAX_THREADS)
        return hakc_fail(err, HAKC_EUNSUPPORTED,
                         "thread %u: more than %u threads cannot be replayed", t, HAKR_MAX_THREADS);
    if (t >= pl->threads_cap) {
        size_t cap = pl->threads_cap ? pl->threads_cap : 8;
        while (cap <= t)
            cap *= 2;
        void *a = realloc(p->threads, cap * sizeof *p->threads);
        if (a != NULL)
            p->threads = a;
        void *b = realloc(pl->free, cap * sizeof *pl->free);
        if (b != NULL)
            pl->free = b;
        if (a == NULL || b == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
        memset(p->threads + pl->threads_cap, 0, (cap - pl->threads_cap) * sizeof *p->threads);
        memset(pl->free + pl->threads_cap, 0, (cap - pl->threads_cap) * sizeof *pl->free);
        pl->threads_cap = cap;
    }
    if (t >= p->n_threads)
        p->n_threads = t + 1;
    return 0;
}

static int open_stream(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    if (t >= p->n_threads) {
        int rc = grow_threads(p, t, err);
        if (rc != 0)
            return rc;
    }
    struct hakr_plan_thread *th = &p->threads[t];
    if (th->words != NULL)
        return 0;
    uint64_t stride = p->planner->stride;
    th->offset = t * stride;
    if (ftruncate(p->fd, (off_t)(p->n_threads * stride)) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "size of the plan's memfd");
    void *m = mmap(NULL, stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->fd,
                   (off_t)th->offset);
    if (m == MAP_FAILED)
        return hakc_fail_errno(err, HAKC_ENOMEM, "map the plan of thread %u", t);
    th->words = m;
    th->seen = 1;
    th->epoch = HAKR_NO_EPOCH;
    return 0;
}

/* Makes the stream's next pages present in one call: a fault each would cost more than planning. */
static void populate(struct hakr_plan_thread *t, uint64_t stride) {
    uint64_t used = t->n_words * 8, more = used < POPULATE_MOST ? used + PAGE : POPULATE_MOST;
    uint64_t from = t->present, to = (used + more + PAGE) & ~(PAGE - 1);
    to = to < stride ? to : stride;
    t->present = to;
    madvise((char *)t->words + from, to - from,
            MADV_POPULATE_WRITE); /* fails: they fault one by one */
}

static int room(struct hakr_plan *p, struct hakr_plan_thread *t, struct hakc_err *err) {
    if ((t->n_words + WORDS_PER_RECORD) * 8 > t->present)
        populate(t, p->planner->stride);
    if ((t->n_words + WORDS_PER_RECORD + 1 + HAKR_TAIL_WORDS) * 8 <= p->planner->stride)
        return 0;
    return hakc_fail(err, HAKC_EINTERNAL, "the trace has more records than it says");
}

/* A slot for a new object of thread t. */
static int take_slot(struct hakr_plan *p, uint32_t t, uint32_t *slot, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    struct free_slots *f = &pl->free[t];
    if (f->n > 0) {
        *slot = f->at[--f->n];
        return 0;
    }
    if (p->n_slots == UINT32_MAX)
        return hakc_fail(err, HAKC_EUNSUPPORTED, "more than 4G objects live at once");
    if (p->n_slots == pl->slots_cap) {
        size_t cap = pl->slots_cap ? pl->slots_cap * 2 : 1024;
        void *a = realloc(pl->slots, cap * sizeof *pl->slots);
        if (a == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's slots");
        pl->slots = a;
        pl->slots_cap = cap;
    }
    *slot = (uint32_t)p->n_slots++;
    return 0;
}

static int give_slot(struct hakr_plan *p, uint32_t t, uint32_t slot, struct hakc_err *err) {
    struct free_slots *f = &p->planner->free[t];
    if (f->n == f->cap) {
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

static void put_word(struct hakr_plan_thread *th, uint64_t word) {
    th->words[th->n_words++] = word;
}

/* Makes thread t wait for the word that `s` names, unless it is known to be done by then. */
static int wait_for(struct hakr_plan *p, uint32_t t, const struct slot_info *s, uint64_t *count,
                    struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    uint64_t key = ((uint64_t)t << 32 | s->thread) + 1;
    uint64_t *known = hakc_map_find(&pl->known, key);
    if (known != NULL && *known >= s->end)
        return 0;
    if (s->end > HAKR_POSITION_MAX)
        return hakc_fail(err, HAKC_EUNSUPPORTED, "thread %u has too many ops", s->thread);
    if (hakc_map_put(&pl->known, key, s->end) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
    uint64_t *w = &p->threads[s->thread].words[s->word];
    if ((*w & HAKR_PUBLISH) == 0) {
        *w |= HAKR_PUBLISH;
        p->stats.publishes++;
    }
    put_word(&p->threads[t], hakr_wait_word(s->thread, s->end));
    ++*count;
    return 0;
}

/* Thread t is about to consume what lives in slot: wait for its maker, if that is another. */
static int hand_over(struct hakr_plan *p, uint32_t t, uint32_t slot, struct hakc_err *err) {
    const struct slot_info *s = &p->planner->slots[slot];
    if (s->thread == t)
        return 0;
    p->stats.handed++;
    return wait_for(p, t, s, &p->stats.waits, err);
}

static void emit(struct hakr_plan *p, uint32_t t, unsigned kind, uint32_t slot, uint64_t size,
                 unsigned align) {
    struct hakr_plan_thread *th = &p->threads[t];
    uint64_t w = kind | (uint64_t)slot << 32, at = th->n_words;
    if (align != 0 || size > HAKR_SIZE_MAX) {
        put_word(th, w | HAKR_WIDE);
        put_word(th, (size > HAKR_WIDE_MAX ? HAKR_WIDE_MAX : size) | (uint64_t)align << 56);
    } else {
        put_word(th, w | size << HAKR_SIZE_SHIFT);
    }
    th->ops++;
    p->stats.ops++;
    p->planner->last = (struct slot_info){.word = at, .end = th->n_words, .thread = t};
}

static int corrupt(const struct hakr_plan *p, struct hakc_err *err, const char *what, uint64_t id) {
    return hakc_fail(err, HAKC_ECORRUPT, "record %llu: %s (allocation %llu); run haktrace verify",
                     (unsigned long long)p->stats.records, what, (unsigned long long)id);
}

static int consume(struct hakr_plan *p, const struct hakt_rec *r, uint32_t *slot,
                   struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (r->old_id >= pl->ids_cap || pl->slot_of[r->old_id] == 0)
        return corrupt(p, err, "it consumes an object that is not live", r->old_id);
    *slot = pl->slot_of[r->old_id] - 1;
    pl->slot_of[r->old_id] = 0;
    pl->live -= pl->slots[*slot].size;
    return hand_over(p, r->thread, *slot, err);
}

static int grow_ids(struct hakr_planner *pl, uint64_t id) {
    uint64_t cap = pl->ids_cap != 0 ? pl->ids_cap : IDS_LEAST;
    void *a;
    while (cap <= id)
        cap *= 2;
    if (pl->slot_of == NULL)
        a = mmap(NULL, cap * sizeof *pl->slot_of, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    else
        a = mremap(pl->slot_of, pl->ids_cap * sizeof *pl->slot_of, cap * sizeof *pl->slot_of,
                   MREMAP_MAYMOVE);
    if (a == MAP_FAILED)
        return -1;
    pl->slot_of = a;
    pl->ids_cap = cap;
    return 0;
}

/* Notes the object that the op about to be emitted makes in slot. */
static int produce(struct hakr_plan *p, const struct hakt_rec *r, uint32_t slot, int wide,
                   struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    /* Every record makes one object at most. */
    if (r->id == 0 || r->id > p->stats.records + 1 ||
        (r->id < pl->ids_cap && pl->slot_of[r->id] != 0))
        return corrupt(p, err, "it makes an object without a new id", r->id);
    if (r->id >= pl->ids_cap && grow_ids(pl, r->id) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's ids");
    pl->slot_of[r->id] = slot + 1;
    uint64_t at = p->threads[r->thread].n_words;
    pl->slots[slot] = (struct slot_info){
        .word = at, .end = at + 1 + (wide != 0), .size = r->size, .thread = r->thread};
    pl->live += r->size;
    if (pl->live > p->stats.peak_live)
        p->stats.peak_live = pl->live;
    p->stats.allocs++;
    return 0;
}

static int plan_release(struct hakr_plan *p, const struct hakt_rec *r, unsigned kind,
                        struct hakc_err *err) {
    uint32_t slot = 0;
    int rc = consume(p, r, &slot, err);
    if (rc != 0)
        return rc;
    emit(p, r->thread, kind, slot, 0, 0);
    return give_slot(p, r->thread, slot, err);
}

static int plan_alloc(struct hakr_plan *p, const struct hakt_rec *r, unsigned kind,
                      struct hakc_err *err) {
    uint32_t slot = 0;
    uint64_t size = r->size;
    int rc;
    if (kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY) {
        rc = consume(p, r, &slot, err);
        if (size == 0) {
            size = 1;
            p->stats.realloc_zero++;
        }
    } else {
        rc = take_slot(p, r->thread, &slot, err);
    }
    if (rc != 0)
        return rc;
    rc = produce(p, r, slot, r->align_log2 != 0 || size > HAKR_SIZE_MAX, err);
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

static void tell_time(struct hakr_plan *p, struct hakr_plan_thread *th, uint64_t time) {
    if (time < th->clock_due || (!p->every_time && th->ops < th->clock_due_ops))
        return;
    put_word(th, hakr_time_word(time));
    p->stats.times++;
    th->clock_due = time + (p->every_time ? 1 : p->clock_every_ns);
    th->clock_due_ops = th->ops + CLOCK_OPS;
}

static int new_epoch(struct hakr_plan *p, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (p->n_epochs == pl->epochs_cap) {
        size_t cap = pl->epochs_cap ? pl->epochs_cap * 2 : 64;
        void *a = realloc(p->epoch_needs, cap * sizeof *p->epoch_needs);
        if (a == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's epochs");
        p->epoch_needs = a;
        pl->epochs_cap = cap;
    }
    pl->epoch = p->n_epochs++;
    p->epoch_needs[pl->epoch] = 0;
    pl->epoch_left = p->epoch_length;
    return 0;
}

/* Keeps the drift limit: lets the thread enter the epoch of the record to come, or wait its turn.
 */
static int keep_order(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    struct hakr_plan_thread *th = &p->threads[t];
    if (p->drift == 0)
        return pl->last.end != 0 && pl->last.thread != t
                   ? wait_for(p, t, &pl->last, &p->stats.turns, err)
                   : 0;
    p->epoch_length = p->drift / 2 + p->drift % 2;
    if (pl->epoch_left == 0) {
        int rc = new_epoch(p, err);
        if (rc != 0)
            return rc;
    }
    pl->epoch_left--;
    if (th->epoch != pl->epoch) {
        th->epoch = pl->epoch;
        p->epoch_needs[pl->epoch]++;
        put_word(th, hakr_control_word(HAKR_EPOCH, pl->epoch));
    }
    return 0;
}

/* A thread's exit frees its caches for others, so it has its place in the order like an op. */
static int plan_end(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    p->threads[t].ends = 1;
    p->threads[t].end_at = p->stats.ops;
    return p->drift != HAKR_NO_DRIFT ? keep_order(p, t, err) : 0;
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
    int rc = open_stream(p, r->thread, err);
    if (rc == 0)
        rc = room(p, &p->threads[r->thread], err);
    if (p->stats.records == 0)
        p->first_time = r->time;
    if (rc == 0 && r->op == HAKT_THREAD_END)
        rc = plan_end(p, r->thread, err);
    if (rc != 0 || r->op == HAKT_THREAD_START || r->op == HAKT_THREAD_END)
        return rc;
    if (r->flags & HAKT_REC_FAILED) {
        p->stats.skipped_failed++;
        return 0;
    }
    if (p->drift != HAKR_NO_DRIFT)
        rc = keep_order(p, r->thread, err);
    if (rc != 0)
        return rc;
    if (p->every_time || p->clock_every_ns != 0)
        tell_time(p, &p->threads[r->thread], r->time);
    if (r->op == HAKT_FREE)
        return plan_free(p, r, err);
    if (r->op == HAKT_REALLOC || r->op == HAKT_REALLOCARRAY)
        return plan_realloc(p, r, err);
    if (r->op >= HAKT_OP_COUNT || kinds[r->op] == 0)
        return corrupt(p, err, "unknown op", r->op);
    return plan_alloc(p, r, kinds[r->op], err);
}

/* Fetches what the records to come will need: first the entry of an object, then its slot. */
static inline void look_ahead(const struct hakr_planner *pl, const struct hakt_rec *r) {
    uint64_t far = r[2 * AHEAD].old_id, near = r[AHEAD].old_id;
    if (far < pl->ids_cap)
        __builtin_prefetch(&pl->slot_of[far], 1);
    if (near < pl->ids_cap && pl->slot_of[near] != 0)
        __builtin_prefetch(&pl->slots[pl->slot_of[near] - 1]);
}

int hakr_plan_add(struct hakr_plan *p, const struct hakt_rec *recs, size_t n,
                  struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    for (size_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n)
            look_ahead(pl, recs + i);
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
    struct hakr_planner *pl = p->planner;
    if (pl == NULL)
        return;
    if (pl->slot_of != NULL)
        munmap(pl->slot_of, pl->ids_cap * sizeof *pl->slot_of);
    hakc_map_fini(&pl->known);
    for (size_t t = 0; t < pl->threads_cap; t++)
        free(pl->free[t].at);
    free(pl->free);
    free(pl->slots);
    free(pl);
    p->planner = NULL;
}

int hakr_plan_finish(struct hakr_plan *p, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    int rc = open_stream(p, 0, err); /* a trace without records has a thread that does nothing */
    for (uint32_t t = 0; rc == 0 && t < p->n_threads; t++) {
        struct hakr_plan_thread *th = &p->threads[t];
        if (th->words == NULL) /* a thread number that no record bears */
            rc = open_stream(p, t, err);
        if (rc != 0 || th->words == NULL)
            break;
        put_word(th, HAKR_END);
        if (th->end_at ==
            p->stats.ops) /* with the process, in which no thread's caches are emptied */
            th->ends = 0;
        p->stats.bundled += hakr_plan_bundle(th->words, th->n_words);
        uint64_t used = (th->n_words * 8 + PAGE - 1) & ~(PAGE - 1);
        if (used < pl->stride)
            munmap((char *)th->words + used, pl->stride - used);
        p->stats.bytes += th->n_words * 8;
    }
    if (rc != 0)
        return rc;
    p->stats.mean_live = p->stats.ops != 0 ? pl->live_sum / (double)p->stats.ops : 0;
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
