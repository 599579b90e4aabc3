/* See remote.h. */
#include <string.h>
#include "alloc/remote.h"
#include "alloc/safe.h"

/* What a heap frees of others before it packs parcels. */
#define HAK_SINGLES 64

/* Larger blocks are not worth a place in a parcel; smaller ones lie in slabs of one unit, where the
 * low 16 bits of an address say which block it is. */
#define PACK_CLASSES (HAK_LINEAR_CLASSES + 5 * 8u) /* five doublings of 128 bytes: 4 KiB */
_Static_assert(((size_t)128 << 5) <= HAK_SMALL_MAX, "slabs of one unit");

/* A parcel under way, in the memory of its first block. From safety level 1 on the second word of a
 * free block is its key, and every parcel is that block alone. */
struct sent {
    uintptr_t next;
    uint16_t n;
    uint16_t low[];
};

/* ---- sending --------------------------------------------------------------------------------- */

static void pending_push(struct hak_heap *owner, struct hak_slab *s) {
    struct hak_slab *old = atomic_load_explicit(&owner->pending, memory_order_relaxed);
    do {
        s->pending_next = old;
    } while (!atomic_compare_exchange_weak_explicit(&owner->pending, &old, s, memory_order_release,
                                                    memory_order_relaxed));
}

static void post(struct hak_slab *head, void *p) {
    uintptr_t old = atomic_load_explicit(&head->remote, memory_order_relaxed);
    do {
        hak_set_link(p, (void *)old);
    } while (!atomic_compare_exchange_weak_explicit(&head->remote, &old, (uintptr_t)p,
                                                    memory_order_acq_rel, memory_order_relaxed));
    /* Whoever makes the list non-empty tells the owner. The slab cannot go away before that: the
     * owner learns of this block only through its pending list. Should the slab change hands in
     * between, the former owner passes it on (hak_remote_collect). */
    if (!old)
        pending_push(hak_slab_owner(head), head);
}

static void post_one(struct hak_slab *head, void *p) {
    if (likely(!hak_safe.level))
        ((struct sent *)p)->n = 1;
    post(head, p);
}

/* h, a thread's own heap, frees a block of a slab whose owner has retired: nobody else would look
 * after what is freed there. It goes back to the slab, and the slab, if that was its last, to the
 * pool. A slab without a free block becomes h's, for what is freed there next; other slabs stay, as
 * the next thread's allocations will want their blocks. False: the owner is not retired any more,
 * and p is still to be freed. */
static bool free_abandoned(struct hak_heap *h, struct hak_slab *head, void *p) {
    struct hak_heap *r = hak_slab_owner(head);
    if (!hak_heaps_take_retired(r))
        return false;
    hak_remote_collect(r);
    bool still = hak_slab_owner(head) == r; /* p is in use, so it was not released */
    bool adopted = still && !head->available;
    if (adopted)
        hak_slab_adopt(h, head);
    if (still)
        hak_slab_put_back(adopted ? h : r, head, p, p, 1);
    hak_heaps_push_retired(r);
    return still;
}

static void free_single(struct hak_heap *h, struct hak_slab *head, void *p) {
    if (unlikely(hak_slab_abandoned(head)) && h != &hak_empty_heap && free_abandoned(h, head, p))
        return;
    post_one(head, p);
}

/* Empties out. Between parcels it has no head: the slab may become another before the next. */
static void parcel_send(struct hak_parcel *out, struct hak_heap *h) {
    struct hak_slab *head = out->head;
    unsigned n = out->n;
    if (!head)
        return;
    char *base = hak_unit_addr(head->span.unit), *last = NULL;
    out->head = NULL;
    if (unlikely(hak_slab_abandoned(head)))
        last = base + out->low[--n];
    if (n) {
        struct sent *p = (struct sent *)(base + out->low[0]);
        p->n = (uint16_t)n;
        memcpy(p->low, out->low + 1, (n - 1) * sizeof p->low[0]);
        post(head, p);
    }
    if (last) /* the others are with it by now */
        free_single(h, head, last);
}

/* How many blocks fit: into the first one, into the limit of bytes, into what the policy lets a
 * thread cache. */
static uint16_t parcel_most(const struct hak_heap *h, const struct hak_slab *head) {
    size_t most = head->block_size / 2 - offsetof(struct sent, low) / 2 + 1;
    size_t cached = h->bin[hak_slab_class(head)].magazine;
    if (most > HAK_PARCEL_BLOCKS)
        most = HAK_PARCEL_BLOCKS;
    if (most > HAK_PARCEL_BYTES / head->block_size)
        most = HAK_PARCEL_BYTES / head->block_size;
    return (uint16_t)(most < cached ? most : cached);
}

void hak_remote_send(struct hak_heap *h) {
    for (unsigned i = 0; i < HAK_PARCELS && h->packs; i++)
        parcel_send(&h->parcel[i], h);
}

/* A heap begins to pack. */
static void count_single(struct hak_heap *h) {
    if (h != &hak_empty_heap && !hak_safe.level && !hak_supers && ++h->singles == HAK_SINGLES)
        h->packs = true;
}

/* The block opens a parcel, or goes by itself. */
static __attribute__((noinline)) void free_first(struct hak_heap *h, struct hak_slab *s, void *p,
                                                 struct hak_parcel *out) {
    if (!h->packs || s->bin_off > PACK_CLASSES * sizeof(struct hak_bin) || hak_slab_abandoned(s)) {
        if (out->head == s)
            parcel_send(out, h);
        free_single(h, s - s->back, p);
        count_single(h);
        return;
    }
    parcel_send(out, h);
    uint16_t most = parcel_most(h, s);
    if (most < 2) {
        post_one(s, p);
        return;
    }
    *out = (struct hak_parcel){.head = s, .n = 1, .most = most, .low = {(uint16_t)(uintptr_t)p}};
}

void hak_remote_free(struct hak_heap *h, struct hak_slab *s, void *p) {
    struct hak_parcel *out = &h->parcel[((uintptr_t)s / sizeof *s) % HAK_PARCELS];
    if (unlikely(out->head != s) || unlikely(hak_slab_abandoned(s))) {
        free_first(h, s, p, out);
        return;
    }
    unsigned n = out->n;
    out->low[n++] = (uint16_t)(uintptr_t)p;
    out->n = (uint16_t)n;
    if (unlikely(n >= out->most))
        parcel_send(out, h);
}

/* ---- taking in ------------------------------------------------------------------------------- */

/* All that others have freed of a slab of h's. */
static void unpack(struct hak_heap *h, struct hak_slab *head) {
    void *p = (void *)atomic_exchange_explicit(&head->remote, 0, memory_order_acq_rel);
    uintptr_t base = (uintptr_t)p & ~(HAK_UNIT - 1);
    void *first = NULL, *last = p;
    uint32_t all = 0;
    while (p) {
        const struct sent *in = p;
        void *next = hak_link(p);
        uint32_t n = likely(!hak_safe.level) ? in->n : 1;
        if (unlikely(n - 1 >= HAK_PARCEL_BLOCKS))
            hak_os_die("a free block was written to", p);
        for (uint32_t i = 0; i + 1 < n; i++) {
            void *q = (void *)(base + in->low[i]);
            hak_set_link(q, first);
            if (!first)
                last = q;
            first = q;
        }
        hak_set_link(p, first);
        first = p;
        all += n;
        p = next;
    }
    hak_slab_put_back(h, head, first, last, all);
}

void hak_remote_collect(struct hak_heap *h) {
    struct hak_slab *s = atomic_exchange_explicit(&h->pending, NULL, memory_order_acquire);
    while (s) {
        struct hak_slab *next = s->pending_next;
        struct hak_heap *owner = hak_slab_owner(s);
        if (owner != h)
            pending_push(owner, s);
        else
            unpack(h, s);
        s = next;
    }
}
