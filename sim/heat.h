/*
 * What the caches still hold of the kernel's work, which decides its price (cost_model.h). Measured
 * on one virtual machine: a fault that follows another one at once takes half of one that
 * comes alone, and one on a frame that was given back just before half of one on a fresh frame.
 *
 * Two distances, in 4 KiB that went through the caches in between:
 *   a frame's   since its page was faulted in: so long ago it was zeroed, which is what the next
 *               fault on it does again. The kernel hands out the frame that was freed last, so the
 *               free ones form a stack. HAKS_HOT: still in the second-level cache; HAKS_WARM: in
 *               the third.
 *
 *   an entry's  since the kernel last worked for this process: by then the program has driven its
 *               code and data out of the caches, the more the longer it ran.
 *
 * An op is taken to drive 256 bytes through them, four cache lines: its object's, that of the
 * pointer that leads to it, and two of other data. A frame that is faulted in drives its own size.
 * A span's pages have the age of its last fault.
 */
#ifndef SIM_HEAT_H
#define SIM_HEAT_H

#include <stdint.h>

#define HAKS_OPS_A_PAGE  16u   /* ops that drive 4 KiB */
#define HAKS_HOT         512u  /* 2 MiB */
#define HAKS_WARM        4096u /* 16 MiB */
#define HAKS_FLUSH_PAGES 33u   /* Linux forgets up to so many pages one by one, then all at once */
#define HAKS_FRAMES_MOST 1024u /* releases remembered; older frames are cold */

enum { HAKS_NEAR, HAKS_16K, HAKS_128K, HAKS_2M, HAKS_ENTRY_KINDS };

struct haks_heat_counts {
    uint64_t hot_faults, warm_faults;       /* of all; the others are on cold frames */
    uint64_t huge_faults;                   /* of all: each brings in a huge page */
    uint64_t hot_populated, warm_populated; /* pages */
    uint64_t hot_released;                  /* pages given back that were faulted in so lately */
    uint64_t entries[HAKS_ENTRY_KINDS];     /* faults in a row count once; calls but for maps: these
                                               not if near, where it is in their price */
    uint64_t flushed;                       /* pages of calls that give back at most FLUSH_PAGES */
    uint64_t marked_again; /* pages given to MADV_FREE that were before, and stayed */
};

/* Each count: X(member, its name in the store and in JSON) */
#define HAKS_HEAT_COUNTS(X)                                                                        \
    X(hot_faults, "hot_faults")                                                                    \
    X(warm_faults, "warm_faults")                                                                  \
    X(huge_faults, "huge_faults")                                                                  \
    X(hot_populated, "hot_populated")                                                              \
    X(warm_populated, "warm_populated")                                                            \
    X(hot_released, "hot_released")                                                                \
    X(entries[HAKS_NEAR], "entries_near")                                                          \
    X(entries[HAKS_16K], "entries_16k")                                                            \
    X(entries[HAKS_128K], "entries_128k")                                                          \
    X(entries[HAKS_2M], "entries_2m")                                                              \
    X(flushed, "flushed_pages")                                                                    \
    X(marked_again, "marked_again")

struct haks_heat {
    struct haks_heat_counts n;
    struct {
        uint32_t born, pages;
    } freed[HAKS_FRAMES_MOST]; /* a ring; the youngest at next - 1 */
    uint32_t next, n_freed;
    uint64_t taken;   /* frames that were faulted in */
    uint64_t entered; /* the op of the last entry */
};

/* Now, on the clock of 4 KiB; the moment at which what is faulted in now is born. */
static inline uint32_t haks_heat_now(const struct haks_heat *h, uint64_t op) {
    return (uint32_t)(op / HAKS_OPS_A_PAGE + h->taken);
}

static inline unsigned haks_entry_kind(uint64_t ops) {
    return ops < 4 * HAKS_OPS_A_PAGE          ? HAKS_NEAR
           : ops < 32 * HAKS_OPS_A_PAGE       ? HAKS_16K
           : ops < HAKS_HOT * HAKS_OPS_A_PAGE ? HAKS_128K
                                              : HAKS_2M;
}

/* The kernel begins to work for the process, in a call. */
static inline void haks_heat_enter(struct haks_heat *h, uint64_t op) {
    unsigned kind = haks_entry_kind(op - h->entered);
    h->n.entries[kind] += kind != HAKS_NEAR;
    h->entered = op;
}

/* `pages` frames go back to the kernel. */
static inline void haks_heat_free(struct haks_heat *h, uint32_t pages, uint32_t born) {
    uint32_t last = (h->next + HAKS_FRAMES_MOST - 1) % HAKS_FRAMES_MOST;
    if (pages == 0)
        return;
    if (h->n_freed > 0 && h->freed[last].born == born) {
        h->freed[last].pages += pages;
        return;
    }
    h->freed[h->next].born = born;
    h->freed[h->next].pages = pages;
    h->next = (h->next + 1) % HAKS_FRAMES_MOST;
    h->n_freed += h->n_freed < HAKS_FRAMES_MOST;
}

/* Of n frames that are taken one after another, the first at `age`: how many are below `limit`. */
static inline uint32_t haks_heat_below(uint32_t limit, uint32_t age, uint32_t n) {
    uint32_t below = age < limit ? limit - age : 0;
    return below < n ? below : n;
}

/* `pages` frames go into use: adds to hot and warm. (However it is split into calls.) */
static inline void haks_heat_take(struct haks_heat *h, uint64_t pages, uint64_t op, uint64_t *hot,
                                  uint64_t *warm) {
    while (pages > 0 && h->n_freed > 0) {
        uint32_t last = (h->next + HAKS_FRAMES_MOST - 1) % HAKS_FRAMES_MOST;
        uint32_t n = h->freed[last].pages < pages ? h->freed[last].pages : (uint32_t)pages;
        uint32_t age = haks_heat_now(h, op) - h->freed[last].born;
        uint32_t below = haks_heat_below(HAKS_HOT, age, n);
        *hot += below;
        *warm += haks_heat_below(HAKS_WARM, age, n) - below;
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
    if (op > h->entered) /* else it follows in a row */
        h->n.entries[haks_entry_kind(op - h->entered)]++;
    h->entered = op;
    haks_heat_take(h, pages, op, &h->n.hot_faults, &h->n.warm_faults);
}

/* The same with huge pages: their zeroing outweighs all that the caches may hold. */
static inline void haks_heat_huge(struct haks_heat *h, uint64_t pages, uint64_t op) {
    if (pages == 0)
        return;
    h->n.huge_faults += pages;
    h->entered = op;
    h->taken += pages * HAKS_HOT;
}

/* A call populates: `pages` were missing. */
static inline void haks_heat_populate(struct haks_heat *h, uint64_t pages, uint64_t op) {
    haks_heat_enter(h, op);
    haks_heat_take(h, pages, op, &h->n.hot_populated, &h->n.warm_populated);
}

/* A call gives back, or marks for the kernel to take, `pages` resident ones in all; of each span:
 */
static inline void haks_heat_release(struct haks_heat *h, uint64_t pages, uint64_t op) {
    haks_heat_enter(h, op);
    h->n.flushed += pages <= HAKS_FLUSH_PAGES ? pages : 0;
}

static inline void haks_heat_release_span(struct haks_heat *h, uint32_t pages, uint32_t born,
                                          uint64_t op) {
    h->n.hot_released += haks_heat_now(h, op) - born < HAKS_HOT ? pages : 0;
    haks_heat_free(h, pages, born);
}

#endif
