/*
 * What the kernel's work costs in CPU time: a price for each call and one for each page, by what
 * the caches still hold of it (heat.h), so that a cost is a sum of products over the figures.
 *
 * Two sets of prices: those that `haksim calibrate` measured on this machine and left in the
 * database, and the built-in reference (one 2-core x86-64 virtual machine, AMD EPYC, Linux 6.18).
 * The reference gives the order of the cost and ranks policies; on another machine its absolute
 * figures are off. haks_costs.source says which one it is.
 */
#ifndef SIM_COST_MODEL_H
#define SIM_COST_MODEL_H

#include "sim/sim.h"

/* One row a price. X(member, reference in ns, meaning) */
#define HAKS_PRICES(X)                                                                             \
    X(fault_ns, 1500, "first touch of a page: a fault, after others")                              \
    X(warm_fault_ns, 1500, "the same on a frame used 2 to 16 MiB ago")                             \
    X(hot_fault_ns, 1500, "less than 2 MiB ago")                                                   \
    X(huge_fault_ns, 150000, "first touch of a huge page")                                         \
    X(entry_ns, 0, "more for a fault that comes alone, at most 16 KiB after the last")             \
    X(entry_16k_ns, 0, "more for a fault or call 16 to 128 KiB after the last")                    \
    X(entry_128k_ns, 0, "128 KiB to 2 MiB after it")                                               \
    X(entry_2m_ns, 0, "later")                                                                     \
    X(dontneed_call_ns, 1300, "madvise(MADV_DONTNEED), beside its pages")                          \
    X(dontneed_page_ns, 250, "each resident page of it")                                           \
    X(hot_page_ns, 250, "of it and of an unmapping, each page that came lately")                   \
    X(flush_page_ns, 0, "each page of a releasing call of at most 33: besides")                    \
    X(free_call_ns, 1300, "madvise(MADV_FREE), beside its pages")                                  \
    X(free_page_ns, 50, "each resident page of it")                                                \
    X(free_again_page_ns, 50, "each that was marked before and not given back since")              \
    X(unmap_call_ns, 4700, "munmap, or mmap(PROT_NONE) over a mapping, beside its pages")          \
    X(unmap_page_ns, 250, "each resident page of it")                                              \
    X(populate_call_ns, 1300, "madvise(MADV_POPULATE_WRITE), beside its pages")                    \
    X(populate_page_ns, 1100, "each page that it brings in")                                       \
    X(warm_populate_ns, 1100, "the same on a frame of 2 to 16 MiB ago")                            \
    X(hot_populate_ns, 1100, "less than 2 MiB ago")                                                \
    X(map_call_ns, 4700, "mmap of address space")                                                  \
    X(commit_call_ns, 1300, "mprotect that makes address space usable")                            \
    X(move_call_ns, 4700, "mremap, beside its pages")                                              \
    X(move_page_ns, 50, "each resident page of it")                                                \
    X(shootdown_ns, 0, "what each other processor that runs a thread adds to a releasing call")

struct haks_costs {
#define X(member, ns, meaning) uint32_t member;
    HAKS_PRICES(X)
#undef X
    uint32_t cpus;    /* processors, for shoot-downs; 0 = not known: none */
    char source[128]; /* a phrase: which prices these are */
};

extern const struct haks_costs haks_costs_reference;

/* Name, meaning and place of price i; 0 past the last. */
struct haks_price {
    const char *name, *meaning;
    size_t at; /* of a uint32_t in struct haks_costs */
};
const struct haks_price *haks_price_at(unsigned i);

/* Sets f->cost and f->cost_ns from the other figures; returns cost_ns. Sums saturate. */
uint64_t haks_cost(const struct haks_costs *c, const struct haks_pass *pass,
                   struct haks_figures *f);

#endif
