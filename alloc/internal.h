/*
 * What the files of the allocator share: the layout of arenas, slabs and heaps. Not for others.
 */
#ifndef ALLOC_INTERNAL_H
#define ALLOC_INTERNAL_H

#include <stdatomic.h>
#include "alloc/classes.h"
#include "alloc/heap.h"
#include "alloc/os.h"
#include "alloc/spans.h"

#define HAK_UNIT         ((size_t)1 << HAK_UNIT_SHIFT)
#define HAK_SUPER        ((size_t)2 << 20) /* SuperSlab: what the arena commits at least */
#define HAK_SUPER_UNITS  ((uint32_t)(HAK_SUPER / HAK_UNIT))
#define HAK_SMALL_UNITS  1u
#define HAK_MEDIUM_UNITS 8u

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum hak_unit_use {
    HAK_UNIT_FREE = 0, /* all zero: never used, or in the pool */
    HAK_UNIT_SLAB,
    HAK_UNIT_LARGE,
};

/*
 * Metadata of one unit, outside the unit. Of a span of several units the first one's is the head
 * and holds the state; the others repeat owner and bin_off of a slab, so that free needs one
 * look-up. The first line is read by every free of a block in the unit; the second is written by
 * others.
 */
struct hak_slab {
    _Atomic(struct hak_heap *) owner; /* the heap that may touch the slab's lists; NULL: no slab */
    uint16_t bin_off;                 /* offset of the class's bin in any heap */
    uint8_t use;                      /* enum hak_unit_use */
    uint8_t available; /* head: linked in its heap's list of slabs with free blocks */
    uint32_t back;     /* units back to the head */
    void *free;        /* head, slab: free blocks; head, large: the user's pointer */
    uint32_t nfree;    /* blocks on free */
    uint32_t used;     /* blocks out: in use or in a heap's bins */
    uint32_t carved;   /* blocks handed out at least once; head, large: pages the object has had */
    uint32_t capacity;
    struct hak_slab *next, *prev; /* in the heap's list of available slabs */
    uint32_t block_size;
    uint16_t maps; /* head, large: mappings that moves have cut its span into; 0 = none */
    uint16_t huge; /* head, large: 2 MiB pieces of its span, from the start, that asked for huge
                      pages; what one of them holds may be resident as a whole */
    _Alignas(64) _Atomic(uintptr_t) remote; /* parcels from others; 0 = not in a pending list */
    struct hak_slab *pending_next;
    struct hak_span span;
};
_Static_assert(sizeof(struct hak_slab) == 128, "one slab's metadata is two cache lines");

struct hak_bin {
    void *list;        /* free blocks, LIFO; a block's first word is its link */
    int32_t room;      /* magazine - length of list */
    uint16_t magazine; /* from start to limit; 0: caches nothing, each block goes home at once */
    uint16_t nspare;   /* blocks on spare */
    void *spare;       /* an older list, given back to the slabs when the next one is full */
    uint16_t start, limit; /* of magazine: it grows where blocks come back by the hundred */
    uint32_t inverse; /* n is a multiple of the block's size iff n * inverse < inverse, for offsets
                         in a small slab; 0: not to be told so */
};
_Static_assert(sizeof(struct hak_bin) == 32, "bins are indexed by a shift");

enum hak_heap_state {
    HAK_HEAP_LIVE,
    HAK_HEAP_RETIRED, /* its thread has ended; on the pool's list */
    HAK_HEAP_HELD,    /* retired, and taken off the list by a thread that looks into it */
    HAK_HEAP_DEAD,    /* of a thread that fork left behind */
};

/* Blocks of one slab that a heap's thread has freed and not sent to its owner yet (remote.h). */
#define HAK_PARCELS       16
#define HAK_PARCEL_BLOCKS 26
#define HAK_PARCEL_BYTES  ((size_t)8 << 10)
struct hak_parcel {
    struct hak_slab *head;
    uint16_t n, most;
    uint16_t low[HAK_PARCEL_BLOCKS]; /* of their addresses */
};
_Static_assert(sizeof(struct hak_parcel) == 64, "one line of memory");

/* Each part of the tail has lines of its own: others read `state` at every free of a block of this
 * heap's, and write `pending`. */
struct hak_heap {
    struct hak_bin bin[HAK_CLASSES];      /* first: hak_slab.bin_off counts from here */
    uint16_t fine[HAK_FINE_MAX / 16 + 1]; /* offset of the bin for (size + 15) / 16 */
    struct hak_slab *avail[HAK_CLASSES];
    uint32_t units;   /* of the slabs it owns */
    uint32_t refills; /* since the pool looked at the clock last */
    uint16_t singles; /* remote frees before it packs parcels */
    bool packs;
    _Alignas(64) _Atomic(enum hak_heap_state) state; /* changes under the pool lock */
    uint32_t number;                                 /* of the heap, from 0 */
    struct hak_heap *next;                           /* all heaps */
    struct hak_heap *next_retired, *prev_retired;
    _Alignas(64) _Atomic(struct hak_slab *) pending; /* slabs with remote frees */
    _Alignas(64) struct hak_parcel parcel[HAK_PARCELS];
};

struct hak_arena {
    uintptr_t base; /* of unit number first_unit; aligned to HAK_SUPER */
    uint32_t first_unit;
    uint32_t units;        /* reserved */
    _Atomic(uint32_t) top; /* handed out so far, from the start */
    uint32_t committed;    /* usable so far */
    struct hak_slab *meta;
    size_t meta_committed; /* bytes */
};

/* What free reads of the first arena, in one line; all other arenas take the slow path. base and
 * meta are set once, by hak_core_init, before there is any block. */
struct hak_hot {
    uintptr_t base;
    struct hak_slab *meta;
    _Atomic(uintptr_t) units; /* handed out so far */
};
extern struct hak_hot hak_hot __attribute__((visibility("hidden")));

/* A heap that is always empty: what a thread has before its first slow path. Never written. */
extern const struct hak_heap hak_empty_heap __attribute__((visibility("hidden")));

/* ---- arena.c ---- */
/* Reserves the first arena; under the pool lock. If the system refuses, hak_arena_grow tries again,
 * and free is slower. */
void hak_arena_init(void);
/* The metadata of the unit that p lies in, or NULL if p is in no arena. Safe for any p. */
struct hak_slab *hak_slab_lookup(const void *p);
struct hak_slab *hak_unit_slab(uint32_t unit);
void *hak_unit_addr(uint32_t unit);
/* Fresh, committed units in a row; under the pool lock. NULL: no memory. */
struct hak_slab *hak_arena_grow(uint32_t units);
/* One unit, next to others that were got so. *super: it begins a whole SuperSlab of them. */
struct hak_slab *hak_arena_grow_small(bool *super);
/* Zeroed memory for the allocator's own records, never given back; under the pool lock. */
void *hak_arena_record(size_t bytes);
uint64_t hak_arena_committed(void);
/* The heads of all spans, one by one; under the pool lock. *cursor starts at 0; NULL: no more. */
struct hak_slab *hak_arena_next(uint32_t *cursor);

/* The process may have hardly any memory (an RLIMIT_DATA of 2 MB, say), and a slab for each size
 * class is more than that: blocks come in powers of two. Set where an arena grows first; read
 * without the pool lock. */
extern _Atomic(bool) hak_coarse __attribute__((visibility("hidden")));

/* ---- pool.c ---- */
/* Placement of the first HAKMEM (struct hakp_target.supers): slabs of 2 MiB, classes in powers of
 * two, mappings that come and go. Set once, by hak_core_init; read on slow paths only. */
extern bool hak_supers __attribute__((visibility("hidden")));
void hak_pool_lock(void);
void hak_pool_unlock(void);
/* A span for `pages` pages: the head of its units, state used. of: the bin that a small slab is
 * for, any number that says which of all heaps' bins it is. *zero: its contents are zero. */
struct hak_slab *hak_pool_take(uint64_t pages, unsigned kind, uint32_t units, uint32_t of,
                               bool *zero);
void hak_pool_put(struct hak_slab *head);
/* For slow paths that do not come to the pool: tells the policy where its time has come. Cheap, but
 * it reads the clock if the policy goes by time. */
void hak_pool_look(void);
/* The background thread's life: carries out what the policy wants when its time has come, also
 * while the program rests. Does not return. beside() is called before each sleep and says how long
 * that may be at most, in ns; hak_pool_wake ends one early. */
_Noreturn void hak_pool_watch(uint64_t (*beside)(void));
void hak_pool_wake(void);
/* Asks for huge pages under the first `bytes` of a large object's span, as far as they fill whole
 * ones, where the policy wants that. */
void hak_pool_huge(struct hak_slab *head, size_t bytes);
/* head's first `pages` pages may be resident from now on. */
void hak_pool_touch(struct hak_slab *head, uint32_t pages);
/* from's pages have been moved to the same place in `to`, both used spans' heads. */
void hak_pool_moved(struct hak_slab *from, struct hak_slab *to);
/* Such a move failed, and left `to` mapped, maybe anew: asks again for the huge pages under it. */
void hak_pool_unmoved(struct hak_slab *to);
/* A used span whose address space is lost: counted no more. */
void hak_pool_lose(struct hak_slab *head);
/* Bytes of each class that the policy lets a heap cache; under the pool lock. */
uint64_t hak_pool_cache_bytes(void);
/* Tells the policy that a thread has handed back its caches. */
void hak_pool_thread_exit(void);

/* ---- heaps.c: all heaps, and those whose threads have ended ---- */
/* Retired heaps, oldest first: the caller owns what it pops until it pushes it back. */
struct hak_heap *hak_heaps_pop_retired(void);
/* The same for one heap; false if it is not retired (any more). */
bool hak_heaps_take_retired(struct hak_heap *h);
void hak_heaps_push_retired(struct hak_heap *h);
bool hak_heaps_has_retired(void);
/* What others have freed since the threads ended goes to the pool, as far as whole slabs are empty.
 */
void hak_heaps_collect(void);
/* All heaps, linked by next; under the pool lock. */
const struct hak_heap *hak_heaps_first(void);
void hak_heaps_count(uint64_t *all, uint64_t *retired);
/* In the child: other threads' heaps are left alone for ever. */
void hak_heaps_fork_child(const struct hak_heap *mine);

/* ---- heap.c: bins, and the entry points that are not hot ---- */
void *hak_heap_alloc_slow(size_t size, struct hak_heap *h);
void hak_heap_free_slow(void *p, struct hak_heap *h) __attribute__((nonnull(2)));
void hak_bin_overflow(struct hak_heap *h, struct hak_bin *bin);

/* ---- slab.c: a heap's slabs ---- */
/* Blocks of class c, at most `most`, as a list; *n = how many. NULL: no memory. */
void *hak_slab_refill(struct hak_heap *h, unsigned c, uint32_t most, uint32_t *n);
/* Gives a list of blocks back to their slabs, which h owns, and empty slabs to the pool. */
void hak_slab_return(struct hak_heap *h, void *list);
/* n blocks, first to last, back onto their slab, which h owns; if they are its last, the slab goes
 * to the pool. */
void hak_slab_put_back(struct hak_heap *h, struct hak_slab *s, void *first, void *last, uint32_t n);
/* The slab becomes h's; it is in no list of available ones, and its owner may not use it now. */
void hak_slab_adopt(struct hak_heap *h, struct hak_slab *s);

/* Empties h's bins into its slabs. (heap.c) */
void hak_heap_flush(struct hak_heap *h);

/* A relaxed atomic load that the compiler may fold into the instruction that uses the value, which
 * gcc and clang do not do for atomics; TSan sees the atomic. Only for words that the machine loads
 * in one piece. */
#if defined(__SANITIZE_THREAD__) || defined(HAK_STRICT_ATOMICS)
#define HAK_RELAXED(type, x) atomic_load_explicit(&(x), memory_order_relaxed)
#else
#define HAK_RELAXED(type, x) (*(type const *)(const void *)&(x))
#endif

/* hak_slab_lookup for a block of ours: as a rule one of the first arena. */
static inline struct hak_slab *hak_slab_of(const void *block) {
    uintptr_t unit = ((uintptr_t)block - hak_hot.base) >> HAK_UNIT_SHIFT;
    if (likely(unit < HAK_RELAXED(uintptr_t, hak_hot.units)))
        return &hak_hot.meta[unit];
    return hak_slab_lookup(block);
}

static inline struct hak_heap *hak_slab_owner(const struct hak_slab *s) {
    return HAK_RELAXED(struct hak_heap *, s->owner);
}

/* Its owner's thread has ended. A guess where that changes at this moment. */
static inline bool hak_slab_abandoned(const struct hak_slab *s) {
    const struct hak_heap *h = hak_slab_owner(s);
    return h && atomic_load_explicit(&h->state, memory_order_relaxed) == HAK_HEAP_RETIRED;
}

/* ---- large.c ---- */
void *hak_large_alloc(size_t size, size_t align, bool *zero);
/* The same for a block that realloc makes larger: with room to grow in place, if that can be had.
 */
void *hak_large_grow(size_t size, bool *zero);
void hak_large_free(struct hak_slab *s, void *p);
size_t hak_large_usable(const struct hak_slab *head);
void *hak_large_realloc(struct hak_heap *h, struct hak_slab *s, void *p, size_t size);

static inline unsigned hak_slab_class(const struct hak_slab *s) {
    return s->bin_off / (unsigned)sizeof(struct hak_bin);
}

#endif
