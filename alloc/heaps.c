/*
 * The heaps of all threads, and those whose threads have ended: the next thread gets one of them;
 * until then others look into them for slabs. All under the pool's lock.
 */
#include "alloc/remote.h"

static struct hak_heap *all_heaps;
static struct hak_heap *retired_first, *retired_last;
static _Atomic(unsigned) nretired;
static unsigned nheaps;

const struct hak_heap *hak_heaps_first(void) {
    return all_heaps;
}

bool hak_heaps_has_retired(void) {
    return atomic_load_explicit(&nretired, memory_order_relaxed) != 0;
}

static void unlink_retired(struct hak_heap *h) {
    if (h->prev_retired)
        h->prev_retired->next_retired = h->next_retired;
    else
        retired_first = h->next_retired;
    if (h->next_retired)
        h->next_retired->prev_retired = h->prev_retired;
    else
        retired_last = h->prev_retired;
    h->state = HAK_HEAP_HELD;
    atomic_fetch_sub_explicit(&nretired, 1, memory_order_relaxed);
}

static struct hak_heap *pop_retired(void) {
    struct hak_heap *h = retired_first;
    if (!h)
        return NULL;
    unlink_retired(h);
    return h;
}

bool hak_heaps_take_retired(struct hak_heap *h) {
    hak_pool_lock();
    bool mine = h->state == HAK_HEAP_RETIRED;
    if (mine)
        unlink_retired(h);
    hak_pool_unlock();
    return mine;
}

struct hak_heap *hak_heaps_pop_retired(void) {
    hak_pool_lock();
    struct hak_heap *h = pop_retired();
    hak_pool_unlock();
    return h;
}

void hak_heaps_push_retired(struct hak_heap *h) {
    hak_pool_lock();
    h->state = HAK_HEAP_RETIRED;
    h->next_retired = NULL;
    h->prev_retired = retired_last;
    if (retired_last)
        retired_last->next_retired = h;
    else
        retired_first = h;
    retired_last = h;
    atomic_fetch_add_explicit(&nretired, 1, memory_order_relaxed);
    hak_pool_unlock();
}

/* Popping the oldest and pushing it back as the youngest meets each heap once. */
void hak_heaps_collect(void) {
    for (unsigned n = atomic_load_explicit(&nretired, memory_order_relaxed); n > 0; n--) {
        struct hak_heap *r = hak_heaps_pop_retired();
        if (!r)
            break;
        hak_remote_collect(r);
        hak_heaps_push_retired(r);
    }
}

/* Free blocks of one class that a heap caches unless the policy says otherwise: two magazines, each
 * of half the first number at first, and of half the second at most. */
#define CACHE_FIRST ((uint64_t)64 << 10)
#define CACHE_MOST  ((uint64_t)256 << 10)

/* How many blocks a magazine has where a class may take so many bytes. */
static uint16_t magazine(unsigned c, uint64_t bytes, uint16_t most) {
    uint64_t n = bytes / 2 / hak_class_size(c);
    if (bytes == 0)
        return 0;
    return n < 2 ? 2 : n > most ? most : (uint16_t)n;
}

static void bin_init(struct hak_bin *bin, unsigned c) {
    uint64_t told = hak_pool_cache_bytes();
    bool free_choice = told == UINT64_MAX;
    bin->start = magazine(c, free_choice ? CACHE_FIRST : told, 256);
    bin->limit = free_choice ? magazine(c, CACHE_MOST, 1024) : bin->start;
    bin->magazine = bin->start;
    bin->room = (int32_t)bin->magazine;
    if (hak_class_size(c) <= HAK_SMALL_MAX && !hak_supers)
        bin->inverse = (uint32_t)((((uint64_t)1 << 32) - 1) / hak_class_size(c) + 1);
}

struct hak_heap *hak_heap_new(void) {
    hak_pool_lock();
    struct hak_heap *h = pop_retired();
    if (!h) {
        h = hak_arena_record(sizeof *h);
        if (h) {
            h->next = all_heaps;
            all_heaps = h;
            h->number = nheaps++;
            for (unsigned c = 1; c < HAK_CLASSES; c++)
                bin_init(&h->bin[c], c);
            for (unsigned i = 1; i <= HAK_FINE_MAX / 16; i++)
                h->fine[i] = (uint16_t)(hak_class_of(i * 16) * sizeof(struct hak_bin));
        }
    }
    if (h)
        h->state = HAK_HEAP_LIVE;
    hak_pool_unlock();
    return h;
}

void hak_heap_retire(struct hak_heap *h) {
    hak_heap_flush(h);
    h->packs = false; /* its next thread may be one that frees little */
    h->singles = 0;
    hak_pool_thread_exit();
    hak_heaps_push_retired(h);
}

void hak_heaps_count(uint64_t *all, uint64_t *retired) {
    *all = nheaps;
    *retired = atomic_load_explicit(&nretired, memory_order_relaxed);
}

void hak_heaps_fork_child(const struct hak_heap *mine) {
    for (struct hak_heap *h = all_heaps; h; h = h->next)
        if (h != mine && (h->state == HAK_HEAP_LIVE || h->state == HAK_HEAP_HELD))
            h->state = HAK_HEAP_DEAD;
}
