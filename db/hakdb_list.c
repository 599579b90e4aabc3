/* The lists: runs, experiments, traces, libraries. */
#include "db/hakdb.h"

#include <stdio.h>
#include <string.h>
#include "common/units.h"

int hakdb_prepare(struct hakdb *h, const char *sql, const char *const *texts, unsigned n,
                  sqlite3_stmt **st) {
    if (sqlite3_prepare_v2(h->db->sql, sql, -1, st, NULL) != SQLITE_OK)
        return hakd_sql_error(h->db, "asking the database", h->err);
    for (unsigned i = 0; i < n; i++)
        if (sqlite3_bind_text(*st, (int)i + 1, texts[i], -1, SQLITE_TRANSIENT) != SQLITE_OK) {
            int rc = hakd_sql_error(h->db, "asking the database", h->err);
            sqlite3_finalize(*st);
            return rc;
        }
    return HAKC_OK;
}

static void put_cell(struct hakc_out *o, sqlite3_stmt *st, int i) {
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_NULL:
        hakc_out_cell_null(o);
        break;
    case SQLITE_INTEGER:
        hakc_out_cell_int(o, sqlite3_column_int64(st, i));
        break;
    case SQLITE_FLOAT:
        hakc_out_cell_float(o, sqlite3_column_double(st, i));
        break;
    default:
        hakc_out_cell_str(o, (const char *)sqlite3_column_text(st, i));
    }
}

int hakdb_put_list(struct hakdb *h, sqlite3_stmt *st, const char *key, const char *title,
                   const struct hakc_col *cols, unsigned n, int64_t *rows) {
    int step, rc = HAKC_OK;
    int64_t count = 0;
    hakc_out_list(h->out, key, title, cols, n);
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        hakc_out_row(h->out);
        for (unsigned i = 0; i < n; i++)
            put_cell(h->out, st, (int)i);
        count++;
    }
    if (step != SQLITE_DONE)
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    else
        hakc_out_list_end(h->out);
    sqlite3_finalize(st);
    if (rows)
        *rows = count;
    return rc;
}

int hakdb_parse_id(const char *text, int64_t *id) {
    uint64_t v = 0;
    if (!text[0] || strspn(text, "0123456789") != strlen(text) ||
        hakc_parse_count(text, &v, NULL) || v > INT64_MAX)
        return 0;
    *id = (int64_t)v;
    return 1;
}

static char *number_or_null(int64_t v, char buf[24]) {
    if (v <= 0)
        return NULL;
    snprintf(buf, 24, "%lld", (long long)v);
    return buf;
}

int hakdb_runs(struct hakdb *h) {
    static const char sql[] =
        "SELECT * FROM (SELECT r.id, r.experiment_id, utc(e.started_unix_ns),"
        " coalesce(base_name(t.path), substr(t.sha256, 1, 12)), r.allocator, r.policy, r.pass,"
        " r.repeat, r.status,"
        " (SELECT value FROM metric WHERE run_id = r.id AND name = 'wall_ns'),"
        " (SELECT max(value) FROM metric WHERE run_id = r.id"
        "  AND name IN ('peak_resident_bytes', 'predicted_peak_resident_bytes')), t.path"
        " FROM run r JOIN experiment e ON e.id = r.experiment_id"
        " LEFT JOIN trace t ON t.id = r.trace_id"
        " WHERE is_trace(?1, t.path, t.command, t.sha256) AND holds(r.allocator, ?2)"
        " AND (?3 IS NULL OR r.experiment_id = CAST(?3 AS INTEGER))"
        " ORDER BY r.id DESC LIMIT coalesce(CAST(?4 AS INTEGER), -1)) ORDER BY 1";
    static const struct hakc_col cols[] = {
        {"run", NULL, HAKC_COL_INT, 0},
        {"experiment", "exp", HAKC_COL_INT, 0},
        {"started_utc", "started (UTC)", HAKC_COL_STR, 0},
        {"trace", NULL, HAKC_COL_STR, 0},
        {"allocator", NULL, HAKC_COL_STR, 0},
        {"policy", NULL, HAKC_COL_STR, 0},
        {"pass", NULL, HAKC_COL_STR, 0},
        {"repeat", "rep", HAKC_COL_INT, 0},
        {"status", NULL, HAKC_COL_STR, 0},
        {"wall_ns", "wall", HAKC_COL_DURATION, 0},
        {"peak_resident_bytes", "peak", HAKC_COL_BYTES, 0},
        {"trace_path", NULL, HAKC_COL_STR, 0}, /* not in the table: its last part is there */
    };
    char experiment[24], last[24];
    const char *params[] = {h->opt->trace, h->opt->alloc,
                            number_or_null(h->opt->experiment, experiment),
                            number_or_null(h->opt->last, last)};
    sqlite3_stmt *st;
    int64_t rows;
    int rc = hakdb_prepare(h, sql, params, 4, &st);
    if (rc == HAKC_OK)
        rc = hakdb_put_list(h, st, "runs", NULL, cols,
                            sizeof cols / sizeof *cols - (h->opt->format == HAKC_OUT_TABLE), &rows);
    if (rc == HAKC_OK && rows == 0)
        hakc_out_note(h->out, "No run matches.");
    return rc;
}

int hakdb_experiments(struct hakdb *h) {
    static const char sql[] =
        "SELECT * FROM (SELECT experiment_id, tool, tool_version, utc(started_unix_ns),"
        " finished_unix_ns - started_unix_ns, (SELECT state_now(e.state, e.writer, m.identity) FROM"
        " experiment e JOIN machine m ON m.id = e.machine_id WHERE e.id = experiment_id),"
        " runs, ok_runs, traces, hostname, args, uuid FROM v_experiment ORDER BY experiment_id "
        "DESC LIMIT coalesce(CAST(?1 AS INTEGER), -1))"
        " ORDER BY 1";
    static const struct hakc_col cols[] = {
        {"experiment", "exp", HAKC_COL_INT, 0},
        {"tool", NULL, HAKC_COL_STR, 0},
        {"tool_version", "version", HAKC_COL_STR, 0},
        {"started_utc", "started (UTC)", HAKC_COL_STR, 0},
        {"took_ns", "took", HAKC_COL_DURATION, 0},
        {"state", NULL, HAKC_COL_STR, 0},
        {"runs", NULL, HAKC_COL_INT, 0},
        {"ok_runs", "ok", HAKC_COL_INT, 0},
        {"traces", NULL, HAKC_COL_INT, 0},
        {"host", NULL, HAKC_COL_STR, 0},
        {"args", NULL, HAKC_COL_STR, 0},
        {"uuid", NULL, HAKC_COL_STR, 0}, /* not in the table: it would push the others out */
    };
    char last[24];
    const char *params[] = {number_or_null(h->opt->last, last)};
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h, sql, params, 1, &st);
    unsigned n = sizeof cols / sizeof *cols - (h->opt->format == HAKC_OUT_TABLE);
    return rc ? rc : hakdb_put_list(h, st, "experiments", NULL, cols, n, NULL);
}

int hakdb_studies(struct hakdb *h) {
    static const char sql[] =
        "SELECT * FROM (SELECT name, tool, utc(created_unix_ns), experiments,"
        " (SELECT count(*) FROM experiment e JOIN machine m ON m.id = e.machine_id WHERE"
        " e.study_id = v_study.study_id AND"
        " state_now(e.state, e.writer, m.identity) = 'running'), machines,"
        " traces, policies, runs, ok_runs, study_id FROM v_study ORDER BY study_id DESC"
        " LIMIT coalesce(CAST(?1 AS INTEGER), -1)) ORDER BY study_id";
    static const struct hakc_col cols[] = {
        {"study", NULL, HAKC_COL_STR, 0},
        {"tool", NULL, HAKC_COL_STR, 0},
        {"created_utc", "created (UTC)", HAKC_COL_STR, 0},
        {"experiments", "exps", HAKC_COL_INT, 0},
        {"running", NULL, HAKC_COL_INT, 0},
        {"machines", "hosts", HAKC_COL_INT, 0},
        {"traces", NULL, HAKC_COL_INT, 0},
        {"policies", NULL, HAKC_COL_INT, 0},
        {"runs", NULL, HAKC_COL_INT, 0},
        {"ok_runs", "ok", HAKC_COL_INT, 0},
    };
    char last[24];
    const char *params[] = {number_or_null(h->opt->last, last)};
    sqlite3_stmt *st;
    int64_t rows;
    int rc = hakdb_prepare(h, sql, params, 1, &st);
    if (rc == HAKC_OK)
        rc = hakdb_put_list(h, st, "studies", NULL, cols, sizeof cols / sizeof *cols, &rows);
    if (rc == HAKC_OK && rows == 0)
        hakc_out_note(h->out, "There is no study: haksim --study=NAME makes one.");
    return rc;
}

int hakdb_traces(struct hakdb *h) {
    static const char sql[] =
        "SELECT id, path, command, ops, threads, duration_ns, peak_live_bytes, dropped,"
        " (SELECT count(*) FROM run WHERE trace_id = trace.id), sha256 FROM trace"
        " WHERE is_trace(?1, path, command, sha256) ORDER BY id";
    static const struct hakc_col cols[] = {
        {"trace", NULL, HAKC_COL_INT, 0},
        {"path", NULL, HAKC_COL_STR, 0},
        {"command", NULL, HAKC_COL_STR, 0},
        {"ops", NULL, HAKC_COL_INT, 0},
        {"threads", NULL, HAKC_COL_INT, 0},
        {"duration_ns", "duration", HAKC_COL_DURATION, 0},
        {"peak_live_bytes", "peak live", HAKC_COL_BYTES, 0},
        {"dropped", NULL, HAKC_COL_INT, 0},
        {"runs", NULL, HAKC_COL_INT, 0},
        {"sha256", NULL, HAKC_COL_STR, 0},
    };
    const char *params[] = {h->opt->trace};
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h, sql, params, 1, &st);
    return rc ? rc : hakdb_put_list(h, st, "traces", NULL, cols, sizeof cols / sizeof *cols, NULL);
}

int hakdb_libraries(struct hakdb *h) {
    static const char sql[] =
        "SELECT id, name, version, path, build_id,"
        " (SELECT count(*) FROM run WHERE library_id = l.id), sha256 FROM library l ORDER BY id";
    static const struct hakc_col cols[] = {
        {"library", NULL, HAKC_COL_INT, 0},  {"name", NULL, HAKC_COL_STR, 0},
        {"version", NULL, HAKC_COL_STR, 0},  {"path", NULL, HAKC_COL_STR, 0},
        {"build_id", NULL, HAKC_COL_STR, 0}, {"runs", NULL, HAKC_COL_INT, 0},
        {"sha256", NULL, HAKC_COL_STR, 0},
    };
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h, sql, NULL, 0, &st);
    return rc ? rc
              : hakdb_put_list(h, st, "libraries", NULL, cols, sizeof cols / sizeof *cols, NULL);
}
