/* Writing rows: what store.h declares, one function a table. */
#include "db/store_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "db/metrics.h"

static int64_t unix_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int hakd_put_trace(struct hakd *db, const struct hakd_trace *t, int64_t *id, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_TRACE, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_text(&b, t->sha256);
    hakd_bind_text(&b, t->path);
    hakd_bind_text(&b, t->command);
    hakd_bind_text(&b, t->host);
    hakd_bind_text(&b, t->clock);
    hakd_bind_text(&b, t->tool);
    hakd_bind_text(&b, t->source);
    hakd_bind_int(&b, t->version);
    hakd_bind_int(&b, t->fidelity);
    hakd_bind_known(&b, "records", t->records);
    hakd_bind_known(&b, "ops", t->ops);
    hakd_bind_known(&b, "allocs", t->allocs);
    hakd_bind_known(&b, "threads", t->threads);
    hakd_bind_known(&b, "duration_ns", t->duration_ns);
    hakd_bind_known(&b, "start_unix_ns", t->start_unix_ns ? t->start_unix_ns : UINT64_MAX);
    hakd_bind_known(&b, "dropped", t->dropped);
    hakd_bind_known(&b, "peak_live_bytes", t->peak_live_bytes);
    hakd_bind_known(&b, "peak_live_objects", t->peak_live_objects);
    return hakd_run_bound(db, &b, "storing a trace", id, err);
}

int hakd_put_library(struct hakd *db, const struct hakd_library *l, int64_t *id,
                     struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_LIBRARY, &b.st, err);
    if (rc)
        return rc;
    const char *fields[] = {l->name, l->path, l->build_id, l->version, l->sha256};
    char identity[65];
    hakd_identity(fields, 5, identity);
    hakd_bind_text(&b, identity);
    for (unsigned i = 0; i < 5; i++)
        hakd_bind_text(&b, fields[i]);
    return hakd_run_bound(db, &b, "storing a library", id, err);
}

/* A random (version 4) UUID. */
static int make_uuid(char text[37], struct hakc_err *err) {
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return hakc_fail_errno(err, HAKC_EIO, "cannot draw a random number for a UUID");
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    char *at = text;
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += sprintf(at, "%02x", r[i]);
    }
    return HAKC_OK;
}

int hakd_put_study(struct hakd *db, const char *name, const char *tool, int64_t *id,
                   struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_STUDY, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_text(&b, name);
    hakd_bind_text(&b, tool);
    hakd_bind_int(&b, unix_ns());
    return hakd_run_bound(db, &b, "storing a study", id, err);
}

int hakd_put_oracle(struct hakd *db, const struct hakd_oracle *o, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_ORACLE, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, o->experiment);
    hakd_bind_int(&b, o->trace);
    hakd_bind_text(&b, o->kind);
    hakd_bind_uint(&b, "bytes", o->bytes);
    hakd_bind_known(&b, "bound_ns", o->bound_ns);
    hakd_bind_known(&b, "reachable_ns", o->reachable_ns);
    return hakd_run_bound(db, &b, "storing the oracle's answer", NULL, err);
}

int hakd_put_experiment(struct hakd *db, const struct hakd_experiment *e, int64_t *id,
                        struct hakc_err *err) {
    struct hakd_bind b = {0};
    char uuid[37], writer[HAKD_WRITER];
    int rc;
    hakd_writer(writer);
    if ((rc = hakd_note_gone(db, err)) || (rc = make_uuid(uuid, err)) ||
        (rc = hakd_prepared(db, HAKD_ST_EXPERIMENT, &b.st, err)))
        return rc;
    hakd_bind_text(&b, uuid);
    hakd_bind_text(&b, e->tool);
    hakd_bind_text(&b, e->tool_version);
    hakd_bind_text(&b, e->args);
    hakd_bind_id(&b, e->machine);
    hakd_bind_uint(&b, "seed", e->seed);
    hakd_bind_int(&b, e->started_unix_ns ? (int64_t)e->started_unix_ns : unix_ns());
    hakd_bind_id(&b, e->study);
    hakd_bind_text(&b, writer[0] ? writer : NULL);
    return hakd_run_bound(db, &b, "storing an experiment", id, err);
}

int hakd_finish_experiment(struct hakd *db, int64_t id, const char *state, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int64_t found;
    int rc = hakd_prepared(db, HAKD_ST_FINISH, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, id);
    hakd_bind_text(&b, state);
    hakd_bind_int(&b, unix_ns());
    return hakd_run_bound(db, &b, "finishing an experiment", &found, err);
}

static void bind_run(struct hakd_bind *b, const struct hakd_run *r) {
    hakd_bind_id(b, r->experiment);
    hakd_bind_id(b, r->trace);
    hakd_bind_id(b, r->library);
    hakd_bind_text(b, r->allocator);
    hakd_bind_text(b, r->policy);
    hakd_bind_text(b, r->env);
    hakd_bind_text(b, r->pass);
    hakd_bind_text(b, r->mode);
    hakd_bind_int(b, r->repeat);
    hakd_bind_int(b, r->position);
    hakd_bind_text(b, r->status);
    hakd_bind_text(b, r->error);
    hakd_bind_text(b, r->counting);
}

int hakd_put_run(struct hakd *db, const struct hakd_run *r, int64_t *id, struct hakc_err *err) {
    struct hakd_bind find = {0}, b = {0};
    int rc = hakd_prepared(db, HAKD_ST_RUN_FIND, &find.st, err);
    if (rc)
        return rc;
    bind_run(&find, r);
    rc = hakd_run_bound(db, &find, "storing a run", id, err);
    if (rc != HAKC_ENOENT)
        return rc;
    if ((rc = hakd_prepared(db, HAKD_ST_RUN, &b.st, err)))
        return rc;
    bind_run(&b, r);
    hakd_bind_int(&b, unix_ns());
    return hakd_run_bound(db, &b, "storing a run", id, err);
}

int hakd_put_metric(struct hakd *db, int64_t run, const char *name, double value, const char *unit,
                    struct hakc_err *err) {
    const char *listed = hakd_metric_unit(name);
    if (!isfinite(value))
        return hakc_fail(err, HAKC_EUSAGE,
                         "metric %s is not a finite number: what was not measured is not stored",
                         name);
    if (!unit)
        unit = listed;
    if (!unit)
        return hakc_fail(err, HAKC_EUSAGE, "metric %s is not a listed one and has no unit", name);
    if (listed && strcmp(listed, unit) != 0)
        return hakc_fail(err, HAKC_EUSAGE, "metric %s is given in '%s'; its unit is '%s'", name,
                         unit, listed);
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_METRIC, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_text(&b, name);
    hakd_bind_real(&b, value);
    hakd_bind_text(&b, unit);
    return hakd_run_bound(db, &b, "storing a metric", NULL, err);
}
