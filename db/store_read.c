/* Reading back what a study holds. */
#include "db/store_int.h"

#include <stddef.h>

int hakd_each_study_run(struct hakd *db, int64_t study, int64_t trace, int64_t library,
                        const char *pass, hakd_run_fn *fn, void *ctx, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int step = SQLITE_DONE, rc = hakd_prepared(db, HAKD_ST_STUDY_RUNS, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, study);
    hakd_bind_int(&b, trace);
    hakd_bind_text(&b, pass);
    hakd_bind_id(&b, library);
    while (rc == HAKC_OK && (step = sqlite3_step(b.st)) == SQLITE_ROW)
        rc = fn(ctx, sqlite3_column_int64(b.st, 0), (const char *)sqlite3_column_text(b.st, 1),
                (const char *)sqlite3_column_text(b.st, 2));
    if (rc == HAKC_OK && step != SQLITE_DONE)
        rc = hakd_sql_error(db, "reading a study", err);
    sqlite3_reset(b.st);
    return rc;
}

int hakd_newest_spread(struct hakd *db, int64_t trace, const char *allocator, const char *policy,
                       const char *pass, const char *name, struct hakd_spread *out,
                       struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_NEWEST_SPREAD, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, trace);
    hakd_bind_text(&b, allocator);
    hakd_bind_text(&b, policy);
    hakd_bind_text(&b, pass);
    hakd_bind_text(&b, name);
    if (sqlite3_step(b.st) != SQLITE_ROW)
        rc = hakd_sql_error(db, "reading a figure's repeats", err);
    else if (sqlite3_column_type(b.st, 0) == SQLITE_NULL)
        rc = hakc_fail(err, HAKC_ENOENT, "no %s run of %s under %s has the figure %s", pass,
                       allocator, policy, name);
    else
        *out = (struct hakd_spread){sqlite3_column_double(b.st, 0), sqlite3_column_double(b.st, 1),
                                    sqlite3_column_double(b.st, 2)};
    sqlite3_reset(b.st);
    return rc;
}

int hakd_each_metric(struct hakd *db, int64_t run, hakd_metric_fn *fn, void *ctx,
                     struct hakc_err *err) {
    struct hakd_bind b = {0};
    int step, rc = hakd_prepared(db, HAKD_ST_METRICS_OF, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, run);
    while ((step = sqlite3_step(b.st)) == SQLITE_ROW)
        fn(ctx, (const char *)sqlite3_column_text(b.st, 0), sqlite3_column_double(b.st, 1));
    rc = step == SQLITE_DONE ? HAKC_OK : hakd_sql_error(db, "reading figures", err);
    sqlite3_reset(b.st);
    return rc;
}

int hakd_each_syscall(struct hakd *db, int64_t run, hakd_syscall_fn *fn, void *ctx,
                      struct hakc_err *err) {
    struct hakd_bind b = {0};
    int step, rc = hakd_prepared(db, HAKD_ST_SYSCALLS_OF, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_int(&b, run);
    while ((step = sqlite3_step(b.st)) == SQLITE_ROW) {
        struct hakd_syscall s = {
            .call = (const char *)sqlite3_column_text(b.st, 0),
            .detail = (const char *)sqlite3_column_text(b.st, 1),
            .calls = (uint64_t)sqlite3_column_int64(b.st, 2),
            .errors = (uint64_t)sqlite3_column_int64(b.st, 3),
            .bytes = (uint64_t)sqlite3_column_int64(b.st, 4),
            .kernel_ns = sqlite3_column_type(b.st, 5) == SQLITE_NULL
                             ? UINT64_MAX
                             : (uint64_t)sqlite3_column_int64(b.st, 5),
        };
        fn(ctx, &s);
    }
    rc = step == SQLITE_DONE ? HAKC_OK : hakd_sql_error(db, "reading system calls", err);
    sqlite3_reset(b.st);
    return rc;
}
