/*
 * Safety levels (HAKMEM_SAFE, docs/man/hakmem.7): what is checked beside what the look-up finds for
 * nothing.
 *
 *   1   a key in the second word of each free block: freed twice is seen when it happens. A pointer
 *       that is not a block's start is seen as well.
 *   2   the links of free lists are encoded with a secret of the process, and what is decoded must
 *       be a block of the same size class: written after free is seen before it does harm.
 *   3   a block's end is guarded to the byte, freed blocks wait in quarantine, filled with a
 * pattern (guard.h).
 *
 * How level 0 pays nothing: from level 1 on a thread's fast paths see the empty heap for ever
 * (malloc_thread.c), so that they miss by construction and everything takes the slow entry, which
 * asks for the level. Links in slow paths are read through hak_link, whose secret is 0 below level
 * 2.
 */
#ifndef ALLOC_SAFE_H
#define ALLOC_SAFE_H

#include "alloc/internal.h"

struct hak_safe {
    uintptr_t secret; /* of links; 0 below level 2 */
    uintptr_t key;    /* of free blocks, from level 1 on */
    uint32_t level;
};

/* Set once, before the first block. */
extern struct hak_safe hak_safe __attribute__((visibility("hidden")));
void hak_safe_init(uint32_t level);

/* ---- links of free lists (level 2) ---- */

/* Decodes the link found in block p; dies where it cannot be one. */
void *hak_safe_link(const void *p, uintptr_t encoded);

static inline void *hak_link(const void *p) {
    uintptr_t v = *(const uintptr_t *)p;
    return likely(!hak_safe.secret) ? (void *)v : hak_safe_link(p, v);
}

static inline void hak_set_link(void *p, const void *to) {
    *(uintptr_t *)p = (uintptr_t)to ^ hak_safe.secret;
}

/* ---- the core's entry points from level 1 on: a heap's own allocation and free ---- */

void *hak_safe_alloc(struct hak_heap *h, size_t size);
void hak_safe_free(struct hak_heap *h, void *p);

/* p is where a block of the span starts. */
bool hak_safe_start(const struct hak_slab *head, const void *p);

/* A block that is in use, or the process dies with `what`. s: the head of its slab. */
void hak_safe_in_use(const char *what, const struct hak_slab *s, const void *p);

#endif
