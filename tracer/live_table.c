#include "tracer/live_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LOG2_MIN  15
#define LOG2_MAX  44
#define HUGE_PAGE ((size_t)2 << 20)

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
    t->shift = 64 - (log2 - 3);
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

int hakt_live_grow(struct hakt_live *t) {
    struct hakt_live bigger = *t;
    unsigned log2 = 64 - t->shift + 3 + 1;
    int rc = log2 > LOG2_MAX ? HAKC_ENOMEM : table_alloc(&bigger, log2);
    if (rc != 0) /* the object is in: it goes on as long as there is a free slot */
        return t->count < t->mask - 1 ? 0 : rc;
    for (size_t k = 0; k <= t->mask; k++) {
        if (t->slots[k].addr == 0)
            continue;
        size_t i = hakt_live_home(&bigger, t->slots[k].addr);
        while (bigger.slots[i].addr != 0)
            i = (i + 1) & bigger.mask;
        bigger.slots[i] = t->slots[k];
    }
    free(t->slots);
    *t = bigger;
    return 0;
}

int hakt_live_add_large(struct hakt_live *t, uint64_t id, uint64_t size) {
    return hakc_map_put(&t->large, id, size);
}

uint64_t hakt_live_take_large(struct hakt_live *t, uint64_t id) {
    uint64_t size = 0;
    hakc_map_take(&t->large, id, &size);
    return size;
}
