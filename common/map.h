/*
 * The one hash table of the house: uint64_t keys to uint64_t values, open addressing with linear
 * probing and deletion by backward shift (no tombstones, so a table that lives long under churn
 * stays as fast as a new one). Made for ids and addresses; the hot calls are inline.
 *
 * A key is never 0: an id or an address that is 0 means "none" everywhere in this project.
 * Memory is bounded by the largest number of keys held at once (16 bytes a slot, at most 3/4 full,
 * doubled when fuller; 22 to 43 bytes a key). It is never given back before hakc_map_fini.
 * Threads: none of it is synchronised. Not for keys that an adversary may choose: a flood of
 * colliding keys makes it slow (never wrong).
 */
#ifndef COMMON_MAP_H
#define COMMON_MAP_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

struct hakc_map_slot {
    uint64_t key; /* 0 = empty */
    uint64_t value;
};

struct hakc_map {
    struct hakc_map_slot *slots; /* owned; mask + 1 of them */
    size_t mask;                 /* slots - 1; slots is a power of two */
    size_t count;                /* keys held */
    size_t grow_at;              /* the count at which the table doubles first */
    unsigned shift;              /* 64 - log2(slots): the hash is the product's top bits */
};

/* Makes an empty map with room for `expected` keys (0 = a small default) before it first grows.
 * HAKC_ENOMEM. A zeroed struct is not a valid map, but hakc_map_fini takes one. */
int hakc_map_init(struct hakc_map *m, size_t expected);

/* Frees the slots. The map may be initialised again. */
void hakc_map_fini(struct hakc_map *m);

/* Removes every key; keeps the memory. */
void hakc_map_clear(struct hakc_map *m);

/* Doubles the table (called by hakc_map_put). HAKC_ENOMEM leaves it as it was. */
int hakc_map_grow(struct hakc_map *m);

/* Walks the keys in no particular order: start with *cursor = 0; returns the next slot or NULL at
 * the end. The map must not change during the walk, values may. */
struct hakc_map_slot *hakc_map_next(const struct hakc_map *m, size_t *cursor);

/* Where a key would stand without collisions. Fibonacci hashing: consecutive ids spread evenly. */
static inline size_t hakc_map_home(const struct hakc_map *m, uint64_t key) {
    return (size_t)((key * 0x9E3779B97F4A7C15ull) >> m->shift);
}

static inline size_t hakc_map_count(const struct hakc_map *m) {
    return m->count;
}

/* Starts loading the slot of a key that will be asked for soon. */
static inline void hakc_map_prefetch(const struct hakc_map *m, uint64_t key) {
    __builtin_prefetch(&m->slots[hakc_map_home(m, key)]);
}

/* The value of `key`, or NULL. Valid until the map next changes. */
static inline uint64_t *hakc_map_find(const struct hakc_map *m, uint64_t key) {
    for (size_t i = hakc_map_home(m, key);; i = (i + 1) & m->mask) {
        struct hakc_map_slot *s = &m->slots[i];
        if (s->key == key)
            return key != 0 ? &s->value : NULL;
        if (s->key == 0)
            return NULL;
    }
}

/* Sets key (not 0) to value, new or not. 0, or HAKC_ENOMEM with the map unchanged. */
static inline int hakc_map_put(struct hakc_map *m, uint64_t key, uint64_t value) {
    size_t i;
    if (m->count >= m->grow_at) {
        uint64_t *v = hakc_map_find(m, key);
        if (v != NULL) {
            *v = value;
            return 0;
        }
        int rc = hakc_map_grow(m);
        if (rc != 0)
            return rc;
    }
    for (i = hakc_map_home(m, key); m->slots[i].key != 0; i = (i + 1) & m->mask) {
        if (m->slots[i].key == key) {
            m->slots[i].value = value;
            return 0;
        }
    }
    m->slots[i].key = key;
    m->slots[i].value = value;
    m->count++;
    return 0;
}

/* Removes `key`. 1 if it was there, with its value in *value (may be NULL), else 0. */
static inline int hakc_map_take(struct hakc_map *m, uint64_t key, uint64_t *value) {
    size_t hole = hakc_map_home(m, key);
    while (m->slots[hole].key != key) {
        if (m->slots[hole].key == 0)
            return 0;
        hole = (hole + 1) & m->mask;
    }
    if (key == 0)
        return 0;
    if (value != NULL)
        *value = m->slots[hole].value;
    /* Close the gap: move back every later slot of the cluster whose home does not lie behind it.
     */
    for (size_t i = (hole + 1) & m->mask; m->slots[i].key != 0; i = (i + 1) & m->mask) {
        size_t home = hakc_map_home(m, m->slots[i].key);
        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].key = 0;
    m->count--;
    return 1;
}

#endif
