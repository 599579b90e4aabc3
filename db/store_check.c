/* Is a database whole? */
#include "db/store_int.h"

#include <stdio.h>

struct check {
    int is_problem;
    const char *format; /* with one %s: the first column of a row */
    const char *sql;
};

static const struct check checks[] = {
    {1, "SQLite: %s", "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'"},
    {1, "%s",
     "SELECT format('table %s, row %s: its %s is missing', \"table\", coalesce(rowid, '?'), parent)"
     " FROM pragma_foreign_key_check"},
    {1, "%s",
     "SELECT format('metrics of run %d, which is not there', run_id) FROM metric"
     " WHERE run_id NOT IN (SELECT id FROM run) GROUP BY run_id"},
    {1, "%s",
     "SELECT format('system calls of run %d, which is not there', run_id) FROM syscall"
     " WHERE run_id NOT IN (SELECT id FROM run) GROUP BY run_id"},
    {1, "%s",
     "SELECT format('samples of run %d, which is not there', run_id) FROM sample"
     " WHERE run_id NOT IN (SELECT id FROM run) GROUP BY run_id"},
    {1, "%s",
     "SELECT format('run %d belongs to experiment %d, which is not there', id, experiment_id)"
     " FROM run WHERE experiment_id NOT IN (SELECT id FROM experiment)"},
    {1, "run %s: status is ok, but it has no figure",
     "SELECT id FROM run WHERE status = 'ok' AND id NOT IN (SELECT run_id FROM metric)"},
    {1, "%s",
     "SELECT format('run %d, metric %s: unit is ''%s''', run_id, name, unit) FROM metric"
     " WHERE (name LIKE '%\\_ns' ESCAPE '\\' AND unit <> 'ns')"
     " OR (name LIKE '%\\_bytes' ESCAPE '\\' AND unit <> 'bytes')"},
    {0, "%s", /* of a writer on another machine, or before version 5, nothing is known */
     "SELECT format(CASE WHEN state_now(e.state, e.writer, m.identity) = 'interrupted' THEN"
     " 'experiment %d never finished: its tool was killed, or could not store how it ended'"
     " ELSE 'experiment %d never finished: its tool is still at work, or was killed' END, e.id)"
     " FROM experiment e JOIN machine m ON m.id = e.machine_id WHERE e.state = 'running'"},
    {0, "experiment %s has no run",
     "SELECT id FROM experiment WHERE id NOT IN (SELECT experiment_id FROM run)"
     " AND state <> 'running'"},
};

static int run_check(struct hakd *db, const struct check *c, hakd_finding *found, void *ctx,
                     int64_t *problems, struct hakc_err *err) {
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db->sql, c->sql, -1, &st, NULL) != SQLITE_OK)
        return hakd_sql_error(db, "checking the database", err);
    int step, rc = HAKC_OK;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(st, 0);
        char *text = sqlite3_mprintf(c->format, value ? value : "?");
        *problems += c->is_problem;
        found(ctx, c->is_problem, text ? text : "(out of memory)");
        sqlite3_free(text);
    }
    if (step != SQLITE_DONE)
        rc = hakd_sql_error(db, "checking the database", err);
    sqlite3_finalize(st);
    return rc;
}

int hakd_check(struct hakd *db, hakd_finding *found, void *ctx, int64_t *problems,
               struct hakc_err *err) {
    *problems = 0;
    for (unsigned i = 0; i < sizeof checks / sizeof *checks; i++) {
        int rc = run_check(db, &checks[i], found, ctx, problems, err);
        if (rc)
            return rc;
    }
    return HAKC_OK;
}
