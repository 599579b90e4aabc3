/*
 * What the caches still hold of the kernel's work, which decides its price (cost_model.h). Measured
 * on one virtual machine: a fault that follows another one at once takes half of one that
 * comes alone, and one on a frame that was given back just before half of one on a fresh frame.
 *
 * Two distances, in bytes that went through the caches in between:
 *   a frame's   since it was given back. The kernel hands out the frame that was freed last, so the
 *               frames form a stack. HAKS_HOT_BYTES: still in the second-level cache;
 *               HAKS_WARM_BYTES: in the third.
 *   an entry's  since the kernel last worked for this process: by then the program has driven its
 *               code and data out of the caches, the more the longer it ran.
 * An op is taken to drive HAKS_OP_BYTES through them, four cache lines: its object's, that of the
 * pointer that leads to it, and two of other data. A frame that is faulted in drives its own size.
 */
#ifndef SIM_HEAT_H
#define SIM_HEAT_H

#include <stdint.h>

#define HAKS_OP_BYTES    256u
#define HAKS_HOT_BYTES   (2u << 20)
#define HAKS_WARM_BYTES  (32u << 20)
#define HAKS_FLUSH_PAGES 33u   /* Linux forgets up to so many pages one by one, then all at once */
#define HAKS_FRAMES_MOST 1024u /* releases remembered; older frames are cold */

enum { HAKS_NEAR, HAKS_16K, HAKS_128K, HAKS_2M, HAKS_ENTRY_KINDS };

struct haks_heat_counts {
    uint64_t hot_faults, warm_faults;       /* of all; the others are on cold frames */
    uint64_t hot_populated, warm_populated; /* pages */
    uint64_t entries[HAKS_ENTRY_KINDS];     /* faults in a row count once; calls but for maps */
    uint64_t flushed;                       /* pages of calls that give back at most FLUSH_PAGES */
};

struct haks_heat {
    struct haks_heat_counts n;
    struct {
        uint64_t at, pages;
    } freed[HAKS_FRAMES_MOST]; /* a ring; the youngest at next - 1 */
    uint32_t next, n_freed;
    uint64_t taken;   /* frames that were faulted in */
    uint64_t entered; /* the op of the last entry */
};

static inline uint64_t haks_heat_at(const struct haks_heat *h, uint64_t op) {
    return op * HAKS_OP_BYTES + h->taken * 4096;
}

static inline unsigned haks_entry_kind(uint64_t ops) {
    uint64_t bytes = ops * HAKS_OP_BYTES;
    return bytes < 16u << 10    ? HAKS_NEAR
           : bytes < 128u << 10 ? HAKS_16K
           : bytes < 2u << 20   ? HAKS_128K
                                : HAKS_2M;
}

/* The kernel begins to work for the process. */
static inline void haks_heat_enter(struct haks_heat *h, uint64_t op) {
    h->n.entries[haks_entry_kind(op - h->entered)]++;
    h->entered = op;
}

/* `pages` frames go back to the kernel. */
static inline void haks_heat_free(struct haks_heat *h, uint64_t pages, uint64_t op) {
    if (pages == 0)
        return;
    h->freed[h->next].at = haks_heat_at(h, op);
    h->freed[h->next].pages = pages;
    h->next = (h->next + 1) % HAKS_FRAMES_MOST;
    h->n_freed += h->n_freed < HAKS_FRAMES_MOST;
}

/* Of n frames that are taken one after another, the first at `age`: how many are below `limit`. */
static inline uint64_t haks_heat_below(uint64_t limit, uint64_t age, uint64_t n) {
    uint64_t below = age < limit ? (limit - age + 4095) / 4096 : 0;
    return below < n ? below : n;
}

/* `pages` frames go into use: adds to hot and warm. (However it is split into calls.) */
static inline void haks_heat_take(struct haks_heat *h, uint64_t pages, uint64_t op, uint64_t *hot,
                                  uint64_t *warm) {
    while (pages > 0 && h->n_freed > 0) {
        uint32_t last = (h->next + HAKS_FRAMES_MOST - 1) % HAKS_FRAMES_MOST;
        uint64_t n = h->freed[last].pages < pages ? h->freed[last].pages : pages;
        uint64_t age = haks_heat_at(h, op) - h->freed[last].at;
        uint64_t below = haks_heat_below(HAKS_HOT_BYTES, age, n);
        *hot += below;
        *warm += haks_heat_below(HAKS_WARM_BYTES, age, n) - below;
        h->taken += n;
        pages -= n;
        h->freed[last].pages -= n;
        if (h->freed[last].pages == 0) {
            h->next = last;
            h->n_freed--;
        }
    }
    h->taken += pages;
}

/* A touch faults `pages` in (0: it does not). */
static inline void haks_heat_fault(struct haks_heat *h, uint64_t pages, uint64_t op) {
    if (pages == 0)
        return;
    haks_heat_enter(h, op);
    haks_heat_take(h, pages, op, &h->n.hot_faults, &h->n.warm_faults);
}

/* A call populates: `pages` were missing. */
static inline void haks_heat_populate(struct haks_heat *h, uint64_t pages, uint64_t op) {
    haks_heat_enter(h, op);
    haks_heat_take(h, pages, op, &h->n.hot_populated, &h->n.warm_populated);
}

/* A call gives `pages` resident ones back; or marks them, lazy, for the kernel to take. */
static inline void haks_heat_release(struct haks_heat *h, uint64_t pages, int lazy, uint64_t op) {
    haks_heat_enter(h, op);
    h->n.flushed += pages <= HAKS_FLUSH_PAGES ? pages : 0;
    haks_heat_free(h, lazy ? 0 : pages, op);
}

#endif
