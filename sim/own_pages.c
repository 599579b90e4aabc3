#include "alloc/internal.h"
#include "sim/own_pages.h"

int haks_own_span(struct haks_own_pages *o, const struct hak_span *span) {
    /* A slab writes the record of each of its units, a large object that of the first. (Arenas
     * number their units from 1 on; a second arena's metadata starts on a page of its own.) */
    uint64_t units = span->kind < HAK_KIND_LARGE ? span->units : 1;
    uint64_t first = (uint64_t)(span->unit - 1) * sizeof(struct hak_slab) / o->page_size;
    uint64_t last =
        ((uint64_t)(span->unit - 1 + units) * sizeof(struct hak_slab) - 1) / o->page_size;
    uint64_t before = o->meta_pages;

    if (first < o->next_page)
        first = o->next_page;
    if (last >= first) {
        o->meta_pages += last - first + 1;
        o->next_page = last + 1;
    }
    return o->meta_pages != before;
}

int haks_own_heaps(struct haks_own_pages *o, uint64_t n) {
    uint64_t before = o->heap_pages, size = (sizeof(struct hak_heap) + 63) & ~(uint64_t)63;
    o->heap_pages = (n * size + o->page_size - 1) / o->page_size;
    return o->heap_pages != before;
}
