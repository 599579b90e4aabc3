/* See census.h. */
#include "alloc/census.h"

/* Words that their owners change without our lock. */
#define GLANCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)

static uint64_t bin_length(const struct hak_bin *bin) {
    int64_t n = (int64_t)bin->magazine - GLANCE(bin->room);
    return (n > 0 ? (uint64_t)n : 0) + GLANCE(bin->nspare);
}

uint64_t hak_census_cached(const struct hak_heap *h) {
    uint64_t bytes = 0;
    for (unsigned c = 1; c < HAK_CLASSES; c++)
        bytes += bin_length(&h->bin[c]) * hak_class_size(c);
    return bytes;
}

static void count_span(struct hak_census *out, const struct hak_slab *s) {
    unsigned c = GLANCE(s->bin_off) / (unsigned)sizeof(struct hak_bin);
    if (s->span.state != HAK_SPAN_USED) {
        out->free_spans[s->span.state]++;
    } else if (GLANCE(s->use) == HAK_UNIT_LARGE) {
        out->large_objects++;
        out->large_pages += GLANCE(s->carved);
    } else if (GLANCE(s->use) == HAK_UNIT_SLAB && c < HAK_CLASSES) {
        out->class[c].slabs++;
        out->class[c].units += s->span.units;
        out->class[c].capacity += GLANCE(s->capacity);
        out->class[c].out += GLANCE(s->used);
    }
}

void hak_census(struct hak_census *out) {
    *out = (struct hak_census){0};
    hak_pool_lock();
    uint32_t cursor = 0;
    for (struct hak_slab *s; (s = hak_arena_next(&cursor));)
        count_span(out, s);
    for (const struct hak_heap *h = hak_heaps_first(); h; h = h->next)
        for (unsigned c = 1; c < HAK_CLASSES; c++)
            out->class[c].cached += bin_length(&h->bin[c]);
    hak_pool_unlock();
}

static void count_slab(struct hak_census_heap *out, uint32_t first, uint32_t n,
                       const struct hak_slab *s) {
    const struct hak_heap *h = hak_slab_owner(s);
    if (!h || h->number < first || h->number - first >= n)
        return;
    struct hak_census_heap *of = &out[h->number - first];
    of->slabs++;
    of->units += s->span.units;
    of->out_bytes += (uint64_t)GLANCE(s->used) * GLANCE(s->block_size);
}

uint32_t hak_census_heaps(struct hak_census_heap *out, uint32_t first, uint32_t n) {
    uint32_t all = 0, cursor = 0;
    hak_pool_lock();
    for (const struct hak_heap *h = hak_heaps_first(); h; h = h->next) {
        all++;
        if (h->number >= first && h->number - first < n)
            out[h->number - first] = (struct hak_census_heap){
                .number = h->number, .state = h->state, .cached_bytes = hak_census_cached(h)};
    }
    for (struct hak_slab *s; n > 0 && (s = hak_arena_next(&cursor));)
        count_slab(out, first, n, s);
    hak_pool_unlock();
    return all;
}
