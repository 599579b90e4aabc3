/*
 * What the parts of the planner share: plan.c (records), plan_simple.c (the same for most of them,
 * quicker), plan_streams.c (threads and their words), plan_objects.c (ids, slots, hand-overs),
 * plan_order.c (drift limit, time).
 */
#ifndef REPLAY_PLAN_INT_H
#define REPLAY_PLAN_INT_H

#include "common/map.h"
#include "replay/plan.h"

/* Words that one record may need at most: epoch, time, two waits, and the op (2). */
#define WORDS_PER_RECORD 6
#define PAGE             UINT64_C(4096)
#define HAKR_AHEAD       32u  /* records ahead of which what they need is fetched */
#define NEAR_THREADS     256u /* whose hand-overs to each other are looked up in an array */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A place in a stream: bits 0-13 its thread, bit 14 the word there is wide, bits 16-63 the word's
 * index. */
typedef uint64_t hakr_place;

static inline hakr_place hakr_place_of(uint32_t thread, uint64_t word, int wide) {
    return thread | (uint64_t)(wide != 0) << HAKR_THREAD_BITS | word << 16;
}
static inline uint32_t hakr_place_thread(hakr_place p) {
    return (uint32_t)p & (HAKR_MAX_THREADS - 1);
}
static inline uint64_t hakr_place_word(hakr_place p) {
    return p >> 16;
}
/* The position behind the op that stands there. */
static inline uint64_t hakr_place_end(hakr_place p) {
    return (p >> 16) + 1 + (p >> HAKR_THREAD_BITS & 1);
}

/* The object in a slot. */
struct hakr_slot_info {
    hakr_place maker;
    uint64_t size;
};

struct hakr_free_slots {
    uint32_t *at;
    size_t n, cap;
};

/* Memory that grows in place or moves without copying; zeroed. In huge pages where it is large:
 * what is looked up there comes from all over it. */
struct hakr_area {
    void *p;
    size_t bytes;
};

struct hakr_planner {
    uint64_t stride; /* bytes of address space a stream */
    /* By allocation id: the slot of a live object, plus 1; 0 = not live. An array, because ids are
     * dense and ascend: 4 bytes an allocation, and most objects die while their entry is cached. */
    uint32_t *slot_of;
    uint64_t ids_cap;
    uint64_t ids_first; /* the capacity to begin with */
    struct hakr_slot_info *slots;
    uint64_t slots_cap;
    struct hakr_area ids_area, slots_area;
    struct hakr_free_slots *free; /* by thread */
    size_t threads_cap;
    /* (consumer, producer) -> the position already waited for */
    uint64_t *known_near; /* [consumer * NEAR_THREADS + producer]; NULL until there is one */
    struct hakc_map known;
    uint64_t live;
    double live_sum;
    uint64_t epoch, epoch_left; /* drift: the epoch of the records now, and how many it lacks */
    size_t epochs_cap;
    hakr_place last; /* drift 0: the op before in the recorded order */
    int has_last;
};

/* ---- plan_streams.c: the threads' words ---- */

/* The stream of thread t is there, with room for a record. */
int hakr_plan_room(struct hakr_plan *p, uint32_t t, struct hakc_err *err);

/* Marks the op there as published: it leaves its bundle, which becomes two. */
void hakr_plan_publish(struct hakr_plan *p, hakr_place at);

/* Ends all streams, and unmaps what is behind them. */
int hakr_plan_close_streams(struct hakr_plan *p, struct hakc_err *err);

/* Ends the bundle that is being made, if one is. */
static inline void hakr_plan_close_bundle(struct hakr_plan_thread *th) {
    if (th->pattern == 0)
        return;
    th->words[th->n_words - th->pattern_ops] |= hakr_bundle_field(th->pattern);
    th->pattern = th->pattern_ops = 0;
}

/* Takes the next word of a stream, which is no simple op. */
static inline void hakr_put_word(struct hakr_plan_thread *th, uint64_t word) {
    hakr_plan_close_bundle(th);
    th->words[th->n_words++] = word;
}

/* Takes the next word, which is one of `bit` (hakr_simple_bit). */
static inline void hakr_put_simple(struct hakr_plan_thread *th, uint64_t word, int bit) {
    if (th->pattern >= HAKR_PATTERN_FULL)
        hakr_plan_close_bundle(th);
    if (th->pattern_ops++ == 0)
        th->pattern = 1;
    th->pattern = th->pattern << 1 | (unsigned)bit;
    th->words[th->n_words++] = word;
}

/* ---- plan_objects.c ---- */

void hakr_plan_free_objects(struct hakr_planner *pl);
/* The record consumes old_id: its slot, after a wait for its maker where that is another thread. */
int hakr_plan_consume(struct hakr_plan *p, const struct hakt_rec *r, uint32_t *slot,
                      struct hakc_err *err);
/* The record makes an object, whose op will be the thread's next word. */
int hakr_plan_produce(struct hakr_plan *p, const struct hakt_rec *r, uint32_t slot, int wide,
                      struct hakc_err *err);
int hakr_plan_take_slot(struct hakr_plan *p, uint32_t t, uint32_t *slot, struct hakc_err *err);
int hakr_plan_give_slot(struct hakr_plan *p, uint32_t t, uint32_t slot, struct hakc_err *err);
/* Makes thread t wait for the op there, unless it is known to be done by then. */
int hakr_plan_wait(struct hakr_plan *p, uint32_t t, hakr_place op, uint64_t *count,
                   struct hakc_err *err);
int hakr_plan_corrupt(const struct hakr_plan *p, struct hakc_err *err, const char *what,
                      uint64_t id);

/* ---- plan_simple.c ---- */

/* Plans records from the first one on as long as they are simple; returns how many. */
size_t hakr_plan_simple(struct hakr_plan *p, const struct hakt_rec *recs, size_t n);

/* ---- plan_order.c ---- */

/* Keeps the drift limit: lets the thread enter the epoch of the record to come, or wait its turn.
 */
int hakr_plan_order(struct hakr_plan *p, uint32_t t, struct hakc_err *err);
/* Tells the recorded time where it is due. */
void hakr_plan_time(struct hakr_plan *p, struct hakr_plan_thread *th, uint64_t time);

#endif
