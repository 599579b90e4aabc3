/*
 * The collector's live objects: address -> allocation id and size. Open addressing with linear
 * probing, made for this one use:
 *
 *   - 16 bytes a slot hold address, id and size, so that nobody else has to keep sizes;
 *   - addresses within 256 bytes share two cache lines, as neighbours are often used together;
 *   - one call both looks whether an address is taken and takes it;
 *   - a slot counts the objects that lie behind it although they belong before: a search ends at a
 *     slot that nobody passed, so a removal moves nothing, leaves nothing behind, and looks at one
 *     slot if the object lies where it belongs;
 *   - huge pages where the system gives them on request.
 *
 * Addresses lie below HAKT_LIVE_ADDR_LIMIT. Memory: 26 to 51 bytes an object at the highest number
 * of objects, never given back before hakt_live_fini. Threads: not synchronised.
 */
#ifndef TRACER_LIVE_TABLE_H
#define TRACER_LIVE_TABLE_H

#include "common/map.h"

#include <stddef.h>
#include <stdint.h>

#define HAKT_LIVE_SIZE_BITS 20 /* a size of 2^20 - 1 or more stands in a table of its own */
#define HAKT_LIVE_SIZE_MAX  ((1u << HAKT_LIVE_SIZE_BITS) - 1)
#define HAKT_LIVE_ID_LIMIT  (1ull << (64 - HAKT_LIVE_SIZE_BITS)) /* ids lie below */

#define HAKT_LIVE_ADDR_BITS  56 /* all that a process can have on x86-64 */
#define HAKT_LIVE_ADDR_LIMIT (1ull << HAKT_LIVE_ADDR_BITS)
#define HAKT_LIVE_ADDR_MASK  (HAKT_LIVE_ADDR_LIMIT - 1)
#define HAKT_LIVE_PASSED_ONE HAKT_LIVE_ADDR_LIMIT

struct hakt_live_slot {
    /* The address, 0 = none; above it how many objects passed this slot on their way from where
     * they belong to where they lie. 255 is never lowered again. */
    uint64_t addr;
    uint64_t packed; /* id << 20 | size, at most HAKT_LIVE_SIZE_MAX */
};

struct hakt_live {
    struct hakt_live_slot *slots;
    size_t mask, count, grow_at;
    unsigned shift;        /* 64 - log2(slots) */
    struct hakc_map large; /* id -> size, of the large ones */
};

int hakt_live_init(struct hakt_live *t); /* 0 or HAKC_ENOMEM */
void hakt_live_fini(struct hakt_live *t);

/* Eight slots belong to 256 bytes; which of them is whose differs from one such place to the next,
 * as objects at the same distance are common. */
static inline size_t hakt_live_home(const struct hakt_live *t, uint64_t addr) {
    return (size_t)(((addr >> 8) * 0x9E3779B97F4A7C15ull) >> t->shift) ^ (addr >> 5 & 7);
}

/* Starts loading the slot of an address that will be asked for soon. */
static inline void hakt_live_prefetch(const struct hakt_live *t, uint64_t addr) {
    __builtin_prefetch(&t->slots[hakt_live_home(t, addr)], 1);
}

/* Adds an object at addr, from 1 to below HAKT_LIVE_ADDR_LIMIT. 0; 1: the address is taken, nothing
 * was changed; HAKC_ENOMEM, or HAKC_EUNSUPPORTED: the id passes HAKT_LIVE_ID_LIMIT. */
int hakt_live_add(struct hakt_live *t, uint64_t addr, uint64_t id, uint64_t size);

/* Removes the object at addr. 1 with its id and size, or 0: there is none. */
int hakt_live_take(struct hakt_live *t, uint64_t addr, uint64_t *id, uint64_t *size);

/* Twice the slots, once there are grow_at objects: hakt_live_add does it itself. */
int hakt_live_grow(struct hakt_live *t);

/*
 * The usual case of both, without a branch on which of them it is: the object lies, or will lie,
 * where it belongs, and its size fits. Adds (is_free 0) or removes (is_free 1) the object; *id and
 * *size are what hakt_live_add is given, or what hakt_live_take returns. 0: another case, nothing
 * was changed. The caller has checked address and id, and asks for hakt_live_grow.
 */
static inline int hakt_live_quick(struct hakt_live *t, uint64_t addr, unsigned is_free,
                                  uint64_t *id, uint64_t *size) {
    struct hakt_live_slot *slot = &t->slots[hakt_live_home(t, addr)];
    uint64_t have = slot->addr, packed = slot->packed, free_mask = 0 - (uint64_t)is_free;
    uint64_t bits = ~free_mask | HAKT_LIVE_ADDR_MASK; /* added: nobody may have passed */
    uint64_t found_size = (packed & HAKT_LIVE_SIZE_MAX & free_mask) | (*size & ~free_mask);
    if (__builtin_expect((have & bits) != (addr & free_mask), 0) ||
        __builtin_expect(found_size >= HAKT_LIVE_SIZE_MAX, 0))
        return 0;
    packed = (packed & free_mask) | ((*id << HAKT_LIVE_SIZE_BITS | found_size) & ~free_mask);
    slot->addr = (have & ~HAKT_LIVE_ADDR_MASK) | (addr & ~free_mask);
    slot->packed = packed;
    t->count += 1 - 2 * (size_t)is_free;
    *id = packed >> HAKT_LIVE_SIZE_BITS;
    *size = found_size;
    return 1;
}

#endif
