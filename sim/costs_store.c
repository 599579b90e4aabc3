#include "sim/costs_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/store.h"
#include "sim/sim_session.h"

#define PREFIX "price_"

static void take(void *ctx, const char *name, double value) {
    struct haks_costs *c = ctx;
    const struct haks_price *p;
    if (value < 0 || value > UINT32_MAX)
        return;
    if (strcmp(name, "cpus") == 0)
        c->cpus = (uint32_t)value;
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0)
        return;
    for (unsigned i = 0; (p = haks_price_at(i)) != NULL; i++)
        if (strcmp(name + sizeof PREFIX - 1, p->name) == 0)
            *(uint32_t *)(void *)((char *)c + p->at) = (uint32_t)(value + 0.5);
}

static int load(const char *path, struct haks_costs *out, struct hakc_err *err) {
    struct hakd *db;
    uint64_t unix_ns;
    int rc = hakd_open(&db, path, HAKD_READ, err);
    if (rc != 0)
        return rc;
    rc = hakd_newest_metrics(db, "control", "calibrate", take, out, &unix_ns, err);
    if (rc == 0) {
        time_t at = (time_t)(unix_ns / 1000000000u);
        struct tm tm;
        char when[32] = "";
        if (gmtime_r(&at, &tm) != NULL)
            strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &tm);
        snprintf(out->source, sizeof out->source, "calibrated on this machine, %s", when);
    }
    hakd_close(db);
    return rc;
}

int haks_costs_find(const char *prices, const char *db, struct haks_costs *out,
                    struct hakc_err *err) {
    int rc;
    *out = haks_costs_reference;
    if (prices != NULL)
        return strcmp(prices, "reference") == 0 ? 0 : load(prices, out, err);
    if (db == NULL || access(db, F_OK) != 0)
        return 0;
    rc = load(db, out, err);
    return rc == HAKC_ENOENT || rc == HAKC_EUNSUPPORTED ? 0 : rc;
}

static int put(struct hakd *db, int64_t run, const char *name, uint32_t value, const char *unit,
               struct hakc_err *err) {
    return hakd_put_metric(db, run, name, value, unit, err);
}

static int put_prices(struct hakd *db, int64_t run, const struct haks_calibration *c,
                      struct hakc_err *err) {
    const struct haks_price *p;
    int rc = put(db, run, "cpus", c->costs.cpus, "cpus", err);
    for (unsigned i = 0; rc == 0 && (p = haks_price_at(i)) != NULL; i++) {
        char name[64];
        snprintf(name, sizeof name, PREFIX "%s", p->name);
        rc = put(db, run, name, *(const uint32_t *)(const void *)((const char *)&c->costs + p->at),
                 HAKD_UNIT_NS, err);
    }
    return rc;
}

static int put_run(struct hakd *db, const struct haks_calibration *c, const char *cmdline,
                   struct hakc_err *err) {
    struct hakd_experiment e = {.tool = "haksim",
                                .tool_version = HAK_VERSION,
                                .args = cmdline,
                                .started_unix_ns = c->started_unix_ns};
    struct hakd_run run = {
        .allocator = "kernel", .pass = "control", .mode = "calibrate", .status = "ok"};
    int64_t id;
    int rc = hakd_put_this_machine(db, &e.machine, err);
    if (rc == 0)
        rc = hakd_put_experiment(db, &e, &run.experiment, err);
    if (rc == 0)
        rc = hakd_put_run(db, &run, &id, err);
    if (rc == 0)
        rc = put_prices(db, id, c, err);
    if (rc == 0)
        rc = hakd_finish_experiment(db, run.experiment, "done", err);
    return rc;
}

int haks_costs_store(const char *path, const struct haks_calibration *c, int argc, char **argv,
                     struct hakc_err *err) {
    struct hakd *db;
    char *cmdline = haks_command_line(argc, argv);
    int rc = cmdline != NULL ? hakd_open(&db, path, HAKD_WRITE, err)
                             : hakc_fail(err, HAKC_ENOMEM, "no memory for the command line");
    if (rc == 0) {
        rc = hakd_begin(db, err);
        if (rc == 0)
            rc = put_run(db, c, cmdline, err);
        if (rc == 0)
            rc = hakd_commit(db, err);
        hakd_close(db);
    }
    free(cmdline);
    return rc;
}
