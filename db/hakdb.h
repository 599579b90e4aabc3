/*
 * hakdb: questions to the results database. hakdb.c reads the command line and hands over to one
 * function a command; each writes one document through the emitter and returns 0 or a code.
 */
#ifndef DB_HAKDB_H
#define DB_HAKDB_H

#include <stdint.h>
#include "common/out.h"
#include "db/store_int.h"

/* Of hakdb's JSON documents. */
#define HAKDB_JSON_VERSION 1

struct hakdb_options {
    const char *db_path;
    const char *trace, *alloc; /* substrings to look for, or NULL */
    int64_t last;              /* 0 = all */
    int64_t experiment;        /* 0 = not given */
    double confidence;
    enum hakc_out_format format;
    uint64_t wait_ns;
    char **args; /* after the command */
    int n_args;
};

struct hakdb {
    const struct hakdb_options *opt;
    struct hakd *db;
    struct hakc_out *out;
    struct hakc_err *err;
};

int hakdb_runs(struct hakdb *h);
int hakdb_experiments(struct hakdb *h);
int hakdb_studies(struct hakdb *h);
int hakdb_traces(struct hakdb *h);
int hakdb_libraries(struct hakdb *h);
int hakdb_show(struct hakdb *h);
int hakdb_compare(struct hakdb *h);
int hakdb_sql(struct hakdb *h);
int hakdb_schema(struct hakdb *h);
int hakdb_merge(struct hakdb *h);
int hakdb_check(struct hakdb *h);
int hakdb_put(struct hakdb *h);
int hakdb_migrate(struct hakdb *h);

/* base_name, holds, is_trace, is_variant, utc: for the queries of these commands. */
int hakdb_add_functions(struct hakdb *h);

/* A statement with parameters: those that are texts (NULL = NULL), in order from ?1. */
int hakdb_prepare(struct hakdb *h, const char *sql, const char *const *texts, unsigned n,
                  sqlite3_stmt **st);

/* Writes all rows of a statement as a list with the given columns (one each; a text where the
 * column's type is STR). Finalizes the statement. *rows (may be NULL) counts. */
int hakdb_put_list(struct hakdb *h, sqlite3_stmt *st, const char *key, const char *title,
                   const struct hakc_col *cols, unsigned n, int64_t *rows);

/* A row id from an argument: digits only. */
int hakdb_parse_id(const char *text, int64_t *id);

/* A metric's value for people, by its unit. */
void hakdb_show_value(double v, const char *unit, char *buf, unsigned len);

#endif
