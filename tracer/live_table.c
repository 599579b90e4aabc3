#include "tracer/live_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LOG2_MIN   15
#define LOG2_MAX   44
#define HUGE_PAGE  ((size_t)2 << 20)
#define PASSED_MAX 255u

static int table_alloc(struct hakt_live *t, unsigned log2) {
    size_t bytes = sizeof(*t->slots) << log2;
    struct hakt_live_slot *slots = aligned_alloc(bytes < HUGE_PAGE ? 4096 : HUGE_PAGE, bytes);
    if (slots == NULL)
        return HAKC_ENOMEM;
    if (bytes >= HUGE_PAGE)
        madvise(slots, bytes, MADV_HUGEPAGE); /* a wish: works without */
    memset(slots, 0, bytes);
    t->slots = slots;
    t->mask = ((size_t)1 << log2) - 1;
    t->grow_at = ((size_t)1 << log2) / 8 * 5;
    t->shift = 64 - log2;
    return 0;
}

int hakt_live_init(struct hakt_live *t) {
    memset(t, 0, sizeof(*t));
    int rc = table_alloc(t, LOG2_MIN);
    return rc != 0 ? rc : hakc_map_init(&t->large, 0);
}

void hakt_live_fini(struct hakt_live *t) {
    free(t->slots);
    hakc_map_fini(&t->large);
    memset(t, 0, sizeof(*t));
}

static inline uint64_t addr_of(const struct hakt_live_slot *s) {
    return s->addr & HAKT_LIVE_ADDR_MASK;
}

static inline unsigned passed(const struct hakt_live_slot *s) {
    return (unsigned)(s->addr >> HAKT_LIVE_ADDR_BITS);
}

/* The slot of the object at addr, or t->mask + 1. Every slot may have been passed once, when the
 * counts of all stick: so no further than once around. */
static size_t find(const struct hakt_live *t, uint64_t addr) {
    size_t i = hakt_live_home(t, addr);
    for (size_t n = 0; n <= t->mask; n++, i = (i + 1) & t->mask) {
        if (addr_of(&t->slots[i]) == addr)
            return i;
        if (passed(&t->slots[i]) == 0)
            break;
    }
    return t->mask + 1;
}

/* Puts an object that is not there into the first empty slot. */
static void place(struct hakt_live *t, uint64_t addr, uint64_t packed) {
    size_t i = hakt_live_home(t, addr);
    for (; addr_of(&t->slots[i]) != 0; i = (i + 1) & t->mask) {
        if (passed(&t->slots[i]) < PASSED_MAX)
            t->slots[i].addr += HAKT_LIVE_PASSED_ONE;
    }
    t->slots[i].addr |= addr;
    t->slots[i].packed = packed;
}

int hakt_live_add(struct hakt_live *t, uint64_t addr, uint64_t id, uint64_t size) {
    if (find(t, addr) <= t->mask)
        return 1;
    if (id >= HAKT_LIVE_ID_LIMIT)
        return HAKC_EUNSUPPORTED;
    if (size >= HAKT_LIVE_SIZE_MAX) {
        int rc = hakc_map_put(&t->large, id, size);
        if (rc != 0)
            return rc;
        size = HAKT_LIVE_SIZE_MAX;
    }
    place(t, addr, id << HAKT_LIVE_SIZE_BITS | size);
    return ++t->count >= t->grow_at ? hakt_live_grow(t) : 0;
}

int hakt_live_take(struct hakt_live *t, uint64_t addr, uint64_t *id, uint64_t *size) {
    size_t at = addr != 0 ? find(t, addr) : t->mask + 1;
    if (at > t->mask)
        return 0;
    *id = t->slots[at].packed >> HAKT_LIVE_SIZE_BITS;
    *size = t->slots[at].packed & HAKT_LIVE_SIZE_MAX;
    if (*size == HAKT_LIVE_SIZE_MAX)
        hakc_map_take(&t->large, *id, size);
    for (size_t i = hakt_live_home(t, addr); i != at; i = (i + 1) & t->mask) {
        if (passed(&t->slots[i]) < PASSED_MAX)
            t->slots[i].addr -= HAKT_LIVE_PASSED_ONE;
    }
    t->slots[at].addr &= ~HAKT_LIVE_ADDR_MASK;
    t->count--;
    return 1;
}

int hakt_live_grow(struct hakt_live *t) {
    struct hakt_live bigger = *t;
    unsigned log2 = 64 - t->shift + 1;
    int rc = log2 > LOG2_MAX ? HAKC_ENOMEM : table_alloc(&bigger, log2);
    if (rc != 0) /* the object is in: it goes on as long as there is a free slot */
        return t->count < t->mask - 1 ? 0 : rc;
    for (size_t k = 0; k <= t->mask; k++) {
        if (addr_of(&t->slots[k]) != 0)
            place(&bigger, addr_of(&t->slots[k]), t->slots[k].packed);
    }
    free(t->slots);
    *t = bigger;
    return 0;
}
