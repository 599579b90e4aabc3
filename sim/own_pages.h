/*
 * The pages of the allocator's own records: the metadata of the units, in the order in which
 * spans first go into use, and the heaps. No policy gives them back, so they are part of every
 * prediction, as a prefix that only grows.
 */
#ifndef SIM_OWN_PAGES_H
#define SIM_OWN_PAGES_H

#include <stdint.h>

struct hak_span;

struct haks_own_pages {
    uint64_t page_size;
    uint64_t next_page;  /* metadata pages below are in use or lie in a gap */
    uint64_t meta_pages; /* in use */
    uint64_t heap_pages;
};

/* A span goes into use for the first time. Returns 1 if that takes further pages. */
int haks_own_span(struct haks_own_pages *o, const struct hak_span *span);

/* There are n heaps. Likewise. */
int haks_own_heaps(struct haks_own_pages *o, uint64_t n);

static inline uint64_t haks_own_total(const struct haks_own_pages *o) {
    return o->meta_pages + o->heap_pages;
}

#endif
