/* Arenas: address space, the metadata of its units, and growth. See heap.h for the words. */
#include <errno.h>
#include "alloc/internal.h"

#define ARENAS_MAX   64
#define RESERVE_MOST ((size_t)1 << 40)
#define META_STEP    ((size_t)64 << 10) /* metadata of 32 MiB of units */
#define RECORDS_STEP ((size_t)64 << 10)

struct hak_hot hak_hot;
_Atomic(bool) hak_coarse;

static struct hak_arena arenas[ARENAS_MAX];
static _Atomic(unsigned) narenas; /* grows under the pool lock, read without it */
static uint32_t next_unit = 1; /* 0 is no unit; a gap of one keeps arenas from looking adjacent */
static struct {
    char *p;
    size_t left;
} records;

static struct hak_arena *arena_of_unit(uint32_t unit) {
    unsigned n = atomic_load_explicit(&narenas, memory_order_acquire);
    for (unsigned i = 0; i < n; i++)
        if (unit - arenas[i].first_unit < arenas[i].units)
            return &arenas[i];
    return NULL;
}

struct hak_slab *hak_slab_lookup(const void *p) {
    unsigned n = atomic_load_explicit(&narenas, memory_order_acquire);
    for (unsigned i = 0; i < n; i++) {
        uintptr_t unit = ((uintptr_t)p - arenas[i].base) >> HAK_UNIT_SHIFT;
        if (unit < atomic_load_explicit(&arenas[i].top, memory_order_relaxed))
            return &arenas[i].meta[unit];
    }
    return NULL;
}

struct hak_slab *hak_unit_slab(uint32_t unit) {
    struct hak_arena *a = arena_of_unit(unit);
    return &a->meta[unit - a->first_unit];
}

void *hak_unit_addr(uint32_t unit) {
    struct hak_arena *a = arena_of_unit(unit);
    return (void *)(a->base + ((uintptr_t)(unit - a->first_unit) << HAK_UNIT_SHIFT));
}

static bool hak_unit_is_super(uint32_t unit) {
    return ((uintptr_t)hak_unit_addr(unit) & (HAK_SUPER - 1)) == 0;
}

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* Reserves the largest arena that the system grants and that holds `units`; 1 TiB as a rule, less
 * under RLIMIT_AS. Metadata (1/512 of it) lies at its head. */
static struct hak_arena *arena_reserve(uint32_t units) {
    size_t least = round_up((size_t)units * HAK_UNIT, HAK_SUPER) + 2 * HAK_SUPER;
    if (narenas == ARENAS_MAX)
        return NULL;
    size_t bytes = narenas ? (size_t)arenas[0].units * HAK_UNIT / 4 : RESERVE_MOST;
    if (bytes < least)
        bytes = least;
    bytes = round_up(bytes, HAK_SUPER);
    void *p;
    while (hak_os_reserve(bytes, HAK_SUPER, &p) != 0) {
        if (bytes <= least)
            return NULL;
        bytes = round_up(bytes / 2, HAK_SUPER);
        if (bytes < least)
            bytes = least;
    }
    struct hak_arena *a = &arenas[narenas];
    size_t meta = round_up(bytes / HAK_UNIT * sizeof(struct hak_slab), HAK_SUPER);
    size_t n = (bytes - meta) / HAK_UNIT;
    if (meta >= bytes || n < units || UINT32_MAX - next_unit < n) {
        hak_os_release(p, bytes);
        return NULL;
    }
    *a = (struct hak_arena){
        .base = (uintptr_t)p + meta, .first_unit = next_unit, .units = (uint32_t)n, .meta = p};
    next_unit += (uint32_t)n + 1;
    atomic_fetch_add_explicit(&narenas, 1, memory_order_release);
    return a;
}

/* Makes the first `units` units usable, metadata first. */
static int arena_commit(struct hak_arena *a, uint32_t units) {
    size_t meta = round_up((size_t)units * sizeof(struct hak_slab), META_STEP);
    if (meta > a->meta_committed) {
        int rc = hak_os_commit((char *)a->meta + a->meta_committed, meta - a->meta_committed);
        if (rc)
            return rc;
        a->meta_committed = meta;
    }
    if (units > a->committed) {
        int rc = hak_os_commit((void *)(a->base + (size_t)a->committed * HAK_UNIT),
                               (size_t)(units - a->committed) * HAK_UNIT);
        if (rc)
            return rc;
        a->committed = units;
    }
    return 0;
}

/* Units [0, units) become usable, and a quarter of what is usable already with them, in whole
 * SuperSlabs: address space costs nothing, and a heap that grows asks seldom. Under a limit on it
 * (RLIMIT_DATA) the step is halved down to what is needed. */
static int arena_extend(struct hak_arena *a, uint32_t units) {
    if (units <= a->committed)
        return 0;
    uint64_t want = round_up((size_t)units + a->committed / 4, HAK_SUPER_UNITS);
    for (uint64_t more = want - units;; more /= 2) {
        int rc = units + more <= a->units ? arena_commit(a, (uint32_t)(units + more)) : ENOMEM;
        if (rc == 0 || more == 0)
            return rc;
        if (a->committed == 0) /* not even its first SuperSlabs */
            hak_coarse = true;
    }
}

static struct hak_slab *arena_take(struct hak_arena *a, uint32_t units) {
    if (units > a->units - a->top)
        return NULL;
    if (arena_extend(a, a->top + units) != 0)
        return NULL;
    struct hak_slab *s = &a->meta[a->top];
    s->span.unit = a->first_unit + a->top;
    s->span.units = units;
    a->top += units;
    if (a->base == hak_hot.base)
        atomic_store_explicit(&hak_hot.units, a->top, memory_order_relaxed);
    return s;
}

void hak_arena_init(void) {
    if (narenas || !arena_reserve(1))
        return;
    hak_hot.base = arenas[0].base;
    hak_hot.meta = arenas[0].meta;
}

/* The units of small slabs come a SuperSlab at a time: what lies in one is touched in turn, so that
 * it may be one huge page, and its metadata is one page. What is left of a SuperSlab above the last
 * large span goes first. */
static struct {
    struct hak_slab *next;
    uint32_t left;
} smalls;

/* Memory is short: a larger span out of what is left for small slabs. */
static struct hak_slab *smalls_cut(uint32_t units) {
    struct hak_slab *s = smalls.next;
    if (smalls.left < units)
        return NULL;
    smalls.next += units;
    smalls.left -= units;
    s->span.units = units;
    return s;
}

struct hak_slab *hak_arena_grow(uint32_t units) {
    bool refused = false;
    for (unsigned i = narenas; i-- > 0;) {
        struct hak_slab *s = arena_take(&arenas[i], units);
        if (s)
            return s;
        refused |= units <= arenas[i].units - arenas[i].top;
    }
    if (refused) /* memory is short, not address space: another arena would meet the same */
        return smalls_cut(units);
    struct hak_arena *a = arena_reserve(units);
    return a ? arena_take(a, units) : NULL;
}

static void smalls_refill(void) {
    const struct hak_arena *a = narenas ? &arenas[narenas - 1] : NULL;
    uint32_t n = a ? HAK_SUPER_UNITS - a->top % HAK_SUPER_UNITS : HAK_SUPER_UNITS;
    struct hak_slab *s = hak_arena_grow(n);
    if (!s) /* memory or address space is short */
        s = hak_arena_grow(n = 1);
    for (uint32_t i = 1; s && i < n; i++) {
        s[i].span.unit = s->span.unit + i;
        s[i].span.units = 1;
    }
    if (s)
        s->span.units = 1;
    smalls.next = s;
    smalls.left = s ? n : 0;
}

struct hak_slab *hak_arena_grow_small(bool *super) {
    if (!smalls.left)
        smalls_refill();
    *super = smalls.left == HAK_SUPER_UNITS && hak_unit_is_super(smalls.next->span.unit);
    if (!smalls.left)
        return NULL;
    smalls.left--;
    return smalls.next++;
}

void *hak_arena_record(size_t bytes) {
    bytes = round_up(bytes, 64);
    if (bytes > records.left) {
        size_t step = round_up(bytes > RECORDS_STEP ? bytes : RECORDS_STEP, RECORDS_STEP);
        void *p;
        if (hak_os_reserve(step, HAK_UNIT, &p) != 0)
            return NULL;
        if (hak_os_commit(p, step) != 0) {
            hak_os_release(p, step);
            return NULL;
        }
        records.p = p;
        records.left = step;
    }
    void *r = records.p;
    records.p += bytes;
    records.left -= bytes;
    return r;
}

struct hak_slab *hak_arena_next(uint32_t *cursor) {
    for (unsigned i = 0; i < narenas; i++) {
        uint32_t at = *cursor > arenas[i].first_unit ? *cursor - arenas[i].first_unit : 0;
        if (at >= arenas[i].top)
            continue;
        struct hak_slab *s = &arenas[i].meta[at];
        *cursor = arenas[i].first_unit + at + s->span.units;
        return s;
    }
    return NULL;
}

uint64_t hak_arena_committed(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < narenas; i++)
        sum += (uint64_t)arenas[i].committed << HAK_UNIT_SHIFT;
    return sum;
}
