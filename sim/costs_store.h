/*
 * The prices of this machine in the store: a run of pass "control", allocator "kernel", mode
 * "calibrate", whose metrics are price_NAME (haks_price_at). The newest one of this machine, as it
 * is set up now, counts.
 */
#ifndef SIM_COSTS_STORE_H
#define SIM_COSTS_STORE_H

#include "sim/calibrate.h"
#include "sim/cost_model.h"

/* Finds the prices to use. prices: --prices, a database or "reference", or NULL: from db (NULL or
 * not there: none) if it has a calibration of this machine, else the reference. Naming a database
 * without one is an error: HAKC_ENOENT. */
int haks_costs_find(const char *prices, const char *db, struct haks_costs *out,
                    struct hakc_err *err);

/* Adds a calibration, as an experiment of its own. */
int haks_costs_store(const char *db, const struct haks_calibration *c, int argc, char **argv,
                     struct hakc_err *err);

#endif
