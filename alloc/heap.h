/*
 * libhakmem's core: explicit heaps over one shared pool. malloc.c puts glibc's names on it and
 * gives each thread a heap; the simulator drives it with one heap per traced thread.
 *
 * Glossary
 *   unit       64 KiB of address space; what placement counts in.
 *   slab       64 KiB (small) or 512 KiB (medium) of blocks of one size class.
 *   span       a slab or a large object: what becomes free as one (alloc/spans.h).
 *   arena      a reservation of address space with the metadata of its units at its head.
 *   heap       one thread's blocks: a bin per size class, and the slabs it owns.
 *   bin        LIFO list of free blocks of one class, taken from any slab of its heap, with a
 *              spare list behind it; at most two magazines long.
 *   remote     freed by a thread whose heap does not own the slab.
 *   parcel     remote frees of one slab that travel together (alloc/remote.h); the owner takes them
 *              in when it next runs out.
 *
 * Threads: a heap is used by one thread at a time; different heaps concurrently. hak_heap_free
 * takes any block of any heap. The core changes errno nowhere.
 */
#ifndef ALLOC_HEAP_H
#define ALLOC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "alloc/policy/policy.h"

struct hak_heap;
struct hak_span;

#define HAK_SMALL_MAX ((size_t)8 << 10) /* largest class in 64 KiB slabs */
#define HAK_MEDIUM_MAX                                                                             \
    ((size_t)64 << 10) /* largest class in 512 KiB slabs; above: large objects                     \
                        */
#define HAK_POLICY_DEFAULT "budget:pct=2,huge=16MiB" /* docs/policies.md says why */

/* Once per process, before any heap: sets the policy. Returns 0 or an errno value. */
int hak_core_init(const struct hakp_spec *spec);

/* A heap: a retired one if there is one, else new. NULL when memory is short. */
struct hak_heap *hak_heap_new(void);

/* The thread is done with it: caches go back to their slabs, empty slabs to the pool. The heap
 * keeps its other slabs for the next hak_heap_new, or until another heap takes them over. */
void hak_heap_retire(struct hak_heap *h);

/* At least `size` bytes (0 counts as 1), aligned to 16. NULL when memory is short. */
void *hak_heap_alloc(struct hak_heap *h, size_t size);

/* The same, zeroed. Memory that came fresh from the system is not written again. */
void *hak_heap_calloc(struct hak_heap *h, size_t size);

/* Aligned to align, a power of two up to 2^40. */
void *hak_heap_alloc_aligned(struct hak_heap *h, size_t align, size_t size);

/* NULL is fine. A pointer that is not a block's start dies with a message (hak_os_die) where the
 * metadata shows it. */
void hak_heap_free(struct hak_heap *h, void *p) __attribute__((nonnull(1)));

/* p may be NULL; size 0 frees and returns NULL, as in glibc. NULL otherwise: memory is short and p
 * lives on. In place where the block fits and would not be more than half empty. */
void *hak_heap_realloc(struct hak_heap *h, void *p, size_t size);

/* Bytes that may be used at p, a block in use. */
size_t hak_usable_size(const void *p);

/* Gives back what can be: h's caches (NULL: none) and, as the policy says, the pool's free spans.
 * Returns the pages released. */
uint64_t hak_core_trim(struct hak_heap *h);

/* ---- clock, policy, statistics ------------------------------------------------------------- */

/* ns as the policy sees it; UINT64_MAX = the system's clock again. */
void hak_core_set_clock(uint64_t now_ns);

/* The policy in force, as its canonical string; returns its length as snprintf does. */
int hak_core_policy(char *buf, size_t len);

/* Another policy from now on: it begins anew, and what it does not want to keep goes at once. What
 * moves placement (hakp_own_placement) stays as the process began. */
void hak_core_set_policy(const struct hakp_spec *spec);

struct hak_core_stats {
    uint64_t committed_bytes; /* address space made usable so far */
    uint64_t active_pages, dirty_pages, dirty_spans;
    uint64_t release_rounds, release_calls, released_spans, released_pages, release_failures;
    uint64_t heaps, retired_heaps, policy_switches;
};
void hak_core_stats(struct hak_core_stats *out);

/* ---- fork: call around fork(2) from pthread_atfork handlers -------------------------------- */
void hak_core_fork_prepare(void);
void hak_core_fork_parent(void);
/* mine: the forking thread's heap (may be NULL). The heaps of threads that do not exist in the
 * child are left alone for ever: their lists may have been in the middle of a change. */
void hak_core_fork_child(struct hak_heap *mine);

/* ---- observing spans (the simulator) ------------------------------------------------------- */

enum hak_span_event {
    HAK_SPAN_FRESH, /* a span that was never free goes into use: pages of address space known */
    HAK_SPAN_TAKEN, /* a free span goes into use again; span->state still says what it was */
    HAK_SPAN_PUT,   /* about to become free; span->used_pages is current */
    HAK_SPAN_TOUCH, /* its first span->used_pages pages may be resident from now on */
    HAK_SPAN_LOOK,  /* no span (NULL): the pool looks at the clock, whether or not the policy wants
                     * it to */
    HAK_SPAN_MOVED, /* its pages were moved to the span of the TOUCH before (realloc): it is clean
                     */
};

/* On slow paths only, under the pool lock except for TOUCH and LOOK. pages: TOUCH's; of FRESH and
 * TAKEN, what was asked for; else 0. Nothing of it but span->state and used_pages depends on the
 * policy. NULL = off. Set before the first allocation. */
typedef void hak_observe_fn(void *ctx, enum hak_span_event ev, const struct hak_span *span,
                            uint32_t pages);
void hak_core_observe(hak_observe_fn *fn, void *ctx);

#endif
