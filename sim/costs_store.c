#include "sim/costs_store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/store.h"

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
