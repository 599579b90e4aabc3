/* Rows into the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/metrics.h"
#include "db/store.h"
#include "sim/sim_rows.h"
#include "tracer/format/trace.h"

static uint64_t known(uint64_t v) {
    return v == UINT64_MAX ? 0 : v;
}

int haks_store_trace(struct hakd *db, const char *path, int64_t *id, struct hakc_err *err) {
    struct hakt_reader *r;
    char hash[65];
    int rc = hakt_file_hash(path, hash, err);
    if (rc != 0 || (rc = hakt_reader_open(&r, path, err)) != 0)
        return rc;
    const struct hakt_info *i = hakt_reader_info(r);
    const struct hakt_totals *t = hakt_reader_totals(r, NULL);
    struct hakd_trace row = {
        .sha256 = hash,
        .path = path,
        .command = i->command,
        .host = i->host,
        .clock = i->clock,
        .tool = i->tool,
        .source = i->source,
        .version = i->version,
        .fidelity = i->fidelity,
        .records = known(t->records),
        .ops = known(t->ops),
        .allocs = known(t->allocs),
        .threads = known(t->threads),
        .duration_ns = known(t->end_time),
        .start_unix_ns = i->start_unix_ns,
        .dropped = known(t->dropped),
        .peak_live_bytes = known(t->peak_live_bytes),
        .peak_live_objects = known(t->peak_live_objects),
    };
    rc = hakd_put_trace(db, &row, id, err);
    hakt_reader_close(r);
    return rc;
}

static int put_metrics(struct hakd *db, int64_t run, const struct haks_row *r,
                       struct hakc_err *err) {
    const struct {
        const char *name;
        uint64_t value;
        const char *unit;
    } m[] = {{HAKD_M_PREDICTED_RELEASE_CALLS, haks_release_calls(&r->f), HAKD_UNIT_CALLS},
             {HAKD_M_PREDICTED_MAP_CALLS, haks_map_calls(&r->f), HAKD_UNIT_CALLS},
             {HAKD_M_PREDICTED_UNMAP_CALLS, r->f.calls[HAKS_UNMAP], HAKD_UNIT_CALLS},
             {HAKD_M_PREDICTED_POPULATE_CALLS, r->f.calls[HAKS_POPULATE], HAKD_UNIT_CALLS},
             {HAKD_M_PREDICTED_RELEASED_BYTES,
              r->f.bytes[HAKS_DONTNEED] + r->f.bytes[HAKS_FREE] + r->f.bytes[HAKS_UNMAP],
              HAKD_UNIT_BYTES},
             {"predicted_released_resident_bytes", r->f.released_bytes, HAKD_UNIT_BYTES},
             {HAKD_M_PREDICTED_FAULTS, r->f.faults, HAKD_UNIT_FAULTS},
             {HAKD_M_PREDICTED_PEAK_RESIDENT_BYTES, r->f.peak_resident_bytes, HAKD_UNIT_BYTES},
             {HAKD_M_PREDICTED_MEAN_RESIDENT_BYTES, r->f.mean_resident_bytes, HAKD_UNIT_BYTES},
             {"predicted_mean_resident_time_bytes", r->f.mean_resident_time_bytes, HAKD_UNIT_BYTES},
             {"predicted_end_resident_bytes", r->f.end_resident_bytes, HAKD_UNIT_BYTES},
             {"predicted_peak_lazy_bytes", r->f.peak_lazy_bytes, HAKD_UNIT_BYTES},
             {HAKD_M_PREDICTED_POPULATED_BYTES, r->f.populated_bytes, HAKD_UNIT_BYTES},
             {HAKD_M_PREDICTED_MOVED_BYTES, r->f.moved_bytes, HAKD_UNIT_BYTES},
             {HAKD_M_PREDICTED_ROUNDS, r->f.rounds, HAKD_UNIT_CALLS},
             {HAKD_M_PREDICTED_COST_NS, r->f.cost_ns, HAKD_UNIT_NS},
             {"predicted_fault_cost_ns", r->f.cost.fault_ns, HAKD_UNIT_NS},
             {"predicted_release_cost_ns", r->f.cost.release_ns, HAKD_UNIT_NS},
             {"predicted_map_cost_ns", r->f.cost.map_ns, HAKD_UNIT_NS},
             {"predicted_populate_cost_ns", r->f.cost.populate_ns, HAKD_UNIT_NS},
             {"predicted_move_cost_ns", r->f.cost.move_ns, HAKD_UNIT_NS},
             {HAKD_M_SIM_NS, r->sim_ns, HAKD_UNIT_NS},
#define COUNT(member, name) {"predicted_" name, r->f.heat.member, HAKD_UNIT_FAULTS},
             HAKS_HEAT_COUNTS(COUNT)
#undef COUNT
    };
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++) {
        int rc = m[i].value == HAKS_UNKNOWN
                     ? 0
                     : hakd_put_metric(db, run, m[i].name, (double)m[i].value, m[i].unit, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int haks_store_row(struct hakd *db, const struct haks_row *r, struct hakd_run *run,
                   struct hakc_err *err) {
    int64_t id;
    int rc;
    run->policy = r->policy;
    run->mode = r->mode;
    run->status = r->rc == 0 ? "ok" : "failed";
    run->error = r->rc == 0 ? NULL : r->err.msg;
    rc = hakd_put_run(db, run, &id, err);
    run->position++;
    if (rc != 0 || r->rc != 0)
        return rc;
    rc = put_metrics(db, id, r, err);
    for (unsigned c = 0; rc == 0 && c < HAKS_CALLS; c++) {
        struct hakd_syscall s = {.call = haks_call_name(c),
                                 .detail = haks_call_detail(c),
                                 .calls = r->f.calls[c],
                                 .bytes = r->f.bytes[c],
                                 .kernel_ns = UINT64_MAX};
        if (s.calls > 0)
            rc = hakd_put_syscall(db, id, &s, err);
    }
    return rc;
}

/* A database that is there must open and accept this schema; one that is not needs a folder that
 * takes it. */
int haks_store_check(const char *path, struct hakc_err *err) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    struct hakd *db;
    int rc;
    if (path[0] == '\0' || access(path, F_OK) == 0) {
        rc = hakd_open(&db, path, HAKD_WRITE, err);
        if (rc == 0)
            hakd_close(db);
        return rc;
    }
    if (slash == NULL)
        strcpy(folder, ".");
    else if ((size_t)(slash - path) + 2 > sizeof folder)
        return hakc_fail(err, HAKC_EUSAGE, "the name of the database is too long");
    else {
        memcpy(folder, path, (size_t)(slash - path) + 1);
        folder[slash - path + 1] = '\0';
    }
    if (access(folder, W_OK | X_OK) == 0)
        return 0;
    return hakc_fail_errno(err, HAKC_EIO, "%s: no database can be made there", path);
}
