/*
 * Large objects: a span each. The metadata of the unit that the user's pointer lies in says LARGE
 * and leads back to the head, whose `free` field holds that pointer.
 */
#include <errno.h>
#include <string.h>
#include "alloc/internal.h"

/* From here on realloc moves pages instead of copying bytes: the remapping of 32 pages costs less
 * than their copy and the faults of a fresh destination. */
#define MOVE_MIN ((size_t)128 << 10)

/* An object that has grown once grows again: its span offers four to eight times its size, or so
 * much more at most, a power of two, so that such spans serve each other. It is address space and
 * no memory until it is used. */
#define GROW_MOST ((size_t)64 << 20)

/* Objects from this size on ask for huge pages: with smaller ones little of it would lie between
 * two multiples of 2 MiB. */
#define HUGE_MIN ((size_t)4 << 20)

/* Pages that were moved stay a mapping of their own, and so do their former and their new
 * neighbours. A process may have 65,530 mappings (vm.max_map_count), threads' stacks and all; these
 * are ours. */
#define MAPS_MOST 16384u
static _Atomic(uint32_t) nmaps;

static uint64_t pages_of(size_t bytes) {
    return (bytes + hak_os_page_size() - 1) / hak_os_page_size();
}

static size_t offset_of(const struct hak_slab *head) {
    return (size_t)((char *)head->free - (char *)hak_unit_addr(head->span.unit));
}

/* The object takes up its span's first `pages` pages. */
static void large_extend(struct hak_slab *head, uint32_t pages) {
    size_t bytes = (size_t)pages * hak_os_page_size();
    if (pages > head->carved)
        head->carved = pages;
    if (bytes >= HUGE_MIN)
        hak_pool_huge(head, bytes);
    hak_pool_touch(head, pages);
}

/* A new object in a span of at least `room` pages. */
static void *large_new(size_t size, size_t align, uint64_t room, bool *zero) {
    if (size > PTRDIFF_MAX - 2 * HAK_SUPER || align > PTRDIFF_MAX - 2 * HAK_SUPER - size)
        return NULL;
    size_t slack = align > HAK_UNIT ? align - HAK_UNIT : 0;
    uint64_t pages = pages_of(size + !size + slack);
    uint32_t units = 0;
    unsigned kind = hak_span_kind(pages > room ? pages : room, hak_os_page_size(), &units);
    struct hak_slab *s = kind < HAK_SPAN_KINDS ? hak_pool_take(pages, kind, units, 0, zero) : NULL;
    if (!s)
        return NULL;
    char *base = hak_unit_addr(s->span.unit);
    char *p = (char *)(((uintptr_t)base + align - 1) & ~(align - 1));
    uint32_t back = (uint32_t)((size_t)(p - base) / HAK_UNIT);
    s->use = s[back].use = HAK_UNIT_LARGE;
    s->back = 0;
    s[back].back = back;
    s->free = p;
    s->carved = 0;
    large_extend(s, (uint32_t)pages_of((size_t)(p - base) + size));
    return p;
}

void *hak_large_alloc(size_t size, size_t align, bool *zero) {
    return large_new(size, align, 0, zero);
}

void *hak_large_grow(size_t size, bool *zero) {
    uint64_t pages = pages_of(size), most = pages + pages_of(GROW_MOST);
    uint64_t room = (uint64_t)4 << (64 - __builtin_clzll(pages));
    void *p = large_new(size, 1, room < most ? room : most, zero);
    return p ? p : large_new(size, 1, 0, zero);
}

void hak_large_free(struct hak_slab *s, void *p) {
    struct hak_slab *head = s - s->back;
    if (head->free != p)
        hak_os_die("free(): pointer into a large block", p);
    head->free = NULL;
    s->use = head->use = HAK_UNIT_FREE;
    s->back = 0;
    hak_pool_put(head);
}

/* Not span.used_pages: what an earlier object left resident depends on the release policy, and
 * nothing that the program sees, nor where realloc puts a block, may depend on that. */
size_t hak_large_usable(const struct hak_slab *head) {
    return head->carved * hak_os_page_size() - offset_of(head);
}

/* Counts the mappings that a move makes: `to` gets those of `from` and one behind them. A span that
 * is used again and again is cut in the same places. False: there are too many already. */
static bool count_maps(struct hak_slab *from, struct hak_slab *to) {
    uint32_t n = from->maps ? from->maps : 2;
    uint32_t more = n - from->maps + (to->maps < n + 1 ? n + 1 - to->maps : 0);
    if (!more)
        return true;
    if (atomic_fetch_add_explicit(&nmaps, more, memory_order_relaxed) + more > MAPS_MOST) {
        atomic_fetch_sub_explicit(&nmaps, more, memory_order_relaxed);
        return false;
    }
    from->maps = (uint16_t)n;
    to->maps = to->maps < n + 1 ? (uint16_t)(n + 1) : to->maps;
    return true;
}

/* Another span takes over the pages of this one: all that may be resident, also what an earlier
 * object left behind this one, so that the span is clean afterwards. `to` starts a span of a
 * larger kind. Returns 0 or hak_os_move's errno value. */
static int move_pages(struct hak_slab *head, void *to, size_t bytes) {
    struct hak_slab *dest = hak_slab_lookup(to);
    if (bytes < MOVE_MIN || offset_of(head) || !count_maps(head, dest))
        return ENOTSUP;
    int rc = hak_os_move(head->free, to, head->span.used_pages * hak_os_page_size());
    if (rc == 0)
        hak_pool_moved(head, dest);
    else if (rc != ENOTSUP && rc != EADDRNOTAVAIL)
        hak_pool_unmoved(dest);
    return rc;
}

/* The addresses of an object in use are not ours any more: its span never comes back. */
static void large_lose(struct hak_slab *head) {
    head->free = NULL;
    head->use = HAK_UNIT_FREE;
    hak_pool_lose(head);
}

void *hak_large_realloc(struct hak_heap *h, struct hak_slab *s, void *p, size_t size) {
    struct hak_slab *head = s - s->back;
    if (head->free != p)
        hak_os_die("realloc(): pointer into a large block", p);
    size_t offset = offset_of(head);
    size_t have = hak_large_usable(head);
    size_t room = ((size_t)head->span.units << HAK_UNIT_SHIFT) - offset;
    if (size <= room && size > have / 2 && size > HAK_MEDIUM_MAX) {
        large_extend(head, (uint32_t)pages_of(offset + size));
        return p;
    }
    bool zero;
    void *q = size > room ? hak_large_grow(size, &zero) : hak_heap_alloc(h, size);
    if (!q)
        return NULL;
    size_t keep = size < have ? size : have;
    int rc = size <= room ? ENOTSUP : move_pages(head, q, keep);
    if (rc == EADDRNOTAVAIL) {
        large_lose(hak_slab_lookup(q));
        q = hak_heap_alloc(h, size);
        if (!q)
            return NULL;
    }
    if (rc)
        memcpy(q, p, keep);
    hak_large_free(hak_slab_lookup(p), p);
    return q;
}
