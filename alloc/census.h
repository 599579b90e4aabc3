/*
 * Counting what lies in the allocator: a walk over all spans and all heaps. Slow (a line of memory
 * each 64 KiB) and made only when somebody asks; nothing is counted on the way of malloc and free.
 */
#ifndef ALLOC_CENSUS_H
#define ALLOC_CENSUS_H

#include "alloc/internal.h"

struct hak_census_class {
    uint64_t slabs, units, capacity, out, cached; /* out: in use or cached */
};

struct hak_census {
    struct hak_census_class class[HAK_CLASSES];
    uint64_t large_objects, large_pages;
    uint64_t free_spans[HAK_SPAN_UNMAPPED + 1]; /* by enum hak_span_state */
};

struct hak_census_heap {
    uint32_t number;
    enum hak_heap_state state;
    uint64_t slabs, units, out_bytes, cached_bytes;
};

/* Under the pool lock, so spans and heaps stay; blocks go on moving in other threads, and what they
 * do meanwhile may or may not be counted. */
void hak_census(struct hak_census *out);

/* The heaps from number `first` on, at most n of them; returns how many there are in all. */
uint32_t hak_census_heaps(struct hak_census_heap *out, uint32_t first, uint32_t n);

/* Free bytes on a heap's own lists. */
uint64_t hak_census_cached(const struct hak_heap *h);

#endif
