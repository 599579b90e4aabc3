/*
 * The live objects of a pass over a trace: allocation id to address. Ids are consecutive, and most
 * objects are freed among their neighbours, so a line of the table (one of the caches') holds seven
 * consecutive ids: a new id is mostly in the line of the one before it, where a table of single ids
 * enters a line of its own at each. Open addressing by line, linear probing; a line that gets empty
 * is removed by backward shift, where another one has passed its place.
 *
 * Memory is bounded by what is live at once: 12 to 24 bytes an object where they lie together, at
 * most 171 where all others around each are gone; twice that in tables of up to 4 MiB. It is never
 * given back before the end.
 * Threads: not synchronised.
 */
#ifndef SIM_LIVE_BLOCKS_H
#define SIM_LIVE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define HAKS_LIVE_IDS 7u /* of a line */

struct haks_live_line {
    uint64_t key; /* (its number + 1) << 4 | passed << 3 | objects that it holds; 0 = empty. passed:
                     one that belongs here or before lies behind it */
    uint64_t addr[HAKS_LIVE_IDS]; /* 0 = not live */
};

struct haks_live {
    struct haks_live_line *lines; /* owned; mask + 1 of them */
    size_t mask, count, grow_at;  /* lines; in use; how many make it grow */
    unsigned shift;               /* 64 - log2(lines) */
};

/* 0 or HAKC_ENOMEM. A zeroed struct may be given to _fini. */
int haks_live_init(struct haks_live *t);
void haks_live_fini(struct haks_live *t);

/* Ids from 1 on, below 2^60; addr is not 0. Of an id that is live the address is replaced. 0, or
 * HAKC_ENOMEM with nothing changed. */
int haks_live_put(struct haks_live *t, uint64_t id, uint64_t addr);

/* Removes an object: its address, or 0 if it is not live. */
uint64_t haks_live_take(struct haks_live *t, uint64_t id);

static inline size_t haks_live_home(const struct haks_live *t, uint64_t line) {
    return (size_t)((line * 0x9E3779B97F4A7C15ull) >> t->shift);
}

/* Starts loading the line of an id that will be asked for soon. */
static inline void haks_live_prefetch(const struct haks_live *t, uint64_t id) {
    __builtin_prefetch(&t->lines[haks_live_home(t, id / HAKS_LIVE_IDS + 1)], 1);
}

#endif
