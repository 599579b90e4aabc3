/*
 * The collector's live objects: address -> allocation id and size. Open addressing with linear
 * probing and deletion by backward shift, as common/map.h, and made for this one use:
 *
 *   - 16 bytes a slot hold address, id and size, so that nobody else has to keep sizes;
 *   - addresses within 256 bytes share two cache lines, as neighbours are often used together;
 *   - one call both looks whether an address is taken and takes it;
 *   - huge pages where the system gives them on request.
 *
 * Memory: 26 to 51 bytes an object at the highest number of objects, never given back before
 * hakt_live_fini. Threads: not synchronised.
 */
#ifndef TRACER_LIVE_TABLE_H
#define TRACER_LIVE_TABLE_H

#include "common/map.h"

#include <stddef.h>
#include <stdint.h>

#define HAKT_LIVE_SIZE_BITS 20 /* a size of 2^20 - 1 or more stands in a table of its own */
#define HAKT_LIVE_SIZE_MAX  ((1u << HAKT_LIVE_SIZE_BITS) - 1)
#define HAKT_LIVE_ID_LIMIT  (1ull << (64 - HAKT_LIVE_SIZE_BITS)) /* ids lie below */

struct hakt_live_slot {
    uint64_t addr;   /* 0 = empty */
    uint64_t packed; /* id << 20 | size, at most HAKT_LIVE_SIZE_MAX */
};

struct hakt_live {
    struct hakt_live_slot *slots;
    size_t mask, count, grow_at;
    unsigned shift;        /* 64 - log2(slots / 8) */
    struct hakc_map large; /* id -> size, of the large ones */
};

int hakt_live_init(struct hakt_live *t); /* 0 or HAKC_ENOMEM */
void hakt_live_fini(struct hakt_live *t);

int hakt_live_grow(struct hakt_live *t); /* for hakt_live_add alone */
int hakt_live_add_large(struct hakt_live *t, uint64_t id, uint64_t size);
uint64_t hakt_live_take_large(struct hakt_live *t, uint64_t id);

static inline size_t hakt_live_home(const struct hakt_live *t, uint64_t addr) {
    size_t region = (size_t)(((addr >> 8) * 0x9E3779B97F4A7C15ull) >> t->shift);
    return region << 3 | (addr >> 5 & 7);
}

/* Starts loading the slot of an address that will be asked for soon. */
static inline void hakt_live_prefetch(const struct hakt_live *t, uint64_t addr) {
    __builtin_prefetch(&t->slots[hakt_live_home(t, addr)]);
}

/* Adds an object at addr (not 0). 0; 1: the address is taken, nothing was changed; HAKC_ENOMEM, or
 * HAKC_EUNSUPPORTED: the id passes HAKT_LIVE_ID_LIMIT. */
static inline int hakt_live_add(struct hakt_live *t, uint64_t addr, uint64_t id, uint64_t size) {
    size_t i;
    int rc;
    for (i = hakt_live_home(t, addr); t->slots[i].addr != 0; i = (i + 1) & t->mask) {
        if (t->slots[i].addr == addr)
            return 1;
    }
    if (__builtin_expect(id >= HAKT_LIVE_ID_LIMIT, 0))
        return HAKC_EUNSUPPORTED;
    if (__builtin_expect(size >= HAKT_LIVE_SIZE_MAX, 0)) {
        if ((rc = hakt_live_add_large(t, id, size)) != 0)
            return rc;
        size = HAKT_LIVE_SIZE_MAX;
    }
    t->slots[i] = (struct hakt_live_slot){addr, id << HAKT_LIVE_SIZE_BITS | size};
    return ++t->count >= t->grow_at ? hakt_live_grow(t) : 0;
}

/* Removes the object at addr. 1 with its id and size, or 0: there is none. */
static inline int hakt_live_take(struct hakt_live *t, uint64_t addr, uint64_t *id, uint64_t *size) {
    size_t hole = hakt_live_home(t, addr);
    while (t->slots[hole].addr != addr) {
        if (t->slots[hole].addr == 0)
            return 0;
        hole = (hole + 1) & t->mask;
    }
    if (addr == 0)
        return 0;
    *id = t->slots[hole].packed >> HAKT_LIVE_SIZE_BITS;
    *size = t->slots[hole].packed & HAKT_LIVE_SIZE_MAX;
    if (__builtin_expect(*size == HAKT_LIVE_SIZE_MAX, 0))
        *size = hakt_live_take_large(t, *id);
    for (size_t i = (hole + 1) & t->mask; t->slots[i].addr != 0; i = (i + 1) & t->mask) {
        size_t home = hakt_live_home(t, t->slots[i].addr);
        if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].addr = 0;
    t->count--;
    return 1;
}

#endif
