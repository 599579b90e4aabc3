#include "common/map.h"

#include <stdlib.h>
#include <string.h>

#define MAP_LOG2_MIN 6
#define MAP_LOG2_MAX 48

static int map_alloc(struct hakc_map *m, unsigned log2) {
    struct hakc_map_slot *slots = calloc((size_t)1 << log2, sizeof(*slots));
    if (slots == NULL)
        return HAKC_ENOMEM;
    m->slots = slots;
    m->mask = ((size_t)1 << log2) - 1;
    m->count = 0;
    m->grow_at = ((size_t)1 << log2) / 4 * 3;
    m->shift = 64 - log2;
    return 0;
}

int hakc_map_init(struct hakc_map *m, size_t expected) {
    unsigned log2 = MAP_LOG2_MIN;
    memset(m, 0, sizeof(*m));
    while (((size_t)1 << log2) / 4 * 3 < expected) {
        if (++log2 > MAP_LOG2_MAX)
            return HAKC_ENOMEM;
    }
    return map_alloc(m, log2);
}

void hakc_map_fini(struct hakc_map *m) {
    free(m->slots);
    memset(m, 0, sizeof(*m));
}

void hakc_map_clear(struct hakc_map *m) {
    memset(m->slots, 0, (m->mask + 1) * sizeof(*m->slots));
    m->count = 0;
}

int hakc_map_grow(struct hakc_map *m) {
    struct hakc_map bigger;
    unsigned log2 = 64 - m->shift + 1;
    int rc = log2 > MAP_LOG2_MAX ? HAKC_ENOMEM : map_alloc(&bigger, log2);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i <= m->mask; i++) {
        if (m->slots[i].key != 0)
            hakc_map_put(&bigger, m->slots[i].key, m->slots[i].value); /* has room: cannot fail */
    }
    free(m->slots);
    *m = bigger;
    return 0;
}

struct hakc_map_slot *hakc_map_next(const struct hakc_map *m, size_t *cursor) {
    while (*cursor <= m->mask) {
        struct hakc_map_slot *s = &m->slots[(*cursor)++];
        if (s->key != 0)
            return s;
    }
    return NULL;
}
