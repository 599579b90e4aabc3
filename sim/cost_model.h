/*
 * What the kernel's work costs in CPU time. The constants are those measured on one 2-core x86-64
 * virtual machine (AMD EPYC, Linux 6.18, blocks of 2 MiB): they give the order of the cost and rank
 * policies; on another machine the absolute figures are off.
 */
#ifndef SIM_COST_MODEL_H
#define SIM_COST_MODEL_H

#include "sim/sim.h"

struct haks_costs {
    uint32_t fault_ns;         /* first touch of a page */
    uint32_t call_ns;          /* a short call: madvise; mprotect is taken to cost the same */
    uint32_t map_ns;           /* mmap, munmap; mremap is taken to cost the same */
    uint32_t dontneed_page_ns; /* each resident page of a DONTNEED */
    uint32_t free_page_ns;     /* of a FREE */
    uint32_t unmap_page_ns;    /* of an unmapping */
    uint32_t populate_page_ns; /* each page brought in by POPULATE_WRITE */
    uint32_t move_page_ns;     /* each resident page moved: not measured, taken as free_page_ns */
};

extern const struct haks_costs haks_costs_default;

/* Predicted CPU time in the kernel, ns. Saturates. */
uint64_t haks_cost(const struct haks_costs *c, const struct haks_figures *f, uint64_t page_size);

#endif
