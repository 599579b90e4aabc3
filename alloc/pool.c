/*
 * The shared pool: free spans under one lock, and the release policy's host. It has no capacity:
 * what is free goes in, what is asked for comes out, and the arenas grow when nothing fits.
 */
#include <errno.h>
#include "alloc/fork_lock.h"
#include "alloc/internal.h"

bool hak_supers;

/* Mappings that huge pages may cut the arenas into; a process may have 65,530 (vm.max_map_count).
 */
#define HUGE_MOST 8192
static _Atomic(uint32_t) nhuge;

static struct hak_fork_lock lock;

static struct hak_spans spans;
static _Atomic(uint64_t) virtual_now = UINT64_MAX;
static _Atomic(uint64_t) next_tick = UINT64_MAX; /* the target's, for those without the lock */
static uint64_t next_watch;                      /* when hak_os_memory is to be asked again */

/* The background thread: it sleeps (1), and until when if nobody wakes it; under the lock. */
static _Atomic(uint32_t) asleep;
static uint64_t asleep_until;
#define WATCH_LEAST                                                                                \
    ((uint64_t)10000000) /* ns: it wakes no more often than this, tick or no tick                  \
                          */

static hak_observe_fn *observer;
static void *observer_ctx;

static uint64_t nswitches; /* of the policy */

void hak_pool_lock(void) {
    hak_lock_take(&lock);
}

void hak_pool_unlock(void) {
    uint64_t tick = spans.target.next_tick_ns;
    bool wake =
        unlikely(atomic_load_explicit(&asleep, memory_order_relaxed)) && tick < asleep_until;
    if (wake)
        atomic_store_explicit(&asleep, 0, memory_order_relaxed);
    atomic_store_explicit(&next_tick, tick, memory_order_relaxed);
    hak_lock_drop(&lock);
    if (wake)
        hak_os_wake(&asleep);
}

static uint64_t now(void) {
    uint64_t ns = atomic_load_explicit(&virtual_now, memory_order_relaxed);
    return ns == UINT64_MAX ? hak_os_now() : ns;
}

/* The time, and how short memory is where the policy wants to know; under the lock. */
static uint64_t now_watched(void) {
    uint64_t ns = now();
    if (unlikely(spans.target.watch) &&
        (ns >= next_watch || next_watch - ns > spans.policy.spec.ns)) {
        hak_os_memory(&spans.memory);
        next_watch = ns + spans.policy.spec.ns;
    }
    return ns;
}

static void observe(enum hak_span_event ev, const struct hak_span *span, uint32_t pages) {
    if (unlikely(observer))
        observer(observer_ctx, ev, span, pages);
}

static struct hak_slab *slab_of_span(struct hak_span *span) {
    return (struct hak_slab *)((char *)span - offsetof(struct hak_slab, span));
}

static int release(void *ctx, const struct hak_release *r) {
    (void)ctx;
    void *p = hak_unit_addr(r->unit);
    size_t bytes = r->pages * hak_os_page_size();
    if (r->how == HAKP_UNMAP)
        return hak_supers ? hak_os_release(p, bytes) : hak_os_unmap(p, bytes);
    return hak_os_purge(p, bytes, r->how == HAKP_FREE);
}

int hak_core_init(const struct hakp_spec *spec) {
    hak_pool_lock();
    hak_arena_init();
    hak_spans_init(&spans, spec, hak_os_page_size(), release, NULL);
    hak_supers = spans.target.supers;
    hak_pool_unlock();
    return 0;
}

void hak_core_observe(hak_observe_fn *fn, void *ctx) {
    observer = fn;
    observer_ctx = ctx;
}

void hak_core_set_clock(uint64_t now_ns) {
    uint64_t before = atomic_exchange_explicit(&virtual_now, now_ns, memory_order_relaxed);
    if ((before == UINT64_MAX) == (now_ns == UINT64_MAX) || !spans.page_size)
        return;
    hak_pool_lock();
    hak_spans_restart(&spans, now());
    hak_pool_unlock();
}

/* ---- spans --------------------------------------------------------------------------------- */

/* A new mapping knows nothing of the old one's advice. */
static void forget_huge(struct hak_slab *head) {
    if (head->huge)
        atomic_fetch_sub_explicit(&nhuge, 1, memory_order_relaxed);
    head->huge = 0;
}

/* A span's pieces are one mapping, and count once. */
static void set_huge(struct hak_slab *head, uintptr_t pieces) {
    if (!head->huge)
        atomic_fetch_add_explicit(&nhuge, 1, memory_order_relaxed);
    head->huge = (uint16_t)pieces;
}

/* A span whose pages were unmapped needs its mapping again. EEXIST: somebody else's is there now.
 */
static int remap(struct hak_span *span) {
    int (*map)(void *, size_t) = hak_supers ? hak_os_map : hak_os_commit;
    void *p = hak_unit_addr(span->unit);
    size_t bytes = (size_t)span->units << HAK_UNIT_SHIFT;
    if (span->state != HAK_SPAN_UNMAPPED)
        return 0;
    int rc = map(p, bytes);
    forget_huge(slab_of_span(span));
    if (rc == 0 && hak_supers && spans.target.huge_bytes != 0)
        hak_os_huge(p, bytes);
    if (rc == 0 || rc == EEXIST)
        return rc;
    hak_spans_tell(&spans, HAKP_EV_OOM, now());
    return map(p, bytes);
}

/* How many bins the small slabs of the last SuperSlab went to, as far as a hash tells them apart.
 * Each of them leaves half a slab unused in the mean. */
static uint64_t bins_seen; /* a bit for each hash */

static void bins_note(uint32_t of) {
    bins_seen |= (uint64_t)1 << (of * 0x9E3779B1u >> 26);
}

/* The process has so much in small slabs that what lies idle in a further SuperSlab would not
 * outweigh what is saved. That is less where few bins share one (the policy's huge=, and a quarter
 * of it). */
static bool worth_huge(uint64_t nsmall) {
    enum { FEW = 8 };
    uint64_t least = spans.target.huge_bytes, have = nsmall * HAK_UNIT;
    unsigned nbins = 0;
    for (uint64_t seen = bins_seen; seen; seen &= seen - 1)
        nbins++;
    return least && have >= (nbins <= FEW ? least / 4 : least);
}

/* s, a small slab for the bin `of`, begins a fresh SuperSlab (super), or lies in the last one,
 * which becomes a huge page where that is worth while: all heaps take theirs from the same
 * SuperSlab, so there is one such at a time. All of a huge page comes in at its first touch, so its
 * slabs count as used from end to end. True: it was asked for now, and is to be tried. */
static bool ask_for_huge(struct hak_slab *s, uint32_t of, bool super) {
    static uint64_t nsmall; /* slabs that ever were */
    static char *end;       /* of the last one asked for */
    char *p = hak_unit_addr(s->span.unit);
    bool asked = super && worth_huge(nsmall) && nhuge < HUGE_MOST && hak_os_huge(p, HAK_SUPER) == 0;
    if (asked) {
        nhuge += p != end; /* neighbours are one mapping */
        end = p + HAK_SUPER;
    }
    if (super)
        bins_seen = 0;
    bins_note(of);
    nsmall++;
    if (p < end && p >= end - HAK_SUPER)
        s->span.used_pages = (uint32_t)(HAK_UNIT / hak_os_page_size());
    return asked;
}

static bool may_ask_object(const struct hak_slab *head) {
    hak_pool_lock();
    uint64_t least = spans.target.huge_bytes;
    bool may = least && !hak_supers && (head->huge || nhuge < HUGE_MOST) &&
               spans.active_pages * spans.page_size >= least / 4;
    hak_pool_unlock();
    return may;
}

/* Large objects ask where the process holds a quarter of that, as one that is used from end to end
 * wastes nothing: for the first of their huge pages, and for the others if that one came quickly.
 * What an earlier object left behind would come at once, and says nothing. Outside the lock, as it
 * may take milliseconds. */
void hak_pool_huge(struct hak_slab *head, size_t bytes) {
    uintptr_t start = (uintptr_t)hak_unit_addr(head->span.unit);
    uintptr_t first = (start + HAK_SUPER - 1) / HAK_SUPER, end = (start + bytes) / HAK_SUPER;
    uintptr_t n = end > first ? end - first : 0;
    if (n <= head->huge || n > UINT16_MAX || !may_ask_object(head))
        return;
    char *p = (char *)((first + head->huge) * HAK_SUPER);
    bool here = (uintptr_t)p < start + head->span.used_pages * hak_os_page_size();
    if (hak_os_huge(p, HAK_SUPER) != 0)
        return;
    set_huge(head, head->huge + 1u);
    if ((here || hak_os_huge_try(p)) && n > head->huge &&
        hak_os_huge(p + HAK_SUPER, (n - head->huge) * HAK_SUPER) == 0)
        head->huge = (uint16_t)n;
}

/* Where the pages that come in with the first `pages` of a span end. */
static uint32_t resident_end(const struct hak_slab *head, uint32_t pages) {
    uint64_t page = hak_os_page_size(), all = (uint64_t)head->span.units * HAK_UNIT / page;
    uintptr_t start = (uintptr_t)hak_unit_addr(head->span.unit);
    uint64_t lead = (-start & (HAK_SUPER - 1)) / page, super = HAK_SUPER / page;
    if (pages <= lead)
        return pages;
    uint64_t whole = lead + (pages - lead + super - 1) / super * super;
    if (whole > lead + head->huge * super)
        return pages;
    return (uint32_t)(whole < all ? whole : all);
}

static struct hak_slab *arena_grow(unsigned kind, uint32_t units, bool *super) {
    *super = false;
    return kind == HAK_KIND_SMALL ? hak_arena_grow_small(super) : hak_arena_grow(units);
}

static struct hak_slab *take_fresh(unsigned kind, uint32_t units, uint32_t of, bool *asked) {
    bool super;
    struct hak_slab *s = arena_grow(kind, units, &super);
    if (!s) {
        hak_spans_tell(&spans, HAKP_EV_OOM, now());
        s = arena_grow(kind, units, &super);
    }
    if (s) {
        s->span.kind = (uint16_t)kind;
        if (kind == HAK_KIND_SMALL)
            *asked = ask_for_huge(s, of, super);
    }
    return s;
}

/* A free span of a kind, usable. */
static struct hak_span *take_free(unsigned kind) {
    struct hak_span *span;
    while ((span = hak_spans_take(&spans, kind, now_watched()))) {
        int rc = remap(span);
        if (rc == 0)
            break;
        if (rc != EEXIST) {
            span->used_pages = 0;
            hak_spans_put(&spans, span, now());
            return NULL;
        }
        spans.active_pages -= hak_span_kind_pages(kind, hak_os_page_size()); /* lost */
    }
    return span;
}

/* A free span of `units` or more, of a kind from first to last, the smallest first; it keeps its
 * kind. One look at the clock, whatever is found: the simulator replays it so. */
static struct hak_span *take_between(unsigned first, unsigned last, uint32_t units) {
    unsigned k = first;
    while (k <= last && k < HAK_SPAN_KINDS && (!spans.free[k] || spans.free[k]->units < units))
        k++;
    if (k <= last && k < HAK_SPAN_KINDS)
        return take_free(k);
    hak_spans_look(&spans, now());
    return NULL;
}

/* Objects of one size come back seldom where buffers grow and shrink, so a free span of up to four
 * times the size serves before fresh address space does: its pages may be resident, fresh ones are
 * not. Whether they are must not be looked at (placement invariance, spans.h). */
static struct hak_span *take_near(unsigned kind, uint32_t units) {
    return take_between(kind, kind >= HAK_KIND_LARGE ? kind + HAK_KINDS_NEAR : kind, units);
}

struct hak_slab *hak_pool_take(uint64_t pages, unsigned kind, uint32_t units, uint32_t of,
                               bool *zero) {
    struct hak_slab *s = NULL;
    bool asked = false;
    *zero = false;
    hak_pool_lock();
    struct hak_span *span = take_near(kind, units);
    if (!span) {
        s = take_fresh(kind, units, of, &asked);
        span = s ? NULL : take_between(kind + 1, HAK_SPAN_KINDS, units);
    }
    if (span) {
        s = slab_of_span(span);
        *zero = span->state == HAK_SPAN_PURGED || span->state == HAK_SPAN_UNMAPPED;
        if (*zero)
            span->used_pages = 0;
        observe(HAK_SPAN_TAKEN, span, (uint32_t)pages);
    } else if (s) {
        span = &s->span;
        *zero = true;
        hak_spans_add_active(&spans, hak_span_kind_pages(kind, hak_os_page_size()));
        observe(HAK_SPAN_FRESH, span, (uint32_t)pages);
    }
    if (span) {
        span->state = HAK_SPAN_USED;
        if (spans.target.populate) {
            hak_os_populate(hak_unit_addr(span->unit), pages * hak_os_page_size());
            if (span->used_pages < pages)
                span->used_pages = (uint32_t)pages;
        }
    }
    hak_pool_unlock();
    if (asked)
        hak_os_huge_try(hak_unit_addr(s->span.unit));
    return s;
}

void hak_pool_put(struct hak_slab *head) {
    hak_pool_lock();
    observe(HAK_SPAN_PUT, &head->span, 0);
    hak_spans_put(&spans, &head->span, now_watched());
    hak_pool_unlock();
}

void hak_pool_look(void) {
    uint64_t tick = atomic_load_explicit(&next_tick, memory_order_relaxed);
    observe(HAK_SPAN_LOOK, NULL, 0);
    if (tick == UINT64_MAX || now() < tick)
        return;
    hak_pool_lock();
    hak_spans_look(&spans, now_watched()); /* read anew: others may have told later times */
    hak_pool_unlock();
}

/* Asleep and awake by turns: until the policy's next tick, or until there is one. */
void hak_pool_watch(uint64_t (*beside)(void)) {
    for (;;) {
        hak_pool_lock();
        uint64_t ns = now_watched(), tick;
        hak_spans_look(&spans, ns);
        tick = spans.target.next_tick_ns;
        asleep_until = tick;
        atomic_store_explicit(&asleep, 1, memory_order_seq_cst); /* before it looks beside */
        atomic_store_explicit(&next_tick, tick, memory_order_relaxed);
        hak_lock_drop(&lock);
        if (tick != UINT64_MAX)
            tick = tick > ns + WATCH_LEAST ? tick - ns : WATCH_LEAST;
        ns = beside(); /* who wakes us from now on finds us asleep */
        hak_os_wait(&asleep, 1, tick < ns ? tick : ns);
        atomic_store_explicit(&asleep, 0, memory_order_relaxed);
    }
}

void hak_pool_wake(void) {
    atomic_store_explicit(&asleep, 0, memory_order_seq_cst); /* after what it shall see */
    hak_os_wake(&asleep);
}

void hak_pool_touch(struct hak_slab *head, uint32_t pages) {
    uint32_t used = likely(!head->huge) ? pages : resident_end(head, pages);
    if (used > head->span.used_pages)
        head->span.used_pages = used;
    observe(HAK_SPAN_TOUCH, &head->span, pages);
}

void hak_pool_moved(struct hak_slab *from, struct hak_slab *to) {
    if (to->span.used_pages < from->span.used_pages)
        to->span.used_pages = from->span.used_pages;
    if (to->huge < from->huge) /* the advice moves with the pages */
        set_huge(to, from->huge);
    from->span.used_pages = 0;
    observe(HAK_SPAN_MOVED, &from->span, 0);
}

void hak_pool_unmoved(struct hak_slab *to) {
    uintptr_t start = (uintptr_t)hak_unit_addr(to->span.unit);
    char *first = (char *)((start + HAK_SUPER - 1) / HAK_SUPER * HAK_SUPER);
    if (to->huge && hak_os_huge(first, to->huge * HAK_SUPER) != 0)
        forget_huge(to);
}

void hak_pool_lose(struct hak_slab *head) {
    hak_pool_lock();
    spans.active_pages -= hak_span_kind_pages(head->span.kind, hak_os_page_size());
    hak_pool_unlock();
}

/* The kernel fills a huge page anew (khugepaged) where we gave back all but a piece of it. */
static void purge_again(void) {
    for (struct hak_span *at = spans.free[HAK_KIND_SMALL]; at; at = at->next_free)
        if (at->state == HAK_SPAN_PURGED)
            hak_os_purge(hak_unit_addr(at->unit), HAK_UNIT, false);
}

uint64_t hak_core_trim(struct hak_heap *h) {
    if (h)
        hak_heap_flush(h);
    hak_heaps_collect();
    hak_pool_lock();
    uint64_t pages = hak_spans_tell(&spans, HAKP_EV_TRIM, now());
    if (nhuge)
        purge_again();
    hak_pool_unlock();
    return pages;
}

int hak_core_policy(char *buf, size_t len) {
    hak_pool_lock();
    int n = hakp_format(&spans.policy.spec, buf, len);
    hak_pool_unlock();
    return n;
}

void hak_core_set_policy(const struct hakp_spec *spec) {
    hak_pool_lock();
    hak_spans_switch(&spans, spec, now());
    nswitches++;
    hak_pool_unlock();
}

void hak_core_stats(struct hak_core_stats *out) {
    hak_pool_lock();
    *out = (struct hak_core_stats){
        .committed_bytes = hak_arena_committed(),
        .active_pages = spans.active_pages,
        .dirty_pages = spans.dirty_pages,
        .dirty_spans = spans.dirty_spans,
        .release_rounds = spans.released.rounds,
        .release_calls = spans.released.calls,
        .released_spans = spans.released.spans,
        .released_pages = spans.released.pages,
        .release_failures = spans.released.failed,
        .policy_switches = nswitches,
    };
    hak_heaps_count(&out->heaps, &out->retired_heaps);
    hak_pool_unlock();
}

uint64_t hak_pool_cache_bytes(void) {
    return spans.target.cache_bytes;
}

void hak_pool_thread_exit(void) {
    hak_pool_lock();
    hak_spans_tell(&spans, HAKP_EV_THREAD_EXIT, now());
    hak_pool_unlock();
}

void hak_core_fork_prepare(void) {
    hak_lock_fork_prepare(&lock);
}

void hak_core_fork_parent(void) {
    hak_lock_fork_parent(&lock);
}

void hak_core_fork_child(struct hak_heap *mine) {
    hak_lock_fork_child(&lock);
    atomic_store_explicit(&asleep, 0, memory_order_relaxed); /* that thread is not here */
    hak_heaps_fork_child(mine);
}
