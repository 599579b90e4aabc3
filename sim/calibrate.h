/*
 * Measures the prices of the cost model on this machine: calls and page faults of a process of its
 * own making. Frames are those that this or other processes used before; the first touch of memory
 * that a hypervisor has to provide can cost ten times as much.
 *
 * The caches decide much of it (heat.h): so faults are measured in a row, on frames used a known
 * distance ago and on fresh ones, and alone, after stretches of other work; calls after little
 * work, since what more work makes of them is the price of an entry.
 */
#ifndef SIM_CALIBRATE_H
#define SIM_CALIBRATE_H

#include "sim/cost_model.h"

struct haks_calibration {
    struct haks_costs costs;
    struct haks_costs low, high; /* quartiles of the rounds, price by price */
    uint32_t rounds;
    uint64_t started_unix_ns;
};

/* Takes some 100 ms a round. *stop (NULL = never) ends it early: HAKC_EINTERNAL. HAKC_ENOMEM,
 * HAKC_EIO where a call fails. Starts and ends a thread for each further processor (shoot-downs).
 */
int haks_calibrate(unsigned rounds, const volatile int *stop, struct haks_calibration *out,
                   struct hakc_err *err);

#endif
