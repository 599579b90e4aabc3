/*
 * The hot paths, inlined into every caller: malloc and free of small sizes with a bin that has
 * room. 14 and 19 instructions on x86-64; everything else is a call away.
 */
#ifndef ALLOC_FAST_H
#define ALLOC_FAST_H

#include "alloc/internal.h"

/* Three instructions in fifteen that gcc would add: to move the result into the return register at
 * the end, to compare before a shift what it needs after it, and to add up an address that it uses
 * three times, where each use can add it up by itself. */
#ifdef __x86_64__
#define HAK_IN_RETURN_REGISTER(p) __asm__("" : "+a"(p))
#define HAK_AS_IT_IS(x)           __asm__("" : "+r"(x))
#else
#define HAK_IN_RETURN_REGISTER(p) ((void)0)
#define HAK_AS_IT_IS(x)           ((void)0)
#endif

/* A hot function begins a line of the instruction cache. */
#define HAK_LINE __attribute__((aligned(64)))

static inline __attribute__((always_inline)) struct hak_bin *hak_bin_at(struct hak_heap *h,
                                                                        size_t off) {
    return (struct hak_bin *)((char *)h + off);
}

/* slow is a constant: it becomes a direct call; the arguments stand as in malloc, so that the tail
 * call moves no register. */
static inline __attribute__((always_inline)) void *
hak_fast_alloc(struct hak_heap *h, size_t size, void *(*slow)(size_t, struct hak_heap *)) {
    size_t i = (size + 15) >> 4; /* 0, whose bin is empty, for sizes that wrap around */
    HAK_AS_IT_IS(i);
    if (likely(i <= HAK_FINE_MAX / 16)) {
        size_t off = h->fine[i];
        void *p = hak_bin_at(h, off)->list;
        HAK_IN_RETURN_REGISTER(p);
        if (likely(p)) {
            void *next = *(void **)p;
            HAK_AS_IT_IS(off);
            hak_bin_at(h, off)->list = next;
            HAK_AS_IT_IS(off);
            hak_bin_at(h, off)->room++;
            return p;
        }
    }
    return slow(size, h);
}

/* The same for all sizes of slabs, also where the list is used up and the spare takes its place;
 * NULL: the bin is empty, or the size is not one of these. */
static inline void *hak_fast_medium(struct hak_heap *h, size_t size) {
    if (size - 1 >= HAK_MEDIUM_MAX)
        return NULL;
    struct hak_bin *bin = &h->bin[hak_class_of(size)];
    void *p = bin->list;
    if (unlikely(!p)) {
        p = bin->spare;
        if (!p)
            return NULL;
        bin->room = (int32_t)bin->magazine - (int32_t)bin->nspare;
        bin->spare = NULL;
        bin->nspare = 0;
    }
    bin->list = *(void **)p;
    bin->room++;
    return p;
}

static inline __attribute__((always_inline)) void
hak_fast_free(struct hak_heap *h, void *p, void (*slow)(void *, struct hak_heap *)) {
    uintptr_t unit = ((uintptr_t)p - hak_hot.base) >> HAK_UNIT_SHIFT;
    if (likely(unit < HAK_RELAXED(uintptr_t, hak_hot.units))) {
        struct hak_slab *s = &hak_hot.meta[unit];
        if (likely(hak_slab_owner(s) == h)) {
            struct hak_bin *bin = (struct hak_bin *)((char *)h + s->bin_off);
            *(void **)p = bin->list;
            bin->list = p;
            if (unlikely(--bin->room < 0))
                hak_bin_overflow(h, bin);
            return;
        }
    }
    slow(p, h);
}

/* realloc of a small block of h's that stays where it is: it fits, and is more than half full. */
static inline __attribute__((always_inline)) bool hak_fast_fits(struct hak_heap *h, void *p,
                                                                size_t size) {
    uintptr_t unit = ((uintptr_t)p - hak_hot.base) >> HAK_UNIT_SHIFT;
    if (unit >= HAK_RELAXED(uintptr_t, hak_hot.units))
        return false;
    const struct hak_slab *s = &hak_hot.meta[unit];
    if (hak_slab_owner(s) != h)
        return false;
    size_t block = s->block_size;
    return size <= block && size > block / 2;
}

#endif
