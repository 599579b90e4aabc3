#include "replay/save.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "db/metrics.h"
#include "replay/run_figures.h"

/* 0 where the trace does not know: the store has no other word for it. */
static uint64_t known(uint64_t v) {
    return v == UINT64_MAX ? 0 : v;
}

int hakr_save_begin(struct hakr_save *s, const char *db_path, const char *trace_path,
                    const char *sha256, const struct hakt_info *info,
                    const struct hakt_totals *totals, const struct hakr_experiment *e,
                    const char *args, struct hakc_err *err) {
    memset(s, 0, sizeof *s);
    s->plan = e->plan;
    s->variants = e->variants;
    s->mode = e->pace <= 0                 ? "full-speed"
              : e->pace < 1 || e->pace > 1 ? "scaled-times"
                                           : "recorded-times";
    s->libraries = calloc(e->variants->n + 1, sizeof *s->libraries);
    if (s->libraries == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory");
    struct hakd_trace t = {
        .sha256 = sha256,
        .path = trace_path,
        .command = info->command,
        .host = info->host,
        .clock = info->clock,
        .tool = info->tool,
        .source = info->source,
        .version = info->version,
        .fidelity = info->fidelity,
        .records = e->plan->stats.records,
        .ops = known(totals->ops),
        .allocs = known(totals->allocs),
        .threads = e->plan->n_threads,
        .duration_ns = known(totals->end_time),
        .start_unix_ns = info->start_unix_ns,
        .dropped = known(totals->dropped),
        .peak_live_bytes = e->plan->stats.peak_live,
        .peak_live_objects = known(totals->peak_live_objects),
    };
    struct hakd_experiment x = {
        .tool = "hakreplay", .tool_version = HAK_VERSION, .args = args, .seed = e->seed};
    int rc = hakd_open(&s->db, db_path, HAKD_WRITE, err);
    if (rc == 0)
        rc = hakd_put_trace(s->db, &t, &s->trace, err);
    if (rc == 0)
        rc = hakd_put_this_machine(s->db, &x.machine, err);
    if (rc == 0)
        rc = hakd_put_experiment(s->db, &x, &s->experiment, err);
    return rc;
}

static int put_library(struct hakr_save *s, const struct hakr_run *run, struct hakc_err *err) {
    const struct hakr_variant *v = &s->variants->at[run->variant];
    const struct hakr_result *r = &run->result;
    char sha256[65];
    if (s->libraries[run->variant] != 0 || r->status == HAKR_WRONG_LIBRARY ||
        r->lib_path[0] == '\0')
        return 0;
    char *real = realpath(r->lib_path, NULL);
    const char *path = real != NULL ? real : r->lib_path;
    struct hakd_library l = {.name = v->base, .path = path, .version = v->version};
    l.build_id = r->build_id[0] != '\0' ? r->build_id : NULL;
    l.sha256 = hakt_file_hash(path, sha256, NULL) == 0 ? sha256 : NULL;
    int rc = hakd_put_library(s->db, &l, &s->libraries[run->variant], err);
    free(real);
    return rc;
}

static int put_metrics(struct hakr_save *s, int64_t id, const struct hakr_run *run,
                       struct hakc_err *err) {
    static const struct {
        enum hakr_figure figure;
        const char *name, *unit;
    } list[] = {
        {HAKR_F_WALL_NS, HAKD_M_WALL_NS, HAKD_UNIT_NS},
        {HAKR_F_USER_NS, HAKD_M_CPU_USER_NS, HAKD_UNIT_NS},
        {HAKR_F_SYS_NS, HAKD_M_CPU_SYSTEM_NS, HAKD_UNIT_NS},
        {HAKR_F_NS_PER_OP, HAKD_M_NS_PER_OP, HAKD_UNIT_NS_PER_OP},
        {HAKR_F_MINFLT, HAKD_M_MINOR_FAULTS, HAKD_UNIT_FAULTS},
        {HAKR_F_MAJFLT, HAKD_M_MAJOR_FAULTS, HAKD_UNIT_FAULTS},
        {HAKR_F_BLOCKED, "blocked_waits", HAKD_UNIT_OPS},
        {HAKR_F_HELD_BACK, "drift_waits", HAKD_UNIT_OPS},
        {HAKR_F_PACED, "waited_share", "ratio"},
        {HAKR_F_LAG_MEDIAN, "lag_p50_ns", HAKD_UNIT_NS},
        {HAKR_F_LAG_P99, "lag_p99_ns", HAKD_UNIT_NS},
        {HAKR_F_LAG_MAX, "lag_max_ns", HAKD_UNIT_NS},
        {HAKR_F_FAILED, "failed_allocations", HAKD_UNIT_OPS},
        {HAKR_F_SYSCALLS, HAKD_M_SYSCALLS, HAKD_UNIT_CALLS},
        {HAKR_F_SYSCALL_NS, HAKD_M_SYSCALL_NS, HAKD_UNIT_NS},
        {HAKR_F_FAULT_NS, HAKD_M_FAULT_NS, HAKD_UNIT_NS},
        {HAKR_F_CALL_FAULTS, HAKD_M_CALL_FAULTS, HAKD_UNIT_FAULTS},
        {HAKR_F_KERNEL_NS, HAKD_M_KERNEL_NS, HAKD_UNIT_NS},
        {HAKR_F_RELEASES, HAKD_M_RELEASE_CALLS, HAKD_UNIT_CALLS},
        {HAKR_F_PEAK, HAKD_M_PEAK_RESIDENT_BYTES, HAKD_UNIT_BYTES},
        {HAKR_F_MEAN, HAKD_M_MEAN_RESIDENT_BYTES, HAKD_UNIT_BYTES},
        {HAKR_F_END, HAKD_M_END_RESIDENT_BYTES, HAKD_UNIT_BYTES},
        {HAKR_F_LAZY, "end_lazy_free_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_PEAK_LIVE, HAKD_M_PEAK_LIVE_BYTES, HAKD_UNIT_BYTES},
        {HAKR_F_MEAN_LIVE, "mean_live_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_MEAN_TIME, HAKD_M_MEAN_RESIDENT_TIME_BYTES, HAKD_UNIT_BYTES},
        {HAKR_F_MEAN_LIVE_TIME, "mean_live_time_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_HUGE, "end_huge_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_PEAK_HUGE, "peak_huge_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_PEAK_LAZY, "peak_lazy_free_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_REST_100MS, "rest_100ms_resident_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_REST_1S, "rest_1s_resident_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_REST_5S, "rest_5s_resident_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_SHARED, "driver_shared_bytes", HAKD_UNIT_BYTES},
        {HAKR_F_BASELINE, HAKD_M_BASELINE_RESIDENT_BYTES, HAKD_UNIT_BYTES},
    };
    uint64_t ops = s->plan->stats.ops;
    int rc = hakd_put_metric(s->db, id, HAKD_M_OPS, (double)ops, HAKD_UNIT_OPS, err);
    for (size_t i = 0; rc == 0 && i < sizeof list / sizeof *list; i++) {
        double x = hakr_figure(run, list[i].figure, ops);
        /* Instruments slow the other passes down: their times are nobody's. */
        if (run->pass != HAKR_PASS_TIME && list[i].figure <= HAKR_F_SYS_NS)
            continue;
        if (!isnan(x))
            rc = hakd_put_metric(s->db, id, list[i].name, x, list[i].unit, err);
    }
    if (rc == 0 && s->variants->at[run->variant].control && run->pass == HAKR_PASS_TIME &&
        run->result.failed == 0)
        rc = hakd_put_metric(s->db, id, HAKD_M_DRIVER_NS_PER_OP,
                             hakr_figure(run, HAKR_F_NS_PER_OP, ops), HAKD_UNIT_NS_PER_OP, err);
    return rc;
}

/* Quantiles over all ops, as "latency_p99_ns", and of each kind, as "latency_free_p99_ns". */
static int put_quantiles(struct hakr_save *s, int64_t id, const char *op, const struct hakc_hist *h,
                         struct hakc_err *err) {
    static const struct {
        const char *name;
        double q;
    } list[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    char name[64];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof list / sizeof *list; i++) {
        snprintf(name, sizeof name, "latency_%s%s%s_ns", op, op[0] ? "_" : "", list[i].name);
        rc = hakd_put_metric(s->db, id, name, (double)hakc_hist_quantile(h, list[i].q) / 1e3,
                             HAKD_UNIT_NS, err);
    }
    snprintf(name, sizeof name, "latency_%s%smean_ns", op, op[0] ? "_" : "");
    if (rc == 0)
        rc = hakd_put_metric(s->db, id, name, hakc_hist_mean(h) / 1e3, HAKD_UNIT_NS, err);
    return rc;
}

static int put_latency(struct hakr_save *s, int64_t id, const struct hakr_latency *l,
                       struct hakc_err *err) {
    struct hakc_hist *h = malloc(sizeof *h);
    if (h == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory");
    int rc =
        hakd_put_metric(s->db, id, HAKD_M_LATENCY_STAMP_NS, l->stamp_ps / 1e3, HAKD_UNIT_NS, err);
    for (unsigned op = 0; rc == 0 && op <= HAKR_LAT_COUNT; op++) {
        hakc_hist_init(h);
        hakr_latency_sum(l, op, h);
        if (h->count != 0)
            rc = put_quantiles(s, id, op == HAKR_LAT_COUNT ? "" : hakr_latency_name(op), h, err);
    }
    free(h);
    return rc;
}

static int put_extra(struct hakr_save *s, int64_t id, const struct hakr_run *run,
                     struct hakc_err *err) {
    const struct hakr_result *r = &run->result;
    int rc = hakd_put_metric(s->db, id, HAKD_M_OPS, (double)s->plan->stats.ops, HAKD_UNIT_OPS, err);
    if (rc != 0)
        return rc;
    if (run->pass == HAKR_PASS_CHECK) {
        rc = hakd_put_metric(s->db, id, "checked_blocks", (double)r->checked_blocks, HAKD_UNIT_OPS,
                             err);
        if (rc == 0)
            rc = hakd_put_metric(s->db, id, "checked_bytes", (double)r->checked_bytes,
                                 HAKD_UNIT_BYTES, err);
        return rc;
    }
    for (unsigned i = 0; rc == 0 && run->pass == HAKR_PASS_COUNTERS && i < HAKR_C_COUNT; i++)
        if (r->counters[i].error == 0)
            rc = hakd_put_metric(s->db, id, hakr_counter_name(i), (double)r->counters[i].value,
                                 "events", err);
    return rc;
}

/* What a reader of the database must know of a run besides its figures: its own warning, else the
 * first setting of the variant that is not in force. */
static const char *error_of(const struct hakr_run *run, const struct hakr_variant *v, char *buf,
                            size_t len) {
    if (run->result.error[0] != '\0')
        return run->result.error;
    for (size_t i = 0; i < v->n_knobs; i++)
        if (v->knobs[i].verdict >= HAKR_KNOB_REFUSED && hakr_knob_warning(&v->knobs[i], buf, len))
            return buf;
    return NULL;
}

static int put_run(struct hakr_save *s, const struct hakr_run *run, struct hakc_err *err) {
    const struct hakr_variant *v = &s->variants->at[run->variant];
    const struct hakr_result *r = &run->result;
    char warning[400];
    int64_t id;
    int ok = r->status == HAKR_OK;
    /* Passes beside the three: of the pass that they belong to, in a mode of its own, which gives
     * no times. */
    int extra = run->pass > HAKR_PASS_LATENCY;
    int rc = hakd_begin(s->db, err);
    if (rc == 0)
        rc = put_library(s, run, err);
    struct hakd_run row = {
        .experiment = s->experiment,
        .trace = s->trace,
        .library = s->libraries[run->variant],
        .allocator = v->name,
        .policy = v->policy != NULL      ? v->policy
                  : r->policy[0] != '\0' ? r->policy
                                         : NULL,
        .env = v->env_text,
        .pass = v->control                      ? "control"
                : run->pass == HAKR_PASS_INSIDE ? "latency"
                : extra                         ? "time"
                                                : hakr_pass_name(run->pass),
        .mode = extra ? hakr_pass_name(run->pass) : s->mode,
        .repeat = run->repeat,
        .position = run->position,
        .status = hakr_status_name(r->status),
        .error = error_of(run, v, warning, sizeof warning),
        .counting = hakr_counting_name(r->counted),
    };
    if (rc == 0)
        rc = hakd_put_run(s->db, &row, &id, err);
    if (rc == 0 && ok && extra)
        rc = put_extra(s, id, run, err);
    if (rc == 0 && ok && !extra)
        rc = put_metrics(s, id, run, err);
    if (rc == 0 && ok && r->latency != NULL)
        rc = put_latency(s, id, r->latency, err);
    if (rc == 0 && ok)
        rc = hakr_save_detail(s, id, run, err);
    if (rc == 0)
        rc = hakd_commit(s->db, err);
    return rc;
}

int hakr_save_run(void *save, const struct hakr_run *run, struct hakc_err *err) {
    struct hakr_save *s = save;
    if (s->failure.code != 0)
        return 0;
    if (put_run(s, run, err) == 0) {
        s->stored++;
        return 0;
    }
    s->failure = *err;
    memset(err, 0, sizeof *err);
    hakd_rollback(s->db);
    hakc_err_print("hakreplay", &s->failure);
    fprintf(stderr, "hakreplay: %llu runs are stored; those that follow are only shown\n",
            (unsigned long long)s->stored);
    return 0;
}

int hakr_save_end(struct hakr_save *s, const char *state, struct hakc_err *err) {
    int rc = s->failure.code;
    if (rc != 0)
        state = "failed";
    if (s->db != NULL && s->experiment != 0) {
        int rc2 = hakd_finish_experiment(s->db, s->experiment, state, rc == 0 ? err : NULL);
        rc = rc != 0 ? rc : rc2;
    }
    hakd_close(s->db);
    free(s->libraries);
    s->db = NULL;
    s->libraries = NULL;
    return rc;
}
