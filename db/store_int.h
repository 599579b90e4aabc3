/*
 * Inside the store: the handle, the statements, errors. For db/ alone; tools use store.h.
 */
#ifndef DB_STORE_INT_H
#define DB_STORE_INT_H

#include <sqlite3.h>
#include <stdint.h>
#include "db/store.h"

/* 'HAKD', in the file's header: tells our files from any other SQLite database. */
#define HAKD_APPLICATION_ID 0x48414b44

enum hakd_stmt {
    HAKD_ST_TRACE,
    HAKD_ST_LIBRARY,
    HAKD_ST_MACHINE,
    HAKD_ST_EXPERIMENT,
    HAKD_ST_FINISH,
    HAKD_ST_RUN,
    HAKD_ST_RUN_FIND,
    HAKD_ST_METRIC,
    HAKD_ST_SYSCALL,
    HAKD_ST_SAMPLE,
    HAKD_ST_THREAD,
    HAKD_ST_LATENCY,
    HAKD_ST_CAUSE,
    HAKD_ST_SLOW_OP,
    HAKD_ST_SLOW_CALL,
    HAKD_ST_NEWEST,
    HAKD_ST_STUDY,
    HAKD_ST_ORACLE,
    HAKD_ST_STUDY_RUNS,
    HAKD_ST_METRICS_OF,
    HAKD_ST_NEWEST_SPREAD,
    HAKD_ST_SYSCALLS_OF,
    HAKD_ST_COUNT
};

struct hakd {
    sqlite3 *sql;
    enum hakd_open_mode mode;
    int busy_ms;                       /* how long to wait for a lock */
    char path[256];                    /* for messages; may be cut */
    sqlite3_stmt *stmt[HAKD_ST_COUNT]; /* prepared at first use */
};

/* One step of the schema, from version - 1 to version. */
struct hakd_migration {
    int version;
    const char *sql;
};
extern const struct hakd_migration hakd_migrations[]; /* ascending; ends with version 0 */

/* Brings the database to the last version of the list, in one transaction. HAKC_EUNSUPPORTED if it
 * is newer already. */
int hakd_migrate(struct hakd *db, const struct hakd_migration *list, struct hakc_err *err);

/* SQLite's last error as ours: busy, full, corrupt, constraint, ... `what` starts the sentence. */
int hakd_sql_error(struct hakd *db, const char *what, struct hakc_err *err);

/* "file:" URI of a path with a query ("mode=ro"); free with sqlite3_free. NULL = no memory. */
char *hakd_file_uri(const char *path, const char *query);

int hakd_exec(struct hakd *db, const char *sql, const char *what, struct hakc_err *err);

/* The first column of a query's first row; HAKC_ENOENT without a row. */
int hakd_query_int(struct hakd *db, const char *sql, int64_t *value, struct hakc_err *err);

/* The statement, prepared and reset with its bindings cleared. */
int hakd_prepared(struct hakd *db, enum hakd_stmt which, sqlite3_stmt **st, struct hakc_err *err);

/* Binding that remembers the first failure, so that a row is bound in one go. */
struct hakd_bind {
    sqlite3_stmt *st;
    int at;                /* last bound parameter */
    int failed;            /* SQLite's code */
    const char *too_large; /* name of a number above INT64_MAX */
};
void hakd_bind_text(struct hakd_bind *b, const char *v); /* NULL = NULL */
void hakd_bind_int(struct hakd_bind *b, int64_t v);
void hakd_bind_id(struct hakd_bind *b, int64_t v); /* 0 = NULL */
void hakd_bind_real(struct hakd_bind *b, double v);
/* Above INT64_MAX is an error that names `name`, not a wrap. */
void hakd_bind_uint(struct hakd_bind *b, const char *name, uint64_t v);
/* The same, and UINT64_MAX = not known = NULL. */
void hakd_bind_known(struct hakd_bind *b, const char *name, uint64_t v);

/* Runs the bound statement; *id (may be NULL) receives the first column of its row (HAKC_ENOENT
 * if there is none). The statement is reset. */
int hakd_run_bound(struct hakd *db, struct hakd_bind *b, const char *what, int64_t *id,
                   struct hakc_err *err);

/* SHA-256 over texts, each with its length, so that ("ab", "c") and ("a", "bc") differ and NULL
 * differs from "": the identity of a row that has no natural one. hex has 65 bytes. */
void hakd_identity(const char *const *texts, unsigned n, char hex[65]);

/* The identity of this machine, as its row has it. */
void hakd_this_machine(char identity[65]);

/* ---- store_writer.c: is an experiment still running? ---- */

#define HAKD_WRITER 160

/* This process as text, for experiment.writer; "" where the system does not tell. */
void hakd_writer(char text[HAKD_WRITER]);

/* Whether that process is gone for certain: in the same boot and name space of processes it is not
 * there, or its machine (on_this_machine) has been booted since. */
int hakd_writer_is_gone(const char *text, int on_this_machine);

/* SQL: state_now(state, writer, machine.identity) is the state, but 'interrupted' where that is
 * 'running' and its writer is gone. Returns SQLite's code. */
int hakd_add_state_now(struct hakd *db);

/* Stores that as the state, in the transaction that is open. */
int hakd_note_gone(struct hakd *db, struct hakc_err *err);

#endif
