/* See safe.h. */
#include "alloc/safe.h"
#include "alloc/fast.h"

struct hak_safe hak_safe;

void hak_safe_init(uint32_t level) {
    uintptr_t random[2];
    hak_os_random(random);
    hak_safe.level = level;
    hak_safe.key = random[0] | 1; /* never the key of an aligned word of zeroes */
    hak_safe.secret = level >= 2 ? random[1] | 1 : 0;
}

/* ---- links ---------------------------------------------------------------------------------- */

void *hak_safe_link(const void *p, uintptr_t encoded) {
    uintptr_t v = encoded ^ hak_safe.secret;
    const struct hak_slab *of = hak_slab_lookup(p), *to = v ? hak_slab_lookup((void *)v) : of;
    if (!of || !to || v % 16 || to->use != HAK_UNIT_SLAB || to->bin_off != of->bin_off)
        hak_os_die("a free block was written to", p);
    return (void *)v;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static uintptr_t key_of(const void *p) {
    return hak_safe.key ^ (uintptr_t)p;
}

static uintptr_t *key_at(const void *p) {
    return (uintptr_t *)(uintptr_t)p + 1;
}

bool hak_safe_start(const struct hak_slab *head, const void *p) {
    if (head->use == HAK_UNIT_LARGE)
        return head->free == p;
    size_t off = (size_t)((const char *)p - (const char *)hak_unit_addr(head->span.unit));
    return off % head->block_size == 0 && off / head->block_size < head->capacity;
}

void hak_safe_in_use(const char *what, const struct hak_slab *s, const void *p) {
    if (!hak_safe_start(s, p) || *key_at(p) == key_of(p))
        hak_os_die(what, p);
}

void *hak_safe_alloc(struct hak_heap *h, size_t size) {
    void *p = likely(!hak_safe.secret) ? hak_fast_alloc(h, size, hak_heap_alloc_slow)
                                       : hak_heap_alloc_slow(size, h);
    if (likely(p))
        *key_at(p) = 0;
    return p;
}

/* Everything but a small block of h's own. */
static __attribute__((noinline)) void free_other(struct hak_heap *h, void *p) {
    struct hak_slab *s = p ? hak_slab_lookup(p) : NULL;
    if (s && s->use == HAK_UNIT_SLAB) {
        if (!hak_safe_start(s - s->back, p))
            hak_os_die("free(): not the start of a block", p);
        if (*key_at(p) == key_of(p))
            hak_os_die("free(): the block is free already", p);
        *key_at(p) = key_of(p);
    }
    hak_heap_free_slow(p, h);
}

void hak_safe_free(struct hak_heap *h, void *p) {
    uintptr_t unit = ((uintptr_t)p - hak_hot.base) >> HAK_UNIT_SHIFT;
    if (likely(unit < HAK_RELAXED(uintptr_t, hak_hot.units))) {
        struct hak_slab *s = &hak_hot.meta[unit];
        if (likely(hak_slab_owner(s) == h)) {
            struct hak_bin *bin = (struct hak_bin *)((char *)h + s->bin_off);
            uint32_t off = (uint16_t)(uintptr_t)p;
            if (likely(off * bin->inverse < bin->inverse)) { /* a multiple of the block's size */
                if (unlikely(*key_at(p) == key_of(p)))
                    hak_os_die("free(): the block is free already", p);
                *key_at(p) = key_of(p);
                hak_set_link(p, bin->list);
                bin->list = p;
                if (unlikely(--bin->room < 0))
                    hak_bin_overflow(h, bin);
                return;
            }
        }
    }
    free_other(h, p);
}
