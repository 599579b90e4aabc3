/* The document of `haksim optimise`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "sim/optimise_report.h"

#define SCHEMA_VERSION 1
#define FRONT_MOST     12 /* rows of a front in the table */
#define CONFIRM_MOST   2  /* lines that confirm there */

/* ---- cells ---------------------------------------------------------------------------------- */

static void cell_known(struct hakc_out *o, uint64_t v) {
    if (v == UINT64_MAX)
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, v);
}

static void cell_ratio(struct hakc_out *o, uint64_t part, uint64_t whole) {
    if (whole == 0 || part == UINT64_MAX)
        hakc_out_cell_null(o);
    else
        hakc_out_cell_float(o, (double)part / (double)whole);
}

/* For people both percentages in one: at least and at most. */
static void cell_range(struct hakc_out *o, uint64_t cost, const struct haks_outlook *x) {
    char text[48];
    double most = haks_to_win_percent(cost, x->bound_ns);
    if (cost == 0 || x->bound_ns == UINT64_MAX) {
        hakc_out_cell_null(o);
        return;
    }
    if (x->reachable_ns == UINT64_MAX)
        snprintf(text, sizeof text, "to %.1f", most);
    else
        snprintf(text, sizeof text, "%.1f to %.1f", haks_to_win_percent(cost, x->reachable_ns),
                 most);
    hakc_out_cell_shown(o, most, text);
}

/* Percent of the cost that the oracle would save: at most, or at least. */
static void cell_to_win(struct hakc_out *o, uint64_t cost, uint64_t least) {
    if (cost == 0 || least == UINT64_MAX)
        hakc_out_cell_null(o);
    else
        hakc_out_cell_float(o, haks_to_win_percent(cost, least));
}

static void cell_percent(struct hakc_out *o, uint64_t ppm) {
    hakc_out_cell_float(o, (double)ppm / 1e4);
}

/* ---- the traces ----------------------------------------------------------------------------- */

/* kind and floor: not in the table, which has no room for them beside long policies. */
static void show_traces(struct hakc_out *o, const struct haks_findings *f, int table) {
    static const struct hakc_col cols[] = {
        {"trace", NULL, HAKC_COL_STR, 0},
        {"bound_bytes", "bound", HAKC_COL_BYTES, 0},
        {"best_policy", "best within it", HAKC_COL_STR, 0},
        {"memory_bytes", "has", HAKC_COL_BYTES, 0},
        {"cost_ns", "cost", HAKC_COL_DURATION, 0},
        {"to_win_most_percent", "to win %", HAKC_COL_FLOAT, 1},
        {"kind", NULL, HAKC_COL_STR, 0},
        {"least_bytes", NULL, HAKC_COL_BYTES, 0},
    };
    unsigned n = sizeof cols / sizeof cols[0];
    hakc_out_list(o, "traces", "Each trace's own best", cols, table ? n - 2 : n);
    for (size_t i = 0; i < f->n_traces; i++) {
        const struct haks_subject *s = &f->traces[i];
        hakc_out_row(o);
        hakc_out_cell_str(o, s->name);
        hakc_out_cell_uint(o, s->bound);
        if (s->best != HAKS_NOWHERE) {
            hakc_out_cell_str(o, s->rows[s->best].policy);
            hakc_out_cell_uint(o, s->points[s->best].memory);
            hakc_out_cell_uint(o, s->points[s->best].cost);
            cell_to_win(o, s->points[s->best].cost, s->outlook[s->best].bound_ns);
        } else {
            for (unsigned k = 0; k < 4; k++)
                hakc_out_cell_null(o);
        }
        if (table)
            continue;
        hakc_out_cell_str(o, s->kind);
        hakc_out_cell_uint(o, s->floor);
    }
    hakc_out_list_end(o);
}

/* ---- the fronts ----------------------------------------------------------------------------- */

static const char *mark_of(const struct haks_findings *f, const struct haks_subject *s, size_t k) {
    size_t p = s->front[k];
    if (p == f->choice.policy)
        return p == s->best ? "chosen, best" : "chosen";
    if (p == s->best)
        return k == s->knee ? "best, knee" : "best";
    return k == s->knee ? "knee" : NULL;
}

static void show_point(struct hakc_out *o, const struct haks_findings *f,
                       const struct haks_subject *s, size_t k, int all) {
    size_t p = s->front[k];
    const struct haks_point *x = &s->points[p];
    const struct haks_outlook *oracle = &s->outlook[p];
    hakc_out_row(o);
    if (all)
        hakc_out_cell_str(o, s->name);
    hakc_out_cell_str(o, s->rows[p].policy);
    hakc_out_cell_uint(o, x->memory);
    cell_ratio(o, x->memory, s->floor);
    hakc_out_cell_uint(o, x->cost);
    if (all) {
        cell_known(o, oracle->bound_ns);
        cell_known(o, oracle->reachable_ns);
        cell_to_win(o, x->cost, oracle->bound_ns);
        cell_to_win(o, x->cost, oracle->reachable_ns);
    } else {
        cell_range(o, x->cost, oracle);
    }
    hakc_out_cell_str(o, mark_of(f, s, k));
    if (all) {
        hakc_out_cell_uint(o, haks_release_calls(&s->rows[p].f));
        hakc_out_cell_uint(o, s->rows[p].f.faults);
        hakc_out_cell_str(o, s->rows[p].mode);
    }
}

/* Of a long front the table shows the marked points and some evenly between. */
static int in_table(const struct haks_findings *f, const struct haks_subject *s, size_t k) {
    size_t n = s->n_front;
    if (n <= FRONT_MOST || k == 0 || k + 1 == n || mark_of(f, s, k) != NULL)
        return 1;
    return k * (FRONT_MOST - 2) / n != (k - 1) * (FRONT_MOST - 2) / n;
}

static void show_front(struct hakc_out *o, const struct haks_findings *f,
                       const struct haks_subject *s) {
    static const struct hakc_col cols[] = {
        {"policy", NULL, HAKC_COL_STR, 0},
        {"memory_bytes", "memory", HAKC_COL_BYTES, 0},
        {"to_eager", "x eager", HAKC_COL_FLOAT, 2},
        {"cost_ns", "cost", HAKC_COL_DURATION, 0},
        {"to_win_percent", "to win %", HAKC_COL_SHOWN, 0},
        {"mark", NULL, HAKC_COL_STR, 0},
    };
    char title[160];
    snprintf(title, sizeof title, "Pareto front of %.100s (%zu points)", s->name, s->n_front);
    hakc_out_list(o, "front", title, cols, sizeof cols / sizeof cols[0]);
    for (size_t k = 0; k < s->n_front; k++)
        if (in_table(f, s, k))
            show_point(o, f, s, k, 0);
    hakc_out_list_end(o);
}

/* For programs: all in one list. */
static void show_fronts(struct hakc_out *o, const struct haks_findings *f) {
    static const struct hakc_col cols[] = {
        {"trace", NULL, HAKC_COL_STR, 0},
        {"policy", NULL, HAKC_COL_STR, 0},
        {"memory_bytes", NULL, HAKC_COL_BYTES, 0},
        {"to_eager", NULL, HAKC_COL_FLOAT, 4},
        {"cost_ns", NULL, HAKC_COL_DURATION, 0},
        {"bound_ns", NULL, HAKC_COL_DURATION, 0},
        {"reachable_ns", NULL, HAKC_COL_DURATION, 0},
        {"to_win_most_percent", NULL, HAKC_COL_FLOAT, 2},
        {"to_win_least_percent", NULL, HAKC_COL_FLOAT, 2},
        {"mark", NULL, HAKC_COL_STR, 0},
        {"release_calls", NULL, HAKC_COL_INT, 0},
        {"faults", NULL, HAKC_COL_INT, 0},
        {"mode", NULL, HAKC_COL_STR, 0},
    };
    hakc_out_list(o, "fronts", NULL, cols, sizeof cols / sizeof cols[0]);
    for (size_t i = 0; i < f->n_traces; i++)
        for (size_t k = 0; k < f->traces[i].n_front; k++)
            show_point(o, f, &f->traces[i], k, 1);
    hakc_out_list_end(o);
}

/* ---- one policy for all --------------------------------------------------------------------- */

static const struct hakc_col one_cols[] = {
    {"trace", NULL, HAKC_COL_STR, 0},
    {"role", NULL, HAKC_COL_STR, 0},
    {"policy", NULL, HAKC_COL_STR, 0},
    {"memory_bytes", "memory", HAKC_COL_BYTES, 0},
    {"to_bound", "/ bound", HAKC_COL_FLOAT, 3},
    {"cost_ns", "cost", HAKC_COL_DURATION, 0},
    {"best_cost_ns", "own best", HAKC_COL_DURATION, 0},
    {"loss_percent", "loss %", HAKC_COL_FLOAT, 1},
    {"to_win_most_percent", "to win %", HAKC_COL_FLOAT, 1},
};

enum { ROLE = 1, POLICY = 2, ALL = 0 }; /* column that a table leaves out */

static void start_one(struct hakc_out *o, const char *key, const char *title, unsigned left_out) {
    struct hakc_col cols[sizeof one_cols / sizeof one_cols[0]];
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof one_cols / sizeof one_cols[0]; i++)
        if (left_out == ALL || i != left_out)
            cols[n++] = one_cols[i];
    hakc_out_list(o, key, title, cols, n);
}

static void show_one(struct hakc_out *o, const struct haks_findings *f, size_t trace, size_t policy,
                     const char *role, unsigned left_out) {
    const struct haks_subject *s = &f->traces[trace];
    const struct haks_table t = {1, f->n_policies, s->may, &s->bound};
    hakc_out_row(o);
    hakc_out_cell_str(o, s->name);
    if (left_out != ROLE)
        hakc_out_cell_str(o, role);
    if (policy == HAKS_NOWHERE)
        return;
    if (left_out != POLICY)
        hakc_out_cell_str(o, s->rows[policy].policy);
    hakc_out_cell_uint(o, s->points[policy].memory);
    cell_ratio(o, s->points[policy].memory, s->bound);
    hakc_out_cell_uint(o, s->points[policy].cost);
    if (s->best == HAKS_NOWHERE)
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, s->points[s->best].cost);
    if (s->best == HAKS_NOWHERE || s->points[policy].memory > s->bound)
        hakc_out_cell_null(o); /* cheaper, but not within the bound */
    else
        cell_percent(o, haks_loss_ppm(&t, 0, policy));
    if (s->outlook[policy].asked)
        cell_to_win(o, s->points[policy].cost, s->outlook[policy].bound_ns);
}

static void show_choice(struct hakc_out *o, const struct haks_findings *f, int table) {
    unsigned left_out = table ? POLICY : ALL;
    start_one(o, "chosen", f->n_train > 1 ? "One policy for all" : "The choice", left_out);
    for (size_t i = 0; i < f->n_traces; i++)
        show_one(o, f, i, f->choice.policy, f->traces[i].held_out ? "held out" : "chosen by",
                 left_out);
    hakc_out_list_end(o);
    if (f->n_trials == 0)
        return;
    left_out = table ? ROLE : ALL;
    start_one(o, "cross_validation", "Cross-validation: chosen by the others, tried on", left_out);
    for (size_t i = 0; i < f->n_trials; i++)
        show_one(o, f, f->trials[i].trace, f->trials[i].policy, "left out", left_out);
    hakc_out_list_end(o);
}

/* ---- predicted beside measured -------------------------------------------------------------- */

static void cell_shown(struct hakc_out *o, double v, const char *unit) {
    char text[HAKC_UNIT_LEN];
    if (isnan(v)) {
        hakc_out_cell_null(o);
        return;
    }
    if (strcmp(unit, "bytes") == 0)
        hakc_format_bytes(text, (uint64_t)v);
    else if (strcmp(unit, "ns") == 0)
        hakc_format_duration(text, (uint64_t)v);
    else
        snprintf(text, sizeof text, "%.0f", v);
    hakc_out_cell_shown(o, v, text);
}

static void show_confirmed(struct hakc_out *o, const struct haks_findings *f) {
    static const struct hakc_col cols[] = {
        {"trace", NULL, HAKC_COL_STR, 0},
        {"figure", NULL, HAKC_COL_STR, 0},
        {"predicted", NULL, HAKC_COL_SHOWN, 0},
        {"measured", NULL, HAKC_COL_SHOWN, 0},
        {"measured_least", "from", HAKC_COL_SHOWN, 0},
        {"measured_most", "to", HAKC_COL_SHOWN, 0},
        {"error_percent", "error %", HAKC_COL_FLOAT, 1},
    };
    if (f->n_confirmed == 0)
        return;
    hakc_out_list(o, "confirmed", "Predicted, and measured by hakreplay in libhakmem", cols,
                  sizeof cols / sizeof cols[0]);
    for (size_t i = 0; i < f->n_confirmed; i++) {
        const struct haks_confirmed *c = &f->confirmed[i];
        hakc_out_row(o);
        hakc_out_cell_str(o, c->trace);
        hakc_out_cell_str(o, c->figure);
        cell_shown(o, c->predicted, c->unit);
        cell_shown(o, c->measured, c->unit);
        cell_shown(o, c->least, c->unit);
        cell_shown(o, c->most, c->unit);
        hakc_out_cell_float(o, c->measured > 0 ? 100 * (c->predicted - c->measured) / c->measured
                               : c->predicted == 0 ? 0.0
                                                   : (double)NAN);
    }
    hakc_out_list_end(o);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void show_notes(struct hakc_out *o, const struct haks_findings *f) {
    size_t found = 0;
    for (size_t i = 0; i < f->n_traces; i++) {
        const struct haks_subject *s = &f->traces[i];
        found += s->found;
        if (s->best == HAKS_NOWHERE)
            hakc_out_note(o, "%s: no policy stays below the bound.", s->name);
        if (!s->pass.has_times)
            hakc_out_note(o, "%s has no times: under policies that go by time nothing ages.",
                          s->name);
    }
    if (f->n_confirmed > 0)
        hakc_out_note(o, "measured: median of the account pass's runs; from and to: the least and "
                         "the greatest.");
    if (found > 0)
        hakc_out_note(o, "%zu of %zu results were in the study already.", found,
                      f->n_traces * f->n_policies);
    hakc_out_note(o, "cost: predicted kernel time; prices: %s.", f->prices);
    hakc_out_note(o,
                  "to win: share of the cost that knowing the future would save at equal memory: "
                  "at least to at most.");
}

static void show_lines(struct hakc_out *o, const struct haks_findings *f, int table) {
    char *deploy = haks_findings_deploy(f);
    if (deploy != NULL && table)
        hakc_out_note(o, "Deploy:  %s", deploy);
    else if (deploy != NULL)
        hakc_out_str(o, "deploy", "", deploy);
    free(deploy);
    for (size_t i = 0; table && i < f->n_traces && i < CONFIRM_MOST; i++) {
        char *confirm = haks_findings_confirm(f, &f->traces[i]);
        if (confirm != NULL)
            hakc_out_note(o, "Confirm: %s", confirm);
        free(confirm);
    }
    if (table && f->n_traces > CONFIRM_MOST)
        hakc_out_note(o,
                      "         and so on for each trace: --confirm runs all, --json lists them");
}

static void show_confirm_lines(struct hakc_out *o, const struct haks_findings *f) {
    static const struct hakc_col cols[] = {{"trace", NULL, HAKC_COL_STR, 0},
                                           {"command", NULL, HAKC_COL_STR, 0}};
    hakc_out_list(o, "confirm", NULL, cols, 2);
    for (size_t i = 0; i < f->n_traces; i++) {
        char *line = haks_findings_confirm(f, &f->traces[i]);
        hakc_out_row(o);
        hakc_out_cell_str(o, f->traces[i].name);
        hakc_out_cell_str(o, line);
        free(line);
    }
    hakc_out_list_end(o);
}

static void show_head(struct hakc_out *o, const struct haks_findings *f) {
    char limit[64], bytes[HAKC_UNIT_LEN];
    const struct haks_choice *c = &f->choice;
    if (f->limit.bytes != 0)
        snprintf(limit, sizeof limit, "%s", hakc_format_bytes(bytes, f->limit.bytes));
    else
        snprintf(limit, sizeof limit, "%gx eager", (double)f->limit.times_milli / 1000);
    hakc_out_str(o, "policy", "choice", haks_findings_policy(f, c->policy));
    hakc_out_str(o, "memory", "memory", f->memory);
    hakc_out_str(o, "keep_below", "kept below", limit);
    hakc_out_uint(o, "policies", "policies tried", f->n_policies);
    if (f->study != NULL)
        hakc_out_str(o, "study", "study", f->study);
    hakc_out_uint(o, "bounds_broken", c->broken > 0 ? "bounds broken" : "", c->broken);
    hakc_out_float(o, "most_beyond_bound_percent", c->broken > 0 ? "most beyond a bound %" : "",
                   (double)c->excess_ppm / 1e4, 1);
    hakc_out_float(o, "worst_loss_percent", f->n_train > 1 ? "worst loss %" : "",
                   (double)c->worst_ppm / 1e4, 1);
    hakc_out_float(o, "mean_loss_percent", f->n_train > 1 ? "mean loss %" : "",
                   (double)c->mean_ppm / 1e4, 1);
    hakc_out_str(o, "cost_model", "", f->prices);
}

int haks_findings_show(FILE *file, enum hakc_out_format format, const struct haks_findings *f,
                       struct hakc_err *err) {
    struct hakc_out *o;
    int table = format == HAKC_OUT_TABLE, rc = hakc_out_open(&o, file, format, SCHEMA_VERSION, err);
    if (rc != 0)
        return rc;
    show_head(o, f);
    if (!table)
        show_lines(o, f, 0);
    if (f->n_traces > 1 || !table)
        show_traces(o, f, table);
    for (size_t i = 0; table && i < f->n_traces; i++)
        show_front(o, f, &f->traces[i]);
    if (!table)
        show_fronts(o, f);
    show_choice(o, f, table);
    show_confirmed(o, f);
    if (!table)
        show_confirm_lines(o, f);
    show_notes(o, f);
    if (table)
        show_lines(o, f, 1);
    return hakc_out_close(o, err);
}
