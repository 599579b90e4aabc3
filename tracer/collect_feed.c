#include "tracer/collect_feed.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PUBLISH_EVERY 1024 /* words: room is given back in pieces of this */
#define COPY_AHEAD    64   /* words */
#define LINE          8    /* words of a cache line */
#define AHEAD         256  /* words: as many as HAKT_TAKEN_MAX records, or more */
#define HOLE_PEEK     16 /* words behind an uncommitted one: may a handler's record begin there? */

void hakt_feed_begin(struct hakt_feed *f, struct hakt_shm *shm, uint32_t slot) {
    f->slot = &hakt_shm_slots(shm)[slot];
    f->words = hakt_shm_ring(shm, slot);
    f->log2 = hakt_shm_ring_log2(shm);
    f->mask = (1ull << f->log2) - 1;
    f->tid = __atomic_load_n(&f->slot->tid, __ATOMIC_RELAXED);
    f->active = 1;
    f->dead = f->held = f->force = f->paced = 0;
    f->last = f->usual = 0;
    f->cursor = f->tail = f->woken_at = __atomic_load_n(&f->slot->tail, __ATOMIC_RELAXED);
    f->taken->at = f->taken->n = 0;
    f->queue = (struct hakt_queue){0};
    f->origin.depth = 0;
    f->origin.memory.op = 0;
    f->origin.seen = 0;
}

/* Where records are read: in a ring, up to the first that is not committed, or in a queue, up to
 * `end`. */
struct source {
    const uint64_t *words;
    uint64_t mask, end;
    unsigned log2; /* of a ring */
    int is_ring;
};

static inline uint64_t word(const struct source *s, uint64_t i) {
    return __atomic_load_n(&s->words[i & s->mask], __ATOMIC_RELAXED);
}

/* The first word of a record, or 0: none is there. */
static inline uint64_t first_word(const struct source *s, uint64_t i) {
    if (!s->is_ring)
        return i < s->end ? s->words[i] : 0;
    uint64_t first = __atomic_load_n(&s->words[i & s->mask], __ATOMIC_ACQUIRE);
    return first >> HAKT_SHM_LAP_SHIFT == hakt_shm_lap(i, s->log2) ? first : 0;
}

/* How far apart unstamped records are taken to be, of which the first stands before i. Between two
 * stamps of a burst they are spread evenly. Where the next stamp is far away, the program paused
 * before it (ring.h): they follow the last one closely. If there ever was another thread, they do
 * so as well: none may come later than it was (rt/owner.h). That is asked after the next stamp was
 * seen: who comes after that has later stamps. */
static uint64_t unstamped_step(struct hakt_feed *f, const struct source *s, uint64_t i,
                               uint64_t last, struct hakt_pacing pacing) {
    uint64_t step = f->usual / 2, first = 0;
    unsigned n = 1;
    if (__atomic_load_n(pacing.attached, __ATOMIC_ACQUIRE) > 1)
        return 1;
    while (n <= HAKT_SHM_PACE_MAX && (first = first_word(s, i)) != 0 &&
           (first & HAKT_SHM_STAMPED) == 0) {
        i += hakt_shm_words(first);
        n++;
    }
    if (first & HAKT_SHM_STAMPED) {
        uint64_t time = word(s, i + hakt_shm_words(first) - 1), span = time - last;
        if (time >= last && span <= pacing.burst)
            step = f->usual = span / (n + 1);
    }
    return __atomic_load_n(pacing.attached, __ATOMIC_ACQUIRE) > 1 ? 1 : step;
}

static void take_long(struct hakt_taken *t, uint32_t n, const struct source *s, uint64_t i,
                      uint64_t first) {
    if (hakt_shm_form(first) == HAKT_SHM_SIZED_MALLOC) {
        t->op[n] = HAKT_SHM_MALLOC;
        t->size[n] = word(s, i + 1);
        return;
    }
    t->op[n] = (uint8_t)(first & 0x7f);
    t->align[n] = (uint8_t)(first >> 8);
    t->ptr[n] = word(s, i + 1) | (first >> 16 & 1) << 63;
    t->size[n] = word(s, i + 2) | (first >> 17 & 1) << 63;
}

/* Takes up to HAKT_TAKEN_MAX records from index i on. The index behind them. */
__attribute__((always_inline)) static inline uint64_t
take_from(struct hakt_feed *f, const struct source *s, uint64_t i, struct hakt_pacing pacing) {
    struct hakt_taken *t = f->taken;
    uint64_t last = f->last, first;
    uint32_t n = 0;
    for (; n < HAKT_TAKEN_MAX && (first = first_word(s, i)) != 0; n++) {
        unsigned form = hakt_shm_form(first), words = hakt_shm_words(first);
        unsigned stamped = (first & HAKT_SHM_STAMPED) != 0;
        t->op[n] = (uint8_t)(form * HAKT_SHM_FREE);
        t->align[n] = 0;
        t->ptr[n] = (first & ((1ull << HAKT_SHM_SIZE_SHIFT) - 1)) * 8;
        t->size[n] = first >> HAKT_SHM_SIZE_SHIFT & (HAKT_SHM_SHORT_SIZE - 1);
        if (__builtin_expect(form > HAKT_SHM_SHORT_FREE, 0))
            take_long(t, n, s, i, first);
        i += words;
        if (stamped) {
            last = word(s, i - 1);
        } else {
            if (!f->paced)
                f->step = unstamped_step(f, s, i, last, pacing);
            last += f->step;
        }
        f->paced = !stamped;
        t->op[n] |= (uint8_t)(stamped * HAKT_STAMPED);
        t->time[n] = last;
    }
    f->last = last;
    t->at = 0;
    t->n = n;
    return i;
}

static struct source ring_of(const struct hakt_feed *f) {
    return (struct source){.words = f->words, .mask = f->mask, .log2 = f->log2, .is_ring = 1};
}

static inline void give_back_some(struct hakt_feed *f) {
    if (f->cursor - f->tail >= PUBLISH_EVERY)
        hakt_feed_give_back(f, f->mask / 4);
}

/* Starts loading the words after the next ones, where the thread is far ahead: its own line must
 * not be taken away from it. */
static void look_ahead(const struct hakt_feed *f) {
    if (!hakt_feed_reaches(f, f->cursor + 4 * AHEAD))
        return;
    for (uint64_t i = 0; i < AHEAD / 2; i += LINE)
        __builtin_prefetch(&f->words[(f->cursor + AHEAD + i) & f->mask]);
}

/* The ops among n records taken. */
static uint32_t ops_of(const struct hakt_taken *t) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++)
        n += hakt_shm_counts(t->op[i] & ~HAKT_STAMPED) != 0;
    return n;
}

int hakt_feed_refill(struct hakt_feed *f, struct hakt_store *store, struct hakt_pacing pacing) {
    uint32_t n;
    const uint64_t *words = hakt_queue_front(&f->queue, &n);
    if (n > 0) {
        struct source queue = {.words = words, .mask = UINT64_MAX, .end = n};
        uint64_t taken = take_from(f, &queue, 0, pacing);
        hakt_queue_drop(&f->queue, store, (uint32_t)taken);
        return 1;
    }
    struct source ring = ring_of(f);
    look_ahead(f);
    f->cursor = take_from(f, &ring, f->cursor, pacing);
    f->ops += ops_of(f->taken);
    give_back_some(f);
    return f->taken->n > 0;
}

/* Copies whole records. How many words. */
static uint32_t copy(struct hakt_feed *f, uint64_t *to, uint32_t room, uint64_t *records) {
    struct source ring = ring_of(f);
    uint64_t i = f->cursor, first, others = 0, n = 0;
    uint32_t words = 0;
    while (words + HAKT_SHM_WORDS_MAX <= room && (first = first_word(&ring, i)) != 0) {
        unsigned all = hakt_shm_words(first);
        __builtin_prefetch(&f->words[(i + COPY_AHEAD) & f->mask]);
        to[words] = first;
        to[words + 1] = word(&ring, i + 1); /* of the next record, perhaps */
        if (__builtin_expect(hakt_shm_form(first) > HAKT_SHM_SHORT_FREE, 0)) {
            to[words + 2] = word(&ring, i + 2);
            to[words + 3] = word(&ring, i + 3);
            others += hakt_shm_form(first) == HAKT_SHM_LONG && !hakt_shm_counts(first & 0x7f);
        }
        words += all;
        i += all;
        n++;
    }
    f->cursor = i;
    f->ops += n - others;
    *records += n;
    return words;
}

uint64_t hakt_feed_drain(struct hakt_feed *f, struct hakt_store *store, uint64_t most, int *full) {
    uint64_t until = f->cursor + most, records = 0;
    while (f->cursor < until && hakt_feed_is_committed(f, f->cursor)) {
        uint32_t room;
        uint64_t *to = hakt_queue_room(&f->queue, store, &room);
        if (to == NULL) {
            *full = 1;
            break;
        }
        hakt_queue_put(&f->queue, copy(f, to, room, &records));
        give_back_some(f);
    }
    hakt_feed_give_back(f, 1);
    return records;
}

int hakt_feed_is_empty(const struct hakt_feed *f) {
    return f->taken->at == f->taken->n && hakt_queue_is_empty(&f->queue) &&
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
    return !hakt_feed_is_committed(f, f->cursor) && behind_hole(f, HOLE_PEEK) != 0;
}

uint64_t hakt_feed_skip_hole(struct hakt_feed *f) {
    uint64_t next;
    if (hakt_feed_is_committed(f, f->cursor) || (next = behind_hole(f, HAKT_SHM_SLACK)) == 0)
        return 0;
    f->cursor = next;
    return 1;
}

uint64_t hakt_feed_skip_hole_if_stuck(struct hakt_feed *f) {
    if (__atomic_load_n(&f->slot->waiting, __ATOMIC_RELAXED) == 0 ||
        !hakt_feed_reaches(f, f->cursor + f->mask + 1 - HAKT_SHM_SLACK - HAKT_SHM_WORDS_MAX))
        return 0;
    return hakt_feed_skip_hole(f);
}
