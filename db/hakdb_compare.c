/*
 * compare A B: figure by figure, the medians of two variants in one experiment, or two runs.
 * A figure of a pass in which a run of either side failed gets no ratio.
 */
#include "db/hakdb.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/stats.h"

struct values {
    double *v;
    size_t n, cap;
};

static int oom(struct hakdb *h) {
    return hakc_fail(h->err, HAKC_ENOMEM, "out of memory");
}

static int add_value(struct hakdb *h, struct values *x, double v) {
    if (x->n == x->cap) {
        size_t cap = x->cap ? 2 * x->cap : 16;
        double *grown = reallocarray(x->v, cap, sizeof *grown);
        if (!grown)
            return oom(h);
        x->v = grown;
        x->cap = cap;
    }
    x->v[x->n++] = v;
    return HAKC_OK;
}

/* The first column of a query with text parameters as a number; *found = 0 without a row or NULL.
 */
static int ask(struct hakdb *h, const char *sql, const char *const *params, unsigned n,
               int64_t *value, int *found) {
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h, sql, params, n, &st);
    if (rc)
        return rc;
    int step = sqlite3_step(st);
    *found = step == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL;
    if (*found)
        *value = sqlite3_column_int64(st, 0);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    sqlite3_finalize(st);
    return rc;
}

/* ---- one figure --------------------------------------------------------------------------- */

struct figure {
    const char *trace, *pass, *name, *unit;
    int failed; /* a run of this pass failed on one side */
};

static const struct hakc_col columns[] = {
    {"trace", NULL, HAKC_COL_STR, 0},
    {"pass", NULL, HAKC_COL_STR, 0},
    {"metric", "figure", HAKC_COL_STR, 0},
    {"a_median", "A", HAKC_COL_SHOWN, 0},
    {"b_median", "B", HAKC_COL_SHOWN, 0},
    {"ratio", "A/B", HAKC_COL_FLOAT, 3},
    {"ratio_low", "low", HAKC_COL_FLOAT, 3},
    {"ratio_high", "high", HAKC_COL_FLOAT, 3},
    {"p", NULL, HAKC_COL_FLOAT, 3},
    {"verdict", "", HAKC_COL_STR, 0},
    /* the rest is not for the table: it would be too wide */
    {"unit", NULL, HAKC_COL_STR, 0},
    {"a_n", NULL, HAKC_COL_INT, 0},
    {"a_low", NULL, HAKC_COL_FLOAT, 0},
    {"a_high", NULL, HAKC_COL_FLOAT, 0},
    {"b_n", NULL, HAKC_COL_INT, 0},
    {"b_low", NULL, HAKC_COL_FLOAT, 0},
    {"b_high", NULL, HAKC_COL_FLOAT, 0},
};
enum { ALL_COLUMNS = sizeof columns / sizeof *columns, TABLE_COLUMNS = 10 };

static void put_median(struct hakc_out *o, const struct hakc_summary *s, const char *unit) {
    char shown[64];
    if (s->n == 0) {
        hakc_out_cell_null(o);
        return;
    }
    hakdb_show_value(s->median, unit, shown, sizeof shown);
    hakc_out_cell_shown(o, s->median, shown);
}

static void put_interval(struct hakc_out *o, const struct hakc_summary *s) {
    hakc_out_cell_uint(o, s->n);
    hakc_out_cell_float(o, s->has_ci ? s->ci_low : NAN);
    hakc_out_cell_float(o, s->has_ci ? s->ci_high : NAN);
}

/* "~": no difference shown, be it because there is none or because the repeats are too few. */
static const char *verdict(const struct figure *f, const struct hakc_summary *a,
                           const struct hakc_summary *b, const struct hakc_rank_result *t,
                           double alpha) {
    if (f->failed)
        return "failed";
    if (a->n == 0 || b->n == 0)
        return "one side only";
    if (a->n == 1 || b->n == 1)
        return "one run";
    if (!(t->p < alpha))
        return "~";
    return a->median < b->median ? "lower" : a->median > b->median ? "higher" : "~";
}

static int put_figure(struct hakdb *h, const struct figure *f, const struct values *x,
                      const struct values *y) {
    struct hakc_summary a, b;
    struct hakc_rank_result test;
    struct hakc_ratio ratio;
    double confidence = h->opt->confidence;
    if (hakc_summarise(x->v, x->n, confidence, &a) || hakc_summarise(y->v, y->n, confidence, &b) ||
        hakc_rank_test(x->v, x->n, y->v, y->n, &test) ||
        hakc_ratio_of_medians(x->v, x->n, y->v, y->n, confidence, &ratio))
        return oom(h);
    int comparable = !f->failed && ratio.has_ratio;
    int tested = !f->failed && x->n > 1 && y->n > 1;
    struct hakc_out *o = h->out;
    hakc_out_row(o);
    hakc_out_cell_str(o, f->trace);
    hakc_out_cell_str(o, f->pass);
    hakc_out_cell_str(o, f->name);
    put_median(o, &a, f->unit);
    put_median(o, &b, f->unit);
    hakc_out_cell_float(o, comparable ? ratio.ratio : NAN);
    hakc_out_cell_float(o, comparable && ratio.has_ci ? ratio.low : NAN);
    hakc_out_cell_float(o, comparable && ratio.has_ci ? ratio.high : NAN);
    hakc_out_cell_float(o, tested ? test.p : NAN);
    hakc_out_cell_str(o, verdict(f, &a, &b, &test, 1 - confidence));
    if (h->opt->format == HAKC_OUT_TABLE)
        return HAKC_OK;
    hakc_out_cell_str(o, f->unit);
    put_interval(o, &a);
    put_interval(o, &b);
    return HAKC_OK;
}

/* ---- all figures -------------------------------------------------------------------------- */

static char *keep(sqlite3_stmt *st, int column) {
    const char *s = (const char *)sqlite3_column_text(st, column);
    return sqlite3_mprintf("%s", s ? s : "");
}

/* The statement gives trace, pass, name, unit, failed, side (0 = A, 1 = B), value; each figure's
 * rows stand together. */
static int put_figures(struct hakdb *h, sqlite3_stmt *st, int64_t *figures) {
    struct values side[2] = {{0}, {0}};
    char *text[4] = {NULL, NULL, NULL, NULL};
    int step, failed = 0, open = 0, rc = HAKC_OK;
    *figures = 0;
    do {
        step = sqlite3_step(st);
        int same = open && step == SQLITE_ROW;
        for (int i = 0; same && i < 4; i++) {
            const char *s = (const char *)sqlite3_column_text(st, i);
            same = strcmp(s ? s : "", text[i]) == 0;
        }
        if (open && !same) {
            struct figure f = {text[0], text[1], text[2], text[3], failed};
            rc = put_figure(h, &f, &side[0], &side[1]);
            for (int i = 0; i < 4; i++) {
                sqlite3_free(text[i]);
                text[i] = NULL;
            }
            side[0].n = side[1].n = 0;
            ++*figures;
            open = 0;
        }
        if (step != SQLITE_ROW || rc)
            break;
        if (!open) {
            open = 1;
            for (int i = 0; i < 4; i++)
                if (!(text[i] = keep(st, i)))
                    rc = oom(h);
            failed = sqlite3_column_int(st, 4);
        }
        if (rc == HAKC_OK)
            rc = add_value(h, &side[sqlite3_column_int(st, 5) != 0], sqlite3_column_double(st, 6));
    } while (rc == HAKC_OK);
    for (int i = 0; i < 4; i++)
        sqlite3_free(text[i]);
    free(side[0].v);
    free(side[1].v);
    if (rc == HAKC_OK && step != SQLITE_DONE)
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    return rc;
}

static int put_comparison(struct hakdb *h, const char *sql, const char *const *params, unsigned n) {
    sqlite3_stmt *st;
    int64_t figures;
    int rc = hakdb_prepare(h, sql, params, n, &st);
    if (rc)
        return rc;
    hakc_out_list(h->out, "figures", NULL, columns,
                  h->opt->format == HAKC_OUT_TABLE ? TABLE_COLUMNS : ALL_COLUMNS);
    rc = put_figures(h, st, &figures);
    sqlite3_finalize(st);
    if (rc)
        return rc;
    hakc_out_list_end(h->out);
    if (figures == 0)
        hakc_out_note(h->out, "The two have no figure in common.");
    return HAKC_OK;
}

/* Figures that say how a run went; ops, the baseline and the live bytes do not. */
#define FIGURES                                                                                    \
    "k.name NOT IN ('ops', 'baseline_resident_bytes', 'peak_live_bytes', 'mean_live_bytes')"
#define TRACE_NAME "coalesce(base_name(t.path), substr(t.sha256, 1, 12))"

/* ---- two runs ----------------------------------------------------------------------------- */

static int compare_runs(struct hakdb *h, int64_t a, int64_t b) {
    char id_a[24], id_b[24];
    const char *ids[] = {id_a, id_b};
    int64_t n;
    int found, rc;
    snprintf(id_a, sizeof id_a, "%" PRId64, a);
    snprintf(id_b, sizeof id_b, "%" PRId64, b);
    for (int i = 0; i < 2; i++) {
        rc = ask(h, "SELECT id FROM run WHERE id = CAST(?1 AS INTEGER)", &ids[i], 1, &n, &found);
        if (rc)
            return rc;
        if (!found)
            return hakc_fail(h->err, HAKC_ENOENT, "there is no run %s; see 'hakdb runs'", ids[i]);
    }
    rc = ask(h,
             "SELECT a.trace_id IS b.trace_id FROM run a, run b WHERE a.id = CAST(?1 AS INTEGER)"
             " AND b.id = CAST(?2 AS INTEGER)",
             ids, 2, &n, &found);
    if (rc)
        return rc;
    if (found && !n)
        return hakc_fail(h->err, HAKC_EREFUSED,
                         "runs %s and %s are over different traces: their figures do not compare",
                         id_a, id_b);
    rc = ask(h,
             "SELECT ea.machine_id IS eb.machine_id FROM run a JOIN experiment ea"
             " ON ea.id = a.experiment_id, run b JOIN experiment eb ON eb.id = b.experiment_id"
             " WHERE a.id = CAST(?1 AS INTEGER) AND b.id = CAST(?2 AS INTEGER)",
             ids, 2, &n, &found);
    if (rc)
        return rc;
    if (found && !n)
        hakc_out_note(h->out, "Warning: the two runs were made on different machines.");
    hakc_out_int(h->out, "a", "A: run", a);
    hakc_out_int(h->out, "b", "B: run", b);
    hakc_out_note(h->out,
                  "Single runs show no significance: compare two allocators of an experiment "
                  "for that.");
    return put_comparison(h,
                          "SELECT " TRACE_NAME ", r.pass, k.name, k.unit,"
                          " (SELECT count(*) FROM run WHERE id IN (CAST(?1 AS INTEGER),"
                          "  CAST(?2 AS INTEGER)) AND status <> 'ok') > 0, s.side, k.value"
                          " FROM (SELECT 0 AS side, CAST(?1 AS INTEGER) AS id UNION ALL"
                          "  SELECT 1, CAST(?2 AS INTEGER)) s JOIN run r ON r.id = s.id"
                          " JOIN metric k ON k.run_id = r.id LEFT JOIN trace t ON t.id = r.trace_id"
                          " WHERE " FIGURES " ORDER BY r.trace_id, r.pass, k.name, k.unit, s.side",
                          ids, 2);
}

/* ---- two variants ------------------------------------------------------------------------- */

/* A name must mean one variant, or the values of different ones would be thrown together. */
static int check_single(struct hakdb *h, const char *name, const char *experiment) {
    static const char sql[] = "SELECT DISTINCT allocator, policy, env FROM run"
                              " WHERE is_variant(?1, allocator, policy)"
                              " AND experiment_id = CAST(?2 AS INTEGER) ORDER BY 1, 2, 3";
    const char *params[] = {name, experiment};
    sqlite3_stmt *st;
    int step, variants = 0, rc = hakdb_prepare(h, sql, params, 2, &st);
    char list[300] = "";
    if (rc)
        return rc;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        const char *allocator = (const char *)sqlite3_column_text(st, 0);
        const char *policy = (const char *)sqlite3_column_text(st, 1);
        size_t used = strlen(list);
        variants++;
        snprintf(list + used, sizeof list - used, "%s%s%s%s", used ? ", " : "", allocator,
                 policy ? "/" : "", policy ? policy : "");
    }
    if (step != SQLITE_DONE)
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    sqlite3_finalize(st);
    if (rc == HAKC_OK && variants > 1)
        rc = hakc_fail(h->err, HAKC_EUSAGE, "'%s' means %d variants of experiment %s: %s; name one",
                       name, variants, experiment, list);
    return rc;
}

static int find_experiment(struct hakdb *h, const char *a, const char *b, int64_t *experiment) {
    static const char sql[] =
        "SELECT max(id) FROM (SELECT r.experiment_id AS id FROM run r"
        " LEFT JOIN trace t ON t.id = r.trace_id"
        " WHERE (?4 IS NULL OR r.experiment_id = CAST(?4 AS INTEGER))"
        " AND is_trace(?3, t.path, t.command, t.sha256)"
        " GROUP BY r.experiment_id HAVING max(is_variant(?1, r.allocator, r.policy))"
        " AND max(is_variant(?2, r.allocator, r.policy)))";
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, h->opt->experiment);
    const char *params[] = {a, b, h->opt->trace, h->opt->experiment ? id : NULL};
    int found, rc = ask(h, sql, params, 4, experiment, &found);
    if (rc == HAKC_OK && !found)
        rc = hakc_fail(h->err, HAKC_ENOENT,
                       "no experiment%s%s has runs of both '%s' and '%s'%s; see 'hakdb runs'",
                       h->opt->experiment ? " " : "", h->opt->experiment ? id : "", a, b,
                       h->opt->trace ? " over that trace" : "");
    return rc;
}

static int compare_variants(struct hakdb *h, const char *a, const char *b) {
    static const char sql[] =
        "SELECT " TRACE_NAME ", r.pass, k.name, k.unit,"
        " EXISTS (SELECT 1 FROM run o WHERE o.experiment_id = r.experiment_id"
        "  AND o.trace_id IS r.trace_id AND o.pass = r.pass AND o.status <> 'ok'"
        "  AND (is_variant(?1, o.allocator, o.policy) OR is_variant(?2, o.allocator, o.policy))),"
        " s.side, k.value FROM (SELECT 0 AS side, ?1 AS name UNION ALL SELECT 1, ?2) s"
        " JOIN run r ON is_variant(s.name, r.allocator, r.policy)"
        " JOIN metric k ON k.run_id = r.id LEFT JOIN trace t ON t.id = r.trace_id"
        " WHERE r.experiment_id = CAST(?3 AS INTEGER) AND r.status = 'ok' AND " FIGURES
        " AND is_trace(?4, t.path, t.command, t.sha256)"
        " ORDER BY r.trace_id, CASE r.pass WHEN 'time' THEN 0 WHEN 'latency' THEN 1"
        "  WHEN 'account' THEN 2 ELSE 3 END, r.pass, k.name, k.unit, s.side, r.position";
    char experiment[24];
    int64_t id;
    int rc = find_experiment(h, a, b, &id);
    if (rc)
        return rc;
    snprintf(experiment, sizeof experiment, "%" PRId64, id);
    if ((rc = check_single(h, a, experiment)) || (rc = check_single(h, b, experiment)))
        return rc;
    hakc_out_str(h->out, "a", "A", a);
    hakc_out_str(h->out, "b", "B", b);
    hakc_out_int(h->out, "experiment", NULL, id);
    hakc_out_float(h->out, "confidence", NULL, h->opt->confidence, 3);
    hakc_out_note(h->out,
                  "low, high: interval of the ratio of medians; p: Mann-Whitney, two-sided; "
                  "~: no difference shown.");
    const char *params[] = {a, b, experiment, h->opt->trace};
    return put_comparison(h, sql, params, 4);
}

int hakdb_compare(struct hakdb *h) {
    int64_t a, b;
    if (hakdb_parse_id(h->opt->args[0], &a) && hakdb_parse_id(h->opt->args[1], &b))
        return compare_runs(h, a, b);
    return compare_variants(h, h->opt->args[0], h->opt->args[1]);
}
