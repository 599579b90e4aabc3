#include "sim/cost_model.h"

#include <stddef.h>

/* Measured: fault 1,400-1,600; DONTNEED of one page 1,200-1,400, a page 245-260; unmapping 230-270
 * a page; populate 1,050-1,170 a page; mmap 3,500-5,900. The others are taken as their likes. */
const struct haks_costs haks_costs_reference = {
#define X(member, ns, meaning) .member = (ns),
    HAKS_PRICES(X)
#undef X
        .source = "the built-in reference, of another machine"};

const struct haks_price *haks_price_at(unsigned i) {
    static const struct haks_price prices[] = {
#define X(member, ns, meaning) {#member, meaning, offsetof(struct haks_costs, member)},
        HAKS_PRICES(X)
#undef X
    };
    return i < sizeof prices / sizeof prices[0] ? &prices[i] : NULL;
}

static void add(uint64_t *sum, uint64_t n, uint64_t ns) {
    uint64_t product;
    if (__builtin_mul_overflow(n, ns, &product) || __builtin_add_overflow(*sum, product, sum))
        *sum = UINT64_MAX;
}

/* What the other processors add to one call that takes pages away: they have to forget them too.
 * As many as run threads of the program side by side. */
static uint64_t shootdown(const struct haks_costs *c, const struct haks_pass *pass) {
    uint64_t most = c->cpus * 1000ull, milli = pass->parallel_milli;
    milli = milli < most ? milli : most;
    return milli > 1000 ? c->shootdown_ns * (milli - 1000) / 1000 : 0;
}

static void release_cost(const struct haks_costs *c, const struct haks_figures *f, uint64_t pages,
                         uint64_t other, uint64_t *ns) {
    uint64_t unmaps = f->calls[HAKS_UNMAP] + f->calls[HAKS_RELEASE];
    uint32_t page_ns = unmaps > 0                ? c->unmap_page_ns
                       : f->calls[HAKS_FREE] > 0 ? c->free_page_ns
                                                 : c->dontneed_page_ns;
    uint64_t hot = f->heat.hot_released, again = f->heat.marked_again; /* a policy has one way */
    add(ns, pages - hot - again, page_ns);
    add(ns, hot, f->calls[HAKS_FREE] > 0 && unmaps == 0 ? page_ns : c->hot_page_ns);
    add(ns, again, c->free_again_page_ns);
    add(ns, f->calls[HAKS_DONTNEED], c->dontneed_call_ns + other);
    add(ns, f->calls[HAKS_FREE], c->free_call_ns + other);
    add(ns, unmaps, c->unmap_call_ns + other);
    add(ns, f->heat.flushed, c->flush_page_ns);
}

static void fault_cost(const struct haks_costs *c, const struct haks_figures *f, uint64_t *ns) {
    const struct haks_heat_counts *h = &f->heat;
    add(ns, f->faults - h->hot_faults - h->warm_faults - h->huge_faults, c->fault_ns);
    add(ns, h->huge_faults, c->huge_fault_ns);
    add(ns, h->hot_faults, c->hot_fault_ns);
    add(ns, h->warm_faults, c->warm_fault_ns);
    add(ns, h->entries[HAKS_NEAR], c->entry_ns);
    add(ns, h->entries[HAKS_16K], c->entry_16k_ns);
    add(ns, h->entries[HAKS_128K], c->entry_128k_ns);
    add(ns, h->entries[HAKS_2M], c->entry_2m_ns);
}

static void populate_cost(const struct haks_costs *c, const struct haks_figures *f, uint64_t pages,
                          uint64_t *ns) {
    const struct haks_heat_counts *h = &f->heat;
    add(ns, f->calls[HAKS_POPULATE], c->populate_call_ns);
    add(ns, pages - h->hot_populated - h->warm_populated, c->populate_page_ns);
    add(ns, h->hot_populated, c->hot_populate_ns);
    add(ns, h->warm_populated, c->warm_populate_ns);
}

uint64_t haks_cost(const struct haks_costs *c, const struct haks_pass *pass,
                   struct haks_figures *f) {
    struct haks_cost_split s = {0};
    uint64_t other = shootdown(c, pass), page = pass->page_size;

    fault_cost(c, f, &s.fault_ns);
    release_cost(c, f, f->released_bytes / page, other, &s.release_ns);
    add(&s.map_ns, f->calls[HAKS_RESERVE] + f->calls[HAKS_MAP], c->map_call_ns);
    add(&s.map_ns, f->calls[HAKS_COMMIT] + f->calls[HAKS_HUGE], c->commit_call_ns);
    populate_cost(c, f, f->populated_bytes / page, &s.populate_ns);
    add(&s.move_ns, f->calls[HAKS_MOVE], c->move_call_ns + other);
    add(&s.move_ns, f->moved_bytes / page, c->move_page_ns);
    f->cost = s;
    f->cost_ns = 0;
    const uint64_t causes[] = {s.fault_ns, s.release_ns, s.map_ns, s.populate_ns, s.move_ns};
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        add(&f->cost_ns, causes[i], 1);
    return f->cost_ns;
}
