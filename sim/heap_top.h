/* The free run at the top of the address space in use, as glibc's heap has one: for model-glibc. */
#ifndef SIM_HEAP_TOP_H
#define SIM_HEAP_TOP_H

#include <stdint.h>
#include <stdlib.h>

struct haks_heap_top {
    uint8_t *used; /* by unit; NULL: nobody asks */
    uint32_t end;  /* where the heap ends: above, nothing is in use */
};

/* units: one more than the highest. 0, or -1: no memory. */
static inline int haks_heap_top_init(struct haks_heap_top *h, uint64_t units) {
    *h = (struct haks_heap_top){.used = calloc(units + 1, 1)};
    return h->used != NULL ? 0 : -1;
}

static inline void haks_heap_top_use(struct haks_heap_top *h, uint32_t unit, uint32_t units) {
    for (uint32_t i = 0; i < units; i++)
        h->used[unit + i] = 1;
    if (h->end < unit + units)
        h->end = unit + units;
}

static inline void haks_heap_top_free(struct haks_heap_top *h, uint32_t unit, uint32_t units) {
    for (uint32_t i = 0; i < units; i++)
        h->used[unit + i] = 0;
}

/* Where the free run at the top starts; h->end if there is none. */
static inline uint32_t haks_heap_top_start(const struct haks_heap_top *h) {
    uint32_t start = h->end;
    while (start > 0 && !h->used[start - 1])
        start--;
    return start;
}

#endif
