#include "sim/cost_model.h"

const struct haks_costs haks_costs_default = {
    .fault_ns = 1500,        /* measured 1,400-1,600 */
    .call_ns = 1300,         /* DONTNEED of one page, the whole call: 1,200-1,400 */
    .map_ns = 4700,          /* mmap call: 3,500-5,900 */
    .dontneed_page_ns = 250, /* 245-260 */
    .free_page_ns = 50,
    .unmap_page_ns = 250,     /* 230-270 */
    .populate_page_ns = 1100, /* 1,050-1,170 */
    .move_page_ns = 50,
};

static uint64_t term(uint64_t sum, uint64_t n, uint64_t ns) {
    uint64_t product;
    if (__builtin_mul_overflow(n, ns, &product) || __builtin_add_overflow(sum, product, &sum))
        return UINT64_MAX;
    return sum;
}

uint64_t haks_cost(const struct haks_costs *c, const struct haks_figures *f, uint64_t page_size) {
    uint64_t released = f->released_bytes / page_size, sum = 0;
    uint32_t page_ns = f->calls[HAKS_UNMAP] > 0  ? c->unmap_page_ns
                       : f->calls[HAKS_FREE] > 0 ? c->free_page_ns
                                                 : c->dontneed_page_ns;

    sum = term(sum, f->faults, c->fault_ns);
    sum = term(sum, released, page_ns); /* a policy gives back in one way only */
    sum = term(sum, f->populated_bytes / page_size, c->populate_page_ns);
    sum = term(sum, f->moved_bytes / page_size, c->move_page_ns);
    sum = term(sum, f->calls[HAKS_COMMIT] + f->calls[HAKS_DONTNEED] + f->calls[HAKS_FREE],
               c->call_ns);
    sum = term(sum, f->calls[HAKS_POPULATE] + f->calls[HAKS_HUGE], c->call_ns);
    sum = term(sum, f->calls[HAKS_RESERVE] + f->calls[HAKS_UNMAP], c->map_ns);
    return term(sum, f->calls[HAKS_RELEASE] + f->calls[HAKS_MOVE] + f->calls[HAKS_MAP], c->map_ns);
}
