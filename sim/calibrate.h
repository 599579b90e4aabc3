/*
 * Measures the prices of the cost model on this machine: calls and page faults of a process of its
 * own making, in memory that the kernel has at hand (a fault's price is that of a page that was
 * given back shortly before; the first touch of memory that a hypervisor has to provide can cost
 * ten times as much, and is shown beside it).
 *
 * Each price is measured between stretches of other work, because a program's faults and calls come
 * one at a time, with the kernel's code and data no longer in the nearest caches.
 */
#ifndef SIM_CALIBRATE_H
#define SIM_CALIBRATE_H

#include "sim/cost_model.h"

struct haks_calibration {
    struct haks_costs costs;
    struct haks_costs low, high; /* quartiles of the rounds, price by price */
    uint32_t fresh_fault_ns;     /* a fault in memory not used by this process before */
    uint32_t rounds;
};

/* Takes some 50 ms a round. *stop (NULL = never) ends it early: HAKC_EINTERNAL. HAKC_ENOMEM,
 * HAKC_EIO where a call fails. Starts and ends a thread for each further processor (shoot-downs).
 */
int haks_calibrate(unsigned rounds, const volatile int *stop, struct haks_calibration *out,
                   struct hakc_err *err);

#endif
