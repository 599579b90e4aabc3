/*
 * Page frames that were given back, the last on top: the kernel hands out the one that was freed
 * last. A frame that comes back within HAKS_HOT_OPS ops is still in the processor's caches, and so
 * are the kernel's records of it: the fault, and the next release of that page, then cost about
 * half (cost_model.h). Beyond that the program's own data has driven them out.
 */
#ifndef SIM_FRAMES_H
#define SIM_FRAMES_H

#include <stdint.h>

#define HAKS_HOT_OPS     16384u
#define HAKS_FRAMES_MOST 1024u /* releases remembered; older frames are not hot any more */

struct haks_frames {
    struct {
        uint64_t op, pages;
    } freed[HAKS_FRAMES_MOST]; /* a ring; the youngest at next - 1 */
    uint32_t next, n;
};

static inline void haks_frames_free(struct haks_frames *f, uint64_t pages, uint64_t op) {
    if (pages == 0)
        return;
    f->freed[f->next].op = op;
    f->freed[f->next].pages = pages;
    f->next = (f->next + 1) % HAKS_FRAMES_MOST;
    f->n += f->n < HAKS_FRAMES_MOST;
}

/* `pages` frames go into use. Returns how many of them are hot. */
static inline uint64_t haks_frames_take(struct haks_frames *f, uint64_t pages, uint64_t op) {
    uint64_t hot = 0;
    while (pages > 0 && f->n > 0) {
        uint32_t last = (f->next + HAKS_FRAMES_MOST - 1) % HAKS_FRAMES_MOST;
        uint64_t n = f->freed[last].pages < pages ? f->freed[last].pages : pages;
        if (op - f->freed[last].op <= HAKS_HOT_OPS)
            hot += n;
        pages -= n;
        f->freed[last].pages -= n;
        if (f->freed[last].pages == 0) {
            f->next = last;
            f->n--;
        }
    }
    return hot;
}

#endif
