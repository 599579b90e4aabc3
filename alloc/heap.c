/* Heaps: bins, and the entry points behind the hot paths of fast.h. */
#include <string.h>
#include "alloc/fast.h"
#include "alloc/remote.h"
#include "alloc/safe.h"

const struct hak_heap hak_empty_heap;

/* Fills an empty bin. */
static bool bin_refill(struct hak_heap *h, unsigned c) {
    struct hak_bin *bin = &h->bin[c];
    uint32_t n;
    if (bin->spare) {
        bin->list = bin->spare;
        n = bin->nspare;
        bin->spare = NULL;
        bin->nspare = 0;
    } else {
        bin->list = hak_slab_refill(h, c, bin->magazine + !bin->magazine, &n);
        if (!bin->list)
            return false;
    }
    bin->room = (int32_t)bin->magazine - (int32_t)n;
    return true;
}

/* The list is one longer than a magazine: the magazine grows, or, at its limit, the list becomes
 * the spare, and the older spare goes home. */
void hak_bin_overflow(struct hak_heap *h, struct hak_bin *bin) {
    void *old = bin->spare;
    if (unlikely(!bin->magazine)) {
        old = bin->list;
        bin->list = NULL;
        bin->room = 0;
        hak_slab_return(h, old);
        return;
    }
    if (old && bin->magazine < bin->limit) {
        int more = bin->limit - bin->magazine;
        more = more < bin->magazine ? more : bin->magazine;
        bin->magazine = (uint16_t)(bin->magazine + more);
        bin->room += more;
        return;
    }
    bin->spare = bin->list;
    bin->nspare = (uint16_t)(bin->magazine - bin->room);
    bin->list = NULL;
    bin->room = (int32_t)bin->magazine;
    if (old)
        hak_slab_return(h, old);
}

void hak_heap_flush(struct hak_heap *h) {
    hak_remote_send(h);
    for (unsigned c = 1; c < HAK_CLASSES; c++) {
        struct hak_bin *bin = &h->bin[c];
        void *list = bin->list, *spare = bin->spare;
        bin->list = bin->spare = NULL;
        bin->nspare = 0;
        bin->magazine = bin->start;
        bin->room = (int32_t)bin->magazine;
        hak_slab_return(h, list);
        hak_slab_return(h, spare);
    }
    hak_remote_collect(h);
}

static void *bin_pop(struct hak_bin *bin) {
    void *p = bin->list;
    bin->list = hak_link(p);
    bin->room++;
    return p;
}

/* Memory is short: a free block of the next larger class that has one, without a new slab. Under an
 * RLIMIT_DATA of 1 MB a program gets along with the slabs of a few classes so. */
static void *larger_block(struct hak_heap *h, unsigned c) {
    while (++c < HAK_CLASSES) {
        struct hak_bin *bin = &h->bin[c];
        if (bin->list || ((bin->spare || h->avail[c]) && bin_refill(h, c)))
            return bin_pop(bin);
    }
    return NULL;
}

void *hak_heap_alloc_slow(size_t size, struct hak_heap *h) {
    if (unlikely(size > HAK_MEDIUM_MAX)) {
        bool zero;
        return hak_large_alloc(size, 1, &zero);
    }
    size += !size;
    if (unlikely(hak_supers || hak_coarse) && size > 16)
        size = (size_t)1 << (64 - __builtin_clzll(size - 1));
    unsigned c = hak_class_of(size);
    struct hak_bin *bin = &h->bin[c];
    if (unlikely(!bin->list) && unlikely(!bin_refill(h, c))) {
        bool zero; /* a span of its own is smaller than a slab of medium blocks */
        void *p = size > HAK_SMALL_MAX ? hak_large_alloc(size, 1, &zero) : NULL;
        return p ? p : larger_block(h, c);
    }
    return bin_pop(bin);
}

void *hak_heap_alloc(struct hak_heap *h, size_t size) {
    if (unlikely(hak_safe.level))
        return hak_safe_alloc(h, size);
    return hak_fast_alloc(h, size, hak_heap_alloc_slow);
}

void *hak_heap_calloc(struct hak_heap *h, size_t size) {
    if (size > HAK_MEDIUM_MAX) {
        bool zero;
        void *p = hak_large_alloc(size, 1, &zero);
        return p && !zero ? memset(p, 0, size) : p;
    }
    void *p = hak_heap_alloc(h, size);
    return p ? memset(p, 0, size) : NULL;
}

void *hak_heap_alloc_aligned(struct hak_heap *h, size_t align, size_t size) {
    bool zero;
    if (align <= 16)
        return hak_heap_alloc(h, size);
    if (align > HAK_MEDIUM_MAX || size > HAK_MEDIUM_MAX)
        return hak_large_alloc(size, align, &zero);
    /* Slabs start on a multiple of 64 KiB, so all blocks of a class whose size is a multiple of
     * the alignment are aligned; the next power of two always is such a class. */
    size_t n = (size + !size + align - 1) & ~(align - 1);
    for (unsigned c = hak_class_of(n); c < HAK_CLASSES; c++)
        if (hak_class_size(c) % align == 0) {
            void *p = hak_heap_alloc(h, hak_class_size(c));
            if (likely((uintptr_t)p % align == 0))
                return p;
            hak_heap_free(h, p); /* of a larger class, as memory is short */
            break;
        }
    return hak_large_alloc(size, align, &zero);
}

void hak_heap_free_slow(void *p, struct hak_heap *h) {
    uintptr_t unit = ((uintptr_t)p - hak_hot.base) >> HAK_UNIT_SHIFT;
    struct hak_slab *s = &hak_hot.meta[unit];
    if (unlikely(unit >= HAK_RELAXED(uintptr_t, hak_hot.units))) {
        if (!p)
            return;
        s = hak_slab_lookup(p);
        if (unlikely(!s))
            hak_os_die("free(): pointer was not allocated here", p);
    }
    switch (s->use) {
    case HAK_UNIT_SLAB:
        if (hak_slab_owner(s) == h) {
            struct hak_bin *bin = (struct hak_bin *)((char *)h + s->bin_off);
            hak_set_link(p, bin->list);
            bin->list = p;
            if (--bin->room < 0)
                hak_bin_overflow(h, bin);
        } else {
            hak_remote_free(h, s, p);
        }
        return;
    case HAK_UNIT_LARGE:
        hak_large_free(s, p);
        return;
    default:
        hak_os_die("free(): pointer into free memory", p);
    }
}

void hak_heap_free(struct hak_heap *h, void *p) {
    if (unlikely(hak_safe.level))
        hak_safe_free(h, p);
    else
        hak_fast_free(h, p, hak_heap_free_slow);
}

/* The metadata of a block that must be in use. */
static struct hak_slab *head_in_use(const char *what, const void *p) {
    struct hak_slab *s = hak_slab_lookup(p);
    if (!s || s->use == HAK_UNIT_FREE)
        hak_os_die(what, p);
    return s - s->back;
}

size_t hak_usable_size(const void *p) {
    const struct hak_slab *s = head_in_use("malloc_usable_size(): no such block", p);
    return s->use == HAK_UNIT_SLAB ? s->block_size : hak_large_usable(s);
}

void *hak_heap_realloc(struct hak_heap *h, void *p, size_t size) {
    if (!p)
        return hak_heap_alloc(h, size);
    if (!size) {
        hak_heap_free(h, p);
        return NULL;
    }
    struct hak_slab *s = head_in_use("realloc(): no such block", p);
    if (s->use == HAK_UNIT_LARGE)
        return hak_large_realloc(h, s, p, size);
    if (unlikely(hak_safe.level))
        hak_safe_in_use("realloc(): not a block in use", s, p);
    if (size <= s->block_size && size > s->block_size / 2)
        return p;
    if (size <= s->block_size && s->block_size <= 32)
        return p;
    bool zero;
    void *q = size > HAK_MEDIUM_MAX ? hak_large_grow(size, &zero) : hak_heap_alloc(h, size);
    if (q) {
        memcpy(q, p, size < s->block_size ? size : s->block_size);
        hak_heap_free(h, p);
    }
    return q;
}
