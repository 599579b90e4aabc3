/* Resident memory over a run: peak, end, and means weighted by ops and by time, in integers. */
#ifndef SIM_METER_H
#define SIM_METER_H

#include "sim/sim.h"

struct haks_meter {
    uint64_t resident, lazy;           /* pages now */
    uint64_t peak_resident, peak_lazy; /* pages */
    uint64_t op, time;                 /* now */
    unsigned __int128 by_op, by_time;  /* resident pages x ops, x ns */
};

/* The clock moves on to op and time; what is resident now was so in between. */
static inline void haks_meter_at(struct haks_meter *m, uint64_t op, uint64_t time) {
    m->by_op += (unsigned __int128)m->resident * (op - m->op);
    m->by_time += (unsigned __int128)m->resident * (time - m->time);
    m->op = op;
    m->time = time;
}

static inline void haks_meter_add(struct haks_meter *m, uint64_t pages) {
    m->resident += pages;
    if (m->resident > m->peak_resident)
        m->peak_resident = m->resident;
}

static inline void haks_meter_add_lazy(struct haks_meter *m, uint64_t pages) {
    m->lazy += pages;
    if (m->lazy > m->peak_lazy)
        m->peak_lazy = m->lazy;
}

/* Ends the run at its number of ops and last time, and fills in the figures. */
static inline void haks_meter_end(struct haks_meter *m, const struct haks_pass *pass,
                                  struct haks_figures *f) {
    haks_meter_at(m, pass->ops, pass->end_time);
    f->peak_resident_bytes = m->peak_resident * pass->page_size;
    f->end_resident_bytes = m->resident * pass->page_size;
    f->peak_lazy_bytes = m->peak_lazy * pass->page_size;
    f->mean_resident_bytes = pass->ops > 0 ? (uint64_t)(m->by_op * pass->page_size / pass->ops) : 0;
    f->mean_resident_time_bytes = pass->has_times && pass->end_time > 0
                                      ? (uint64_t)(m->by_time * pass->page_size / pass->end_time)
                                      : HAKS_UNKNOWN;
}

#endif
