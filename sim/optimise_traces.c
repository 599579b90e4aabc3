/* One trace of `haksim optimise`. */
#include "sim/optimise_traces.h"

#include <stdlib.h>
#include <string.h>

#include "db/store.h"
#include "sim/models.h"

#define GRID 32 /* memory bounds at which the oracle's curve is kept */

static uint64_t memory_of(const struct haks_subject *s, const struct haks_figures *f) {
    if (s->kind[0] == 'p')
        return f->peak_resident_bytes;
    return strcmp(s->kind, "mean-time") == 0 ? f->mean_resident_time_bytes : f->mean_resident_bytes;
}

static void choose(struct haks_subject *s, size_t n, size_t eager, const struct haks_limit *limit) {
    for (size_t i = 0; i < n; i++) {
        const struct haks_row *r = &s->rows[i];
        s->points[i] =
            (struct haks_point){memory_of(s, &r->f), r->f.cost_ns, r->done && r->rc == 0};
        s->may[i] = s->points[i];
        s->may[i].ok &= !haks_is_model(&r->spec);
    }
    s->floor = s->points[eager].memory;
    s->bound = limit->bytes != 0
                   ? limit->bytes
                   : (uint64_t)((unsigned __int128)s->floor * limit->times_milli / 1000);
    s->n_front = haks_front(s->points, n, s->front);
    s->knee = haks_knee(s->points, s->front, s->n_front);
    s->best = haks_cheapest(s->may, n, s->bound);
}

static int first_failure(const struct haks_subject *s, size_t n, struct hakc_err *err) {
    for (size_t i = 0; i < n; i++) {
        if (s->rows[i].done && s->rows[i].rc != 0) {
            *err = s->rows[i].err;
            return s->rows[i].rc;
        }
    }
    return 0;
}

int haks_subject_evaluate(struct haks_subject *s, struct haks_session *session,
                          const struct hakp_spec *policies, size_t n, size_t eager,
                          enum haks_memory memory, const struct haks_limit *limit, unsigned jobs,
                          const volatile int *stop, struct hakc_err *err) {
    struct haks_work w = {.trace = s->path, .pass = &s->pass, .jobs = jobs, .stop = stop};
    int rc = haks_first_pass(s->path, &s->pass, &s->stream, stop, err);
    if (rc == 0 && s->pass.ops == 0)
        rc = hakc_fail(err, HAKC_EREFUSED, "%s holds no op to simulate", s->path);
    if (rc != 0 || (rc = haks_session_trace(session, s->path, err)) != 0)
        return rc;
    s->trace = session->trace;
    s->kind = memory == HAKS_MEMORY_PEAK ? "peak"
              : memory == HAKS_MEMORY_MEAN && s->pass.has_times && s->pass.end_time > 0
                  ? "mean-time"
                  : "mean";
    s->rows = haks_rows_new(policies, n, "events");
    s->front = calloc(n, sizeof *s->front);
    s->outlook = calloc(n, sizeof *s->outlook);
    if (s->rows == NULL || s->front == NULL || s->outlook == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", n);
    w.stream = s->stream;
    rc = haks_session_find(session, s->rows, n, &s->pass, &s->found, err);
    if (rc == 0)
        rc = haks_session_evaluate(session, &w, s->rows, n, &s->eval_ns, err);
    if (rc == 0 && *stop)
        rc = hakc_fail(err, HAKC_EINTERNAL, "interrupted");
    if (rc == 0)
        rc = first_failure(s, n, err);
    if (rc != 0)
        return rc;
    choose(s, n, eager, limit);
    return haks_oracle_new(&s->oracle, s->stream, &s->pass, session->costs,
                           strcmp(s->kind, "mean-time") == 0 ? HAKS_BY_TIME : HAKS_BY_OPS, err);
}

/* Both answers for a memory bound. */
static int ask_for(struct haks_subject *s, uint64_t bytes, struct haks_outlook *out,
                   struct hakc_err *err) {
    struct haks_figures f;
    int rc, peak = s->kind[0] == 'p';
    *out = (struct haks_outlook){UINT64_MAX, UINT64_MAX, 1};
    if (peak) {
        rc = haks_oracle_peak_bound(s->oracle, bytes, &out->bound_ns, err);
        if (rc != 0)
            return rc;
        rc = haks_oracle_peak_schedule(s->oracle, bytes, &f, err);
    } else {
        out->bound_ns = haks_oracle_mean_bound(s->oracle, bytes);
        rc = haks_oracle_mean_schedule(s->oracle, bytes, &f, err);
    }
    if (rc == 0)
        out->reachable_ns = f.cost_ns;
    return rc == HAKC_EREFUSED ? 0 : rc;
}

int haks_subject_ask(struct haks_subject *s, size_t p, struct hakc_err *err) {
    struct haks_outlook *o = &s->outlook[p];
    int rc;
    if (o->asked)
        return 0;
    if (!haks_row_comparable(&s->rows[p])) {
        *o = (struct haks_outlook){UINT64_MAX, UINT64_MAX, 1};
        return 0;
    }
    rc = ask_for(s, s->points[p].memory, o, err);
    /* the policy itself shows what can be reached */
    if (rc == 0 && o->reachable_ns > s->points[p].cost)
        o->reachable_ns = s->points[p].cost;
    return rc;
}

static int keep(struct haks_subject *s, struct haks_session *session, uint64_t bytes,
                const struct haks_outlook *o, struct hakc_err *err) {
    struct hakd_oracle row = {.experiment = session->experiment,
                              .trace = s->trace,
                              .kind = s->kind,
                              .bytes = bytes,
                              .bound_ns = o->bound_ns,
                              .reachable_ns = o->reachable_ns};
    return hakd_put_oracle(session->db, &row, err);
}

int haks_subject_keep_oracle(struct haks_subject *s, struct haks_session *session,
                             struct hakc_err *err) {
    uint64_t low, high, last = 0;
    int rc, peak = s->kind[0] == 'p';
    if (session->db == NULL || s->n_front == 0)
        return 0;
    low = peak ? haks_oracle_least_peak(s->oracle) : haks_oracle_least_mean(s->oracle);
    high = s->points[s->front[s->n_front - 1]].memory;
    rc = hakd_begin(session->db, err);
    for (unsigned i = 0; rc == 0 && i <= GRID && low <= high; i++) {
        uint64_t bytes = low + (uint64_t)((unsigned __int128)(high - low) * i / GRID);
        struct haks_outlook o;
        if (bytes == last)
            continue;
        last = bytes;
        rc = ask_for(s, bytes, &o, err);
        if (rc == 0)
            rc = keep(s, session, bytes, &o, err);
    }
    return rc == 0 ? hakd_commit(session->db, err) : rc;
}

void haks_subject_free(struct haks_subject *s) {
    haks_oracle_free(s->oracle);
    haks_stream_close(s->stream);
    free(s->rows);
    free(s->front);
    free(s->outlook);
}
