/* A heap's slabs: carving, refilling bins, taking blocks back. */
#include "alloc/remote.h"
#include "alloc/safe.h"

/* How many retired heaps a thread looks through for a slab before it asks the pool. */
#define STEAL_TRIES 4

/* Refills of a heap's bins from one look at the clock to the next: a refill gives at least a page's
 * blocks, so the look, some 30 ns, costs well under 1 ns an op. */
#define LOOK_REFILLS 16

static void avail_link(struct hak_heap *h, unsigned c, struct hak_slab *s) {
    s->prev = NULL;
    s->next = h->avail[c];
    if (s->next)
        s->next->prev = s;
    h->avail[c] = s;
    s->available = 1;
}

static void avail_unlink(struct hak_heap *h, unsigned c, struct hak_slab *s) {
    if (s->prev)
        s->prev->next = s->next;
    else
        h->avail[c] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->available = 0;
}

static void set_owner(struct hak_slab *head, struct hak_heap *h) {
    for (uint32_t i = 0; i < head->span.units; i++)
        atomic_store_explicit(&head[i].owner, h, memory_order_relaxed);
}

static struct hak_slab *slab_new(struct hak_heap *h, unsigned c) {
    size_t size = hak_class_size(c);
    unsigned kind = size > HAK_SMALL_MAX ? HAK_KIND_MEDIUM : HAK_KIND_SMALL;
    uint32_t units = kind == HAK_KIND_MEDIUM ? HAK_MEDIUM_UNITS : HAK_SMALL_UNITS;
    size_t page = hak_os_page_size();
    bool zero;
    if (unlikely(hak_supers))
        kind = hak_span_kind(HAK_SUPER / page, page, &units);
    struct hak_slab *s =
        hak_pool_take(units * HAK_UNIT / page, kind, units, h->number * HAK_CLASSES + c, &zero);
    if (!s)
        return NULL;
    for (uint32_t i = 0; i < units; i++) {
        s[i].bin_off = (uint16_t)(c * sizeof(struct hak_bin));
        s[i].use = HAK_UNIT_SLAB;
        s[i].back = i;
    }
    s->free = NULL;
    s->nfree = s->used = s->carved = 0;
    s->block_size = (uint32_t)size;
    s->capacity = (uint32_t)(units * HAK_UNIT / size);
    set_owner(s, h);
    h->units += s->span.units;
    avail_link(h, c, s);
    return s;
}

/* The last block came back. No other thread can know the slab: all its blocks are free. */
static void slab_release(struct hak_heap *h, struct hak_slab *s) {
    if (s->available)
        avail_unlink(h, hak_slab_class(s), s);
    uint32_t units = s->span.units;
    set_owner(s, NULL);
    h->units -= units;
    for (uint32_t i = 0; i < units; i++) {
        s[i].use = HAK_UNIT_FREE;
        s[i].bin_off = 0;
    }
    hak_pool_put(s);
}

/* Fresh blocks up to the end of the page that the next one ends in, so that no page is touched
 * before it is needed. */
static void *slab_carve(struct hak_slab *s, uint32_t most, uint32_t *n) {
    size_t page = hak_os_page_size();
    size_t size = s->block_size;
    size_t from = s->carved * size;
    size_t end = (from + size + page - 1) & ~(page - 1);
    uint32_t k = (uint32_t)((end - from) / size);
    if (k > s->capacity - s->carved)
        k = s->capacity - s->carved;
    if (k > most)
        k = most;
    char *first = (char *)hak_unit_addr(s->span.unit) + from;
    char *p = first;
    for (uint32_t i = 1; i < k; i++, p += size)
        hak_set_link(p, p + size);
    hak_set_link(p, NULL);
    s->carved += k;
    hak_pool_touch(s, (uint32_t)((from + k * size + page - 1) / page));
    *n = k;
    return first;
}

/* Up to `most` of the slab's free blocks. */
static void *slab_pop(struct hak_slab *s, uint32_t most, uint32_t *n) {
    void *list = s->free;
    if (s->nfree <= most) {
        *n = s->nfree;
        s->free = NULL;
        s->nfree = 0;
        return list;
    }
    void *last = list;
    for (uint32_t i = 1; i < most; i++)
        last = hak_link(last);
    s->free = hak_link(last);
    s->nfree -= most;
    hak_set_link(last, NULL);
    *n = most;
    return list;
}

void hak_slab_adopt(struct hak_heap *h, struct hak_slab *s) {
    hak_slab_owner(s)->units -= s->span.units;
    h->units += s->span.units;
    set_owner(s, h);
}

/* A slab with free blocks of class c that a retired heap left behind becomes h's. */
static struct hak_slab *steal(struct hak_heap *h, unsigned c) {
    struct hak_slab *s = NULL;
    for (int i = 0; i < STEAL_TRIES && !s && hak_heaps_has_retired(); i++) {
        struct hak_heap *r = hak_heaps_pop_retired();
        if (!r)
            break;
        hak_remote_collect(r);
        s = r->avail[c];
        if (s) {
            avail_unlink(r, c, s);
            hak_slab_adopt(h, s);
            avail_link(h, c, s);
        }
        hak_heaps_push_retired(r);
    }
    return s;
}

void *hak_slab_refill(struct hak_heap *h, unsigned c, uint32_t most, uint32_t *n) {
    if (unlikely(++h->refills == LOOK_REFILLS)) {
        h->refills = 0;
        hak_remote_send(h);
        hak_remote_collect(h);
        hak_pool_look();
    }
    struct hak_slab *s = h->avail[c];
    if ((!s || !s->nfree) && hak_remote_pending(h)) {
        hak_remote_collect(h);
        s = h->avail[c];
    }
    if (!s)
        s = steal(h, c);
    if (!s)
        s = slab_new(h, c);
    if (!s)
        return NULL;
    void *list = s->nfree ? slab_pop(s, most, n) : slab_carve(s, most, n);
    s->used += *n;
    if (!s->nfree && s->carved == s->capacity)
        avail_unlink(h, c, s);
    return list;
}

/* The head of the slab that a block of ours lies in. */
static struct hak_slab *head_of(const void *p) {
    struct hak_slab *s = hak_slab_of(p);
    return s - s->back;
}

void hak_slab_put_back(struct hak_heap *h, struct hak_slab *s, void *first, void *last,
                       uint32_t n) {
    hak_set_link(last, s->free);
    s->free = first;
    s->nfree += n;
    s->used -= n;
    if (!s->used)
        slab_release(h, s);
    else if (!s->available)
        avail_link(h, hak_slab_class(s), s);
}

void hak_slab_return(struct hak_heap *h, void *list) {
    while (list) {
        struct hak_slab *s = head_of(list);
        void *first = list, *last = list;
        uint32_t n = 1;
        /* Neighbours in the list are often neighbours in a slab, and mostly in a unit. */
        for (list = hak_link(list); list; list = hak_link(list)) {
            if (((uintptr_t)list ^ (uintptr_t)last) >= HAK_UNIT && head_of(list) != s)
                break;
            last = list;
            n++;
        }
        hak_slab_put_back(h, s, first, last, n);
    }
}
