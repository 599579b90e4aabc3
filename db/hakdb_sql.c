/* Free queries, read-only three times over: the file is opened so, an authorizer refuses what
 * reaches beyond it, and a statement that would write is refused. And the schema. */
#include "db/hakdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pragmas that only tell something. */
static int harmless_pragma(const char *name, const char *argument) {
    static const char *const with_argument[] = {
        "table_info",  "table_xinfo",      "table_list",      "index_list",  "index_info",
        "index_xinfo", "foreign_key_list", "integrity_check", "quick_check", "foreign_key_check",
        NULL};
    static const char *const alone[] = {"user_version",   "application_id",  "journal_mode",
                                        "page_size",      "page_count",      "encoding",
                                        "freelist_count", "compile_options", NULL};
    for (const char *const *p = with_argument; *p; p++)
        if (sqlite3_stricmp(*p, name) == 0)
            return 1;
    for (const char *const *p = alone; *p; p++)
        if (sqlite3_stricmp(*p, name) == 0)
            return argument == NULL;
    return 0;
}

static int authorize(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *trigger) {
    (void)ctx, (void)database, (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        return harmless_pragma(a, b) ? SQLITE_OK : SQLITE_DENY;
    default: /* ATTACH could make a file; the rest would write */
        return SQLITE_DENY;
    }
}

static int refuse(struct hakdb *h, const char *why) {
    return hakc_fail(h->err, HAKC_EUSAGE, "%s", why);
}

/* The column names as keys, made unique: a JSON object has each once. */
static char **unique_names(sqlite3_stmt *st, unsigned n) {
    char **names = calloc(n, sizeof *names);
    for (unsigned i = 0; names && i < n; i++) {
        const char *base = sqlite3_column_name(st, (int)i);
        unsigned copy = 1;
        for (unsigned k = 0; k < i; k++)
            if (names[k] && base && strcmp(sqlite3_column_name(st, (int)k), base) == 0)
                copy++;
        names[i] = copy == 1 ? sqlite3_mprintf("%s", base ? base : "?")
                             : sqlite3_mprintf("%s_%u", base, copy);
    }
    return names;
}

static void put_blob(struct hakc_out *o, sqlite3_stmt *st, int i) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = sqlite3_column_blob(st, i);
    int n = sqlite3_column_bytes(st, i);
    char *hex = malloc(2 * (size_t)n + 1);
    if (!hex) {
        hakc_out_cell_null(o);
        return;
    }
    for (int k = 0; k < n; k++) {
        hex[2 * k] = digits[bytes[k] >> 4];
        hex[2 * k + 1] = digits[bytes[k] & 15];
    }
    hex[2 * n] = '\0';
    hakc_out_cell_str(o, hex);
    free(hex);
}

static void put_row(struct hakc_out *o, sqlite3_stmt *st, unsigned n) {
    hakc_out_row(o);
    for (unsigned i = 0; i < n; i++)
        switch (sqlite3_column_type(st, (int)i)) {
        case SQLITE_INTEGER:
            hakc_out_cell_int(o, sqlite3_column_int64(st, (int)i));
            break;
        case SQLITE_FLOAT:
            hakc_out_cell_float(o, sqlite3_column_double(st, (int)i));
            break;
        case SQLITE_TEXT:
            hakc_out_cell_str(o, (const char *)sqlite3_column_text(st, (int)i));
            break;
        case SQLITE_BLOB:
            put_blob(o, st, (int)i);
            break;
        default:
            hakc_out_cell_null(o);
        }
}

static int put_rows(struct hakdb *h, sqlite3_stmt *st) {
    unsigned n = (unsigned)sqlite3_column_count(st);
    char **names = unique_names(st, n);
    struct hakc_col *cols = calloc(n, sizeof *cols);
    int rc = HAKC_OK, step = SQLITE_DONE;
    if (!names || !cols) {
        rc = hakc_fail(h->err, HAKC_ENOMEM, "out of memory");
        goto out;
    }
    for (unsigned i = 0; i < n; i++)
        cols[i] = (struct hakc_col){names[i], NULL, HAKC_COL_ANY, 0};
    /* the first step before any output: what fails at once prints nothing */
    step = sqlite3_step(st);
    if (step == SQLITE_ROW || step == SQLITE_DONE) {
        hakc_out_list(h->out, "rows", NULL, cols, n);
        for (; step == SQLITE_ROW; step = sqlite3_step(st))
            put_row(h->out, st, n);
    }
    if (step == SQLITE_DONE)
        hakc_out_list_end(h->out);
    else
        rc = hakd_sql_error(h->db, "running the query", h->err);
out:
    for (unsigned i = 0; names && i < n; i++)
        sqlite3_free(names[i]);
    free(names);
    free(cols);
    return rc;
}

static int run_query(struct hakdb *h, const char *sql) {
    sqlite3_stmt *st = NULL, *more = NULL;
    const char *rest = NULL;
    sqlite3 *db = h->db->sql;
    sqlite3_set_authorizer(db, authorize, NULL);
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, &rest);
    if (rc == SQLITE_AUTH)
        return refuse(h, "hakdb sql only reads: this statement is not allowed");
    if (rc != SQLITE_OK) {
        int code = rc & 0xff;
        return code == SQLITE_ERROR ? hakc_fail(h->err, HAKC_EUSAGE, "SQL: %s", sqlite3_errmsg(db))
                                    : hakd_sql_error(h->db, "SQL", h->err);
    }
    if (!st)
        return refuse(h, "SQL: there is no statement");
    rc = HAKC_OK;
    /* a comment or a semicolon may follow, a statement may not */
    if (sqlite3_prepare_v2(db, rest, -1, &more, NULL) != SQLITE_OK || more)
        rc = refuse(h, "SQL: give one statement at a time");
    else if (!sqlite3_stmt_readonly(st))
        rc = refuse(h, "hakdb sql only reads: this statement would write");
    else if (sqlite3_column_count(st) == 0)
        rc = refuse(h, "SQL: this statement gives no rows");
    if (rc == HAKC_OK)
        rc = put_rows(h, st);
    sqlite3_finalize(more);
    sqlite3_finalize(st);
    return rc;
}

static int read_all(FILE *f, char **text, struct hakc_err *err) {
    size_t size = 0;
    *text = NULL;
    if (getdelim(text, &size, '\0', f) < 0) {
        int failed = ferror(f);
        free(*text);
        *text = NULL;
        return failed ? hakc_fail_errno(err, HAKC_EIO, "cannot read the query")
                      : hakc_fail(err, HAKC_EUSAGE, "SQL: there is no statement");
    }
    return HAKC_OK;
}

int hakdb_sql(struct hakdb *h) {
    if (strcmp(h->opt->args[0], "-") != 0)
        return run_query(h, h->opt->args[0]);
    char *text;
    int rc = read_all(stdin, &text, h->err);
    if (rc == HAKC_OK)
        rc = run_query(h, text);
    free(text);
    return rc;
}

int hakdb_schema(struct hakdb *h) {
    static const char sql[] = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
                              " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2"
                              " END, rowid";
    static const struct hakc_col cols[] = {{"type", NULL, HAKC_COL_STR, 0},
                                           {"name", NULL, HAKC_COL_STR, 0},
                                           {"sql", NULL, HAKC_COL_STR, 0}};
    sqlite3_stmt *st;
    int64_t version;
    int rc;
    if ((rc = hakd_query_int(h->db, "PRAGMA user_version", &version, h->err)) ||
        (rc = hakdb_prepare(h, sql, NULL, 0, &st)))
        return rc;
    if (h->opt->format != HAKC_OUT_TABLE) {
        hakc_out_int(h->out, "database_version", NULL, version);
        return hakdb_put_list(h, st, "objects", NULL, cols, 3, NULL);
    }
    /* for people: SQL as it can be run again */
    int step;
    printf("PRAGMA application_id = %d;\nPRAGMA user_version = %lld;\n", HAKD_APPLICATION_ID,
           (long long)version);
    while ((step = sqlite3_step(st)) == SQLITE_ROW)
        printf("%s;\n", (const char *)sqlite3_column_text(st, 2));
    if (step != SQLITE_DONE)
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    sqlite3_finalize(st);
    return rc;
}
