/* The document that haksim prints. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "sim/oracle.h"
#include "sim/sim_rows.h"

#define SCHEMA_VERSION 1

/* The columns of a row: in the table only those that fit, in JSON and CSV all. */
#define FIGURE(member) offsetof(struct haks_row, f.member)
static const struct {
    struct hakc_col col;
    int in_table;
    size_t at; /* of a uint64_t in struct haks_row; 0: see number() */
} row_cols[] = {
    {{"policy", "policy", HAKC_COL_STR, 0}, 1, 0},
    {{"mode", "mode", HAKC_COL_STR, 0}, 1, 0},
    {{"release_calls", "releases", HAKC_COL_INT, 0}, 1, 0},
    {{"released_bytes", "released", HAKC_COL_BYTES, 0}, 0, FIGURE(released_bytes)},
    {{"faults", "faults", HAKC_COL_INT, 0}, 1, FIGURE(faults)},
    {{"peak_resident_bytes", "peak", HAKC_COL_BYTES, 0}, 1, FIGURE(peak_resident_bytes)},
    {{"mean_resident_bytes", "mean", HAKC_COL_BYTES, 0}, 1, FIGURE(mean_resident_bytes)},
    {{"predicted_cost_ns", "cost", HAKC_COL_DURATION, 0}, 1, FIGURE(cost_ns)},
    {{"to_win_percent", "to win %", HAKC_COL_FLOAT, 1}, 1, offsetof(struct haks_row, least_ns)},
#define COUNT(member, name) {{name, "", HAKC_COL_INT, 0}, 0, FIGURE(heat.member)},
    HAKS_HEAT_COUNTS(COUNT)
#undef COUNT
        {{"fault_cost_ns", "", HAKC_COL_DURATION, 0}, 0, FIGURE(cost.fault_ns)},
    {{"release_cost_ns", "", HAKC_COL_DURATION, 0}, 0, FIGURE(cost.release_ns)},
    {{"map_cost_ns", "", HAKC_COL_DURATION, 0}, 0, FIGURE(cost.map_ns)},
    {{"populate_cost_ns", "", HAKC_COL_DURATION, 0}, 0, FIGURE(cost.populate_ns)},
    {{"move_cost_ns", "", HAKC_COL_DURATION, 0}, 0, FIGURE(cost.move_ns)},
    {{"mean_resident_time_bytes", "", HAKC_COL_BYTES, 0}, 0, FIGURE(mean_resident_time_bytes)},
    {{"end_resident_bytes", "", HAKC_COL_BYTES, 0}, 0, FIGURE(end_resident_bytes)},
    {{"peak_lazy_bytes", "", HAKC_COL_BYTES, 0}, 0, FIGURE(peak_lazy_bytes)},
    {{"rounds", "", HAKC_COL_INT, 0}, 0, FIGURE(rounds)},
    {{"map_calls", "", HAKC_COL_INT, 0}, 0, 0},
    {{"unmap_calls", "", HAKC_COL_INT, 0}, 0, FIGURE(calls[HAKS_UNMAP])},
    {{"populate_calls", "", HAKC_COL_INT, 0}, 0, FIGURE(calls[HAKS_POPULATE])},
    {{"populated_bytes", "", HAKC_COL_BYTES, 0}, 0, FIGURE(populated_bytes)},
    {{"moved_bytes", "", HAKC_COL_BYTES, 0}, 0, FIGURE(moved_bytes)},
    {{"sim_ns", "", HAKC_COL_DURATION, 0}, 0, offsetof(struct haks_row, sim_ns)},
    {{"least_cost_ns", "", HAKC_COL_DURATION, 0}, 0, offsetof(struct haks_row, least_ns)},
};
#define ROW_COLS (sizeof row_cols / sizeof row_cols[0])

static const struct hakc_col call_cols[] = {
    {"policy", "policy", HAKC_COL_STR, 0}, {"mode", "mode", HAKC_COL_STR, 0},
    {"call", "call", HAKC_COL_STR, 0},     {"detail", "detail", HAKC_COL_STR, 0},
    {"calls", "calls", HAKC_COL_INT, 0},   {"bytes", "bytes", HAKC_COL_BYTES, 0},
};

/* Fit to be shown: evaluated without an error. */
static int good(const struct haks_row *r) {
    return r->done && r->rc == 0;
}

/* The value of a numeric column. */
static uint64_t number(const struct haks_row *r, size_t col) {
    uint64_t v;
    if (row_cols[col].at == 0)
        return strcmp(row_cols[col].col.key, "map_calls") == 0 ? haks_map_calls(&r->f)
                                                               : haks_release_calls(&r->f);
    memcpy(&v, (const char *)r + row_cols[col].at, sizeof v);
    return v;
}

static void show_row(struct hakc_out *o, const struct haks_row *r, int all) {
    if (!good(r))
        return;
    hakc_out_row(o);
    hakc_out_cell_str(o, r->policy);
    hakc_out_cell_str(o, r->mode);
    for (size_t c = 2; c < ROW_COLS; c++) {
        if (!all && !row_cols[c].in_table)
            continue;
        if (number(r, c) == HAKS_UNKNOWN)
            hakc_out_cell_null(o);
        else if (row_cols[c].col.type == HAKC_COL_FLOAT) /* the share above the least cost */
            hakc_out_cell_float(o, haks_to_win_percent(r->f.cost_ns, number(r, c)));
        else
            hakc_out_cell_uint(o, number(r, c));
    }
}

static void show_rows(struct hakc_out *o, const struct haks_row *rows,
                      const struct haks_row *checks, size_t n, int all) {
    struct hakc_col cols[ROW_COLS];
    unsigned n_cols = 0;
    for (size_t c = 0; c < ROW_COLS; c++)
        if (all || row_cols[c].in_table)
            cols[n_cols++] = row_cols[c].col;
    hakc_out_list(o, "policies", NULL, cols, n_cols);
    for (size_t i = 0; i < n; i++) {
        show_row(o, &rows[i], all);
        if (checks != NULL)
            show_row(o, &checks[i], all);
    }
    hakc_out_list_end(o);
}

static void show_calls(struct hakc_out *o, const struct haks_row *r) {
    for (unsigned c = 0; good(r) && c < HAKS_CALLS; c++) {
        if (r->f.calls[c] == 0)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, r->policy);
        hakc_out_cell_str(o, r->mode);
        hakc_out_cell_str(o, haks_call_name(c));
        hakc_out_cell_str(o, haks_call_detail(c));
        hakc_out_cell_uint(o, r->f.calls[c]);
        hakc_out_cell_uint(o, r->f.bytes[c]);
    }
}

static void show_all_calls(struct hakc_out *o, const struct haks_row *rows,
                           const struct haks_row *checks, size_t n) {
    hakc_out_list(o, "calls", NULL, call_cols, sizeof call_cols / sizeof call_cols[0]);
    for (size_t i = 0; i < n; i++) {
        show_calls(o, &rows[i]);
        if (checks != NULL)
            show_calls(o, &checks[i]);
    }
    hakc_out_list_end(o);
}

static void show_head(struct hakc_out *o, const char *trace, const struct haks_pass *pass, size_t n,
                      uint64_t eval_ns) {
    hakc_out_str(o, "trace", "trace", trace);
    hakc_out_uint(o, "ops", "ops", pass->ops);
    hakc_out_uint(o, "threads", "threads", pass->threads);
    hakc_out_bool(o, "has_times", "", pass->has_times);
    hakc_out_uint(o, "page_size", "", pass->page_size);
    if (pass->events > 0) { /* the rows come from a first pass and its stream */
        hakc_out_uint(o, "spans", "spans", pass->spans);
        hakc_out_uint(o, "span_events", "span events", pass->events);
        hakc_out_duration(o, "first_pass_ns", "first pass", pass->wall_ns);
        hakc_out_duration(o, "first_pass_cpu_ns", "of it CPU time", pass->cpu_ns);
        if (pass->cpu_ns > 0)
            hakc_out_float(o, "first_pass_mops_per_cpu_s", "Mops a CPU second",
                           (double)pass->ops * 1e3 / (double)pass->cpu_ns, 1);
        hakc_out_duration(o, "evaluation_ns", "evaluation", eval_ns);
        if (eval_ns > 0)
            hakc_out_float(o, "policies_per_s", "policies a second",
                           (double)n * 1e9 / (double)eval_ns, 0);
    }
}

static void show_notes(struct hakc_out *o, const struct haks_pass *pass,
                       const struct haks_row *rows, size_t n) {
    size_t checked = 0, equal = 0;
    if (pass->rebuilt)
        hakc_out_note(o, "The trace has no trailer (its recording was cut short): what it holds "
                         "was simulated.");
    else if (pass->dropped != 0)
        hakc_out_note(o, "The recorder lost %" PRIu64 " ops: they are not in the simulation.",
                      pass->dropped);
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].done)
            hakc_out_note(o, "%s: not evaluated (interrupted)", rows[i].policy);
        else if (rows[i].rc != 0)
            hakc_out_note(o, "%s: %s", rows[i].policy, rows[i].err.msg);
        else if (rows[i].fell_back)
            hakc_out_note(o, "%s: placement depends on this policy, so it ran in full",
                          rows[i].policy);
        else if (rows[i].differs[0] != '\0')
            hakc_out_note(o, "%s: events and full run differ in %s", rows[i].policy,
                          rows[i].differs);
        checked += rows[i].checked != 0;
        equal += rows[i].checked && rows[i].differs[0] == '\0';
    }
    if (checked > 0)
        hakc_out_note(o, "%zu of %zu policies: events and full run agree in every figure", equal,
                      checked);
}

static int by_time(const struct haks_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].spec.ns != 0)
            return 1;
    return 0;
}

int haks_rows_show(FILE *f, enum hakc_out_format format, const char *trace,
                   const struct haks_costs *costs, const struct haks_pass *pass,
                   const struct haks_row *rows, const struct haks_row *checks, size_t n,
                   uint64_t eval_ns, struct hakc_err *err) {
    struct hakc_out *o;
    int rc = hakc_out_open(&o, f, format, SCHEMA_VERSION, err);
    if (rc != 0)
        return rc;
    show_head(o, trace, pass, n, eval_ns);
    hakc_out_str(o, "cost_model", "", costs->source);
    show_rows(o, rows, checks, n, format != HAKC_OUT_TABLE);
    if (format == HAKC_OUT_JSON)
        show_all_calls(o, rows, checks, n);
    if (format == HAKC_OUT_TABLE) {
        hakc_out_note(o, "Mean: by ops. Cost: predicted kernel time; prices: %s.", costs->source);
        hakc_out_note(o,
                      "To win: at most, by knowing the future at the same mean (haksim optimise).");
        hakc_out_note(o, "--json shows all figures and every call.");
    }
    if (!pass->has_times && by_time(rows, n))
        hakc_out_note(o, "The trace has no times: under policies that go by time nothing ages.");
    show_notes(o, pass, rows, n);
    return hakc_out_close(o, err);
}
