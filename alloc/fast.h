/*
 * The hot paths, inlined into every caller: malloc and free of small sizes with a bin that has
 * room. 14 and 19 instructions on x86-64; everything else is a call away.
 */
#ifndef ALLOC_FAST_H
#define ALLOC_FAST_H

#include "alloc/internal.h"

/* gcc would move the result there at the end: one instruction in fifteen. */
#ifdef __x86_64__
#define HAK_IN_RETURN_REGISTER(p) __asm__("" : "+a"(p))
#else
#define HAK_IN_RETURN_REGISTER(p) ((void)0)
#endif

/* slow is a constant: it becomes a direct call; the arguments stand as in malloc, so that the tail
 * call moves no register. */
static inline __attribute__((always_inline)) void *
hak_fast_alloc(struct hak_heap *h, size_t size, void *(*slow)(size_t, struct hak_heap *)) {
    if (likely(size <= HAK_FINE_MAX)) {
        /* The class times the size of a bin, without computing the class. */
        struct hak_bin *bin =
            (struct hak_bin *)((char *)h + ((size + 15) & ~(size_t)15) * (sizeof *bin / 16));
        void *p = bin->list;
        HAK_IN_RETURN_REGISTER(p);
        if (likely(p)) {
            bin->list = *(void **)p;
            bin->room++;
            return p;
        }
    }
    return slow(size, h);
}

/* The same for sizes whose class takes a few instructions more; NULL: the bin is empty, or the size
 * is not one of these. */
static inline void *hak_fast_medium(struct hak_heap *h, size_t size) {
    if (size - HAK_FINE_MAX - 1 >= HAK_MEDIUM_MAX - HAK_FINE_MAX)
        return NULL;
    struct hak_bin *bin = &h->bin[hak_class_of(size)];
    void *p = bin->list;
    if (likely(p)) {
        bin->list = *(void **)p;
        bin->room++;
    }
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
    if (hak_slab_owner(s) != h || s->bin_off > HAK_FINE_CLASSES * sizeof(struct hak_bin))
        return false;
    size_t block = (size_t)s->bin_off * 16 / sizeof(struct hak_bin);
    return size <= block && size > block / 2;
}

#endif
