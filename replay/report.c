#include "replay/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "replay/report_int.h"

#define JSON_VERSION 1

#define TEXT_COLUMNS 62 /* beside the labels of the section, in 100 */

/* A text that fits beside the labels: its end, which tells a path apart, or its beginning. */
static const char *fit(char buf[TEXT_COLUMNS + 8], const char *text, int keep_end) {
    size_t len = text != NULL ? strlen(text) : 0;
    if (len <= TEXT_COLUMNS)
        return text;
    if (keep_end)
        snprintf(buf, TEXT_COLUMNS + 8, "…%s", text + len - (TEXT_COLUMNS - 1));
    else
        snprintf(buf, TEXT_COLUMNS + 8, "%.*s…", TEXT_COLUMNS - 1, text);
    return buf;
}

static void trace_section(struct hakc_out *o, const struct hakr_report *r, int table) {
    const struct hakr_plan_stats *s = &r->experiment->plan->stats;
    char path[TEXT_COLUMNS + 8], command[TEXT_COLUMNS + 8];
    hakc_out_section(o, "trace", "Trace");
    hakc_out_str(o, "path", "file", table ? fit(path, r->trace_path, 1) : r->trace_path);
    hakc_out_str(o, "sha256", "", r->sha256);
    hakc_out_str(o, "command", "command",
                 table ? fit(command, r->info->command, 0) : r->info->command);
    hakc_out_uint(o, "ops", "ops", s->ops);
    hakc_out_uint(o, "threads", "threads", r->experiment->plan->n_threads);
    hakc_out_uint(o, "handed_over", "objects handed over", s->handed);
    hakc_out_uint(o, "waits", "", s->waits);
    hakc_out_uint(o, "turns", "", s->turns);
    hakc_out_uint(o, "plan_bytes", "", s->bytes);
    hakc_out_duration(o, "plan_ns", "", r->plan_ns);
    if (r->experiment->plan->drift == HAKR_NO_DRIFT)
        hakc_out_null(o, "drift_limit", "");
    else
        hakc_out_uint(o, "drift_limit", "", r->experiment->plan->drift);
    hakc_out_bytes(o, "peak_live_bytes", "peak live", s->peak_live);
    hakc_out_bytes(o, "mean_live_bytes", "", (uint64_t)s->mean_live);
    if (r->experiment->drift_passes != 0 && r->experiment->plan->drift != HAKR_NO_DRIFT)
        hakc_out_uint(o, "drift_kept", "ops that threads may drift apart",
                      r->experiment->plan->drift);
    hakc_out_uint(o, "skipped_foreign", "", s->skipped_foreign);
    hakc_out_uint(o, "skipped_failed", "", s->skipped_failed);
    hakc_out_uint(o, "fidelity", "", r->info->fidelity);
    hakc_out_section_end(o);
}

static void raw_runs(struct hakc_out *o, const struct hakr_experiment *e) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0},
        {"policy", "", HAKC_COL_STR, 0},
        {"pass", "", HAKC_COL_STR, 0},
        {"repeat", "", HAKC_COL_INT, 0},
        {"position", "", HAKC_COL_INT, 0},
        {"status", "", HAKC_COL_STR, 0},
        {"ns_per_op", "", HAKC_COL_FLOAT, 3},
        {"minor_faults", "", HAKC_COL_INT, 0},
        {"syscalls", "", HAKC_COL_INT, 0},
        {"peak_resident_bytes", "", HAKC_COL_BYTES, 0},
        {"failed_allocations", "", HAKC_COL_INT, 0},
        {"first_failed", "", HAKC_COL_STR, 0},
    };
    uint64_t ops = e->plan->stats.ops;
    hakc_out_list(o, "runs", NULL, cols, sizeof cols / sizeof *cols);
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_run *r = &e->runs[i];
        const struct hakr_variant *v = &e->variants->at[r->variant];
        int timed = r->pass == HAKR_PASS_TIME;
        hakc_out_row(o);
        hakc_out_cell_str(o, v->name);
        hakc_out_cell_str(o, hakr_policy_of(v, r));
        hakc_out_cell_str(o, v->control ? "control" : hakr_pass_name(r->pass));
        hakc_out_cell_uint(o, r->repeat);
        hakc_out_cell_uint(o, r->position);
        hakc_out_cell_str(o, hakr_status_name(r->result.status));
        hakr_cell_float(o, timed ? hakr_figure(r, HAKR_F_NS_PER_OP, ops) : NAN);
        hakr_cell_whole(o, hakr_figure(r, HAKR_F_MINFLT, ops));
        hakr_cell_whole(o, hakr_figure(r, HAKR_F_SYSCALLS, ops));
        hakr_cell_whole(o, hakr_figure(r, HAKR_F_PEAK, ops));
        hakr_cell_whole(o, hakr_figure(r, HAKR_F_FAILED, ops));
        hakc_out_cell_str(o, r->result.first_failed[0] ? r->result.first_failed : NULL);
    }
    hakc_out_list_end(o);
}

static void share(struct hakc_out *o, const char *key, double x) {
    if (isnan(x))
        hakc_out_null(o, key, NULL);
    else
        hakc_out_float(o, key, NULL, x, 3);
}

/* Shares of all processors' time, and throttling: null where the system does not tell. */
static void noise(struct hakc_out *o, const struct hakr_noise *n) {
    hakc_out_section(o, "noise", NULL);
    share(o, "neighbours_share", hakr_noise_neighbours(n));
    share(o, "stolen_share", hakr_noise_stolen(n));
    if (n->throttled == UINT64_MAX)
        hakc_out_null(o, "throttled", NULL);
    else
        hakc_out_uint(o, "throttled", NULL, n->throttled);
    hakc_out_section_end(o);
}

/* What became of each variant's settings. */
static void knobs(struct hakc_out *o, const struct hakr_experiment *e) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0},
        {"setting", "", HAKC_COL_STR, 0},
        {"verdict", "", HAKC_COL_STR, 0},
        {"told", "", HAKC_COL_STR, 0},
    };
    hakc_out_list(o, "knobs", NULL, cols, sizeof cols / sizeof *cols);
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_variant *a = &e->variants->at[v];
        for (size_t i = 0; i < a->n_knobs; i++) {
            hakc_out_row(o);
            hakc_out_cell_str(o, a->name);
            hakc_out_cell_str(o, a->knobs[i].setting);
            hakc_out_cell_str(o, hakr_knob_word(a->knobs[i].verdict));
            hakc_out_cell_str(o, a->knobs[i].told[0] ? a->knobs[i].told : NULL);
        }
    }
    hakc_out_list_end(o);
}

int hakr_report_print(const struct hakr_report *r, FILE *f, enum hakc_out_format format,
                      struct hakc_err *err) {
    const struct hakr_experiment *e = r->experiment;
    struct hakc_out *o;
    int table = format == HAKC_OUT_TABLE;
    int rc = hakc_out_open(&o, f, format, JSON_VERSION, err);
    if (rc != 0)
        return rc;
    if (!table) {
        hakc_out_str(o, "tool", NULL, "hakreplay " HAK_VERSION);
        hakc_out_uint(o, "seed", NULL, e->seed);
        hakc_out_bool(o, "interrupted", NULL, e->interrupted);
        hakc_out_str(o, "touch", NULL,
                     e->touch == HAKR_TOUCH_FIRST  ? "first"
                     : e->touch == HAKR_TOUCH_NONE ? "none"
                                                   : "all");
        hakc_out_str(o, "clock", NULL,
                     e->tell_time && e->plan->clock_every_ns != 0 ? "virtual" : "real");
        hakr_report_driver(o, e, 0);
    }
    trace_section(o, r, table);
    hakr_report_comparison(o, e, table);
    if (e->repeats[HAKR_PASS_ACCOUNT] != 0)
        hakr_report_syscalls(o, e);
    if (r->why != 0)
        hakr_report_why(o, e, r->why, table);
    if (e->repeats[HAKR_PASS_LATENCY] != 0)
        hakr_report_latency(o, e, table);
    hakr_report_extra(o, e, table);
    if (!table) {
        raw_runs(o, e);
        knobs(o, e);
        hakr_report_limits(o, r, 0);
        noise(o, &e->noise);
    }
    if (table)
        hakr_report_driver(o, e, 1);
    hakr_report_notes(o, r);
    if (r->stored != NULL)
        hakc_out_note(o, "Storing failed: %s holds %llu of these %zu runs.", r->db_path,
                      (unsigned long long)*r->stored, e->n_runs);
    else if (table && r->db_path != NULL)
        hakc_out_note(o, "Rows are in %s.", r->db_path);
    return hakc_out_close(o, err);
}
