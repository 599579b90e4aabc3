#include "db/store_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 10000 };

int hakd_sql_error(struct hakd *db, const char *what, struct hakc_err *err) {
    int full = sqlite3_extended_errcode(db->sql), rc = full & 0xff;
    const char *msg = sqlite3_errmsg(db->sql);
    int code;
    switch (rc) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = hakc_fail(err, HAKC_EBUSY,
                         "%s: the database is locked by another process; try again later", what);
        break;
    case SQLITE_FULL:
        code = hakc_fail(err, HAKC_EIO, "%s: the disk is full; nothing of this was stored", what);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = hakc_fail(err, HAKC_ECORRUPT, "%s: %s; the file is damaged or not a database", what,
                         msg);
        break;
    case SQLITE_NOMEM:
        code = hakc_fail(err, HAKC_ENOMEM, "%s: out of memory", what);
        break;
    case SQLITE_READONLY:
        code = hakc_fail(err, HAKC_EIO, "%s: the database is read-only", what);
        break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        code = hakc_fail(err, HAKC_EUSAGE, "%s: %s", what, msg);
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        errno = sqlite3_system_errno(db->sql);
        code = errno ? hakc_fail_errno(err, HAKC_EIO, "%s: %s", what, msg)
                     : hakc_fail(err, HAKC_EIO, "%s: %s", what, msg);
        break;
    default:
        code = hakc_fail(err, HAKC_EINTERNAL, "%s: %s", what, msg);
    }
    if (err)
        snprintf(err->file, sizeof err->file, "%s", db->path);
    return code;
}

int hakd_exec(struct hakd *db, const char *sql, const char *what, struct hakc_err *err) {
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK
               ? HAKC_OK
               : hakd_sql_error(db, what, err);
}

int hakd_query_int(struct hakd *db, const char *sql, int64_t *value, struct hakc_err *err) {
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
        return hakd_sql_error(db, "reading the database", err);
    int step = sqlite3_step(st), rc = HAKC_OK;
    if (step == SQLITE_ROW)
        *value = sqlite3_column_int64(st, 0);
    else if (step == SQLITE_DONE)
        rc = hakc_fail(err, HAKC_ENOENT, "no row");
    else
        rc = hakd_sql_error(db, "reading the database", err);
    sqlite3_finalize(st);
    return rc;
}

/* Fills err->file too, so that a user sees which database is meant. */
static int fail_path(const struct hakd *db, int code, const char *msg, struct hakc_err *err) {
    hakc_fail(err, code, "%s", msg);
    if (err)
        snprintf(err->file, sizeof err->file, "%s", db->path);
    return code;
}

/* ---- schema ------------------------------------------------------------------------------- */

int hakd_schema_version(void) {
    int last = 0;
    for (const struct hakd_migration *m = hakd_migrations; m->version; m++)
        last = m->version;
    return last;
}

static int newer(struct hakd *db, int64_t have, int last, struct hakc_err *err) {
    char msg[200];
    snprintf(msg, sizeof msg,
             "the database has schema version %lld and this build knows versions up to %d; use a "
             "newer build",
             (long long)have, last);
    return fail_path(db, HAKC_EUNSUPPORTED, msg, err);
}

static int apply_migrations(struct hakd *db, const struct hakd_migration *list,
                            struct hakc_err *err) {
    int64_t have, id;
    int rc, last = 0;
    for (const struct hakd_migration *m = list; m->version; m++)
        last = m->version;
    /* asked again under the lock: another process may have been faster */
    if ((rc = hakd_query_int(db, "PRAGMA user_version", &have, err)) ||
        (rc = hakd_query_int(db, "PRAGMA application_id", &id, err)))
        return rc;
    if (have > last)
        return newer(db, have, last, err);
    for (const struct hakd_migration *m = list; m->version; m++) {
        if (m->version <= have)
            continue;
        char pragma[64], what[64];
        snprintf(what, sizeof what, "migrating to schema version %d", m->version);
        snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", m->version);
        if ((rc = hakd_exec(db, m->sql, what, err)) || (rc = hakd_exec(db, pragma, what, err)))
            return rc;
    }
    if (id == HAKD_APPLICATION_ID)
        return HAKC_OK;
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", HAKD_APPLICATION_ID);
    return hakd_exec(db, pragma, "marking the database", err);
}

int hakd_migrate(struct hakd *db, const struct hakd_migration *list, struct hakc_err *err) {
    int64_t have;
    int rc = hakd_query_int(db, "PRAGMA user_version", &have, err), last = 0;
    if (rc)
        return rc;
    for (const struct hakd_migration *m = list; m->version; m++)
        last = m->version;
    if (have > last)
        return newer(db, have, last, err);
    if (have == last)
        return HAKC_OK;
    if ((rc = hakd_exec(db, "BEGIN IMMEDIATE", "migrating the database", err)))
        return rc;
    rc = apply_migrations(db, list, err);
    if (rc == HAKC_OK)
        rc = hakd_exec(db, "COMMIT", "migrating the database", err);
    if (rc)
        hakd_rollback(db);
    return rc;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Is this ours, or a fresh file that may become ours? */
static int check_owner(struct hakd *db, struct hakc_err *err) {
    int64_t id, objects;
    int rc;
    /* In this order: a process that makes the database commits both at once, so whoever has seen
     * its tables then sees its mark. */
    if ((rc = hakd_query_int(db, "SELECT count(*) FROM sqlite_schema", &objects, err)) ||
        (rc = hakd_query_int(db, "PRAGMA application_id", &id, err)))
        return rc;
    if (id == HAKD_APPLICATION_ID || (id == 0 && objects == 0 && db->mode == HAKD_WRITE))
        return HAKC_OK;
    if (id == 0 && objects == 0)
        return fail_path(db, HAKC_ENOENT,
                         "the database is empty; hakreplay and haksim fill it with results", err);
    return fail_path(db, HAKC_ECORRUPT,
                     "this is a SQLite database, but not one of HAKMEM's results; give another "
                     "file",
                     err);
}

/* The change to WAL needs the file for itself and SQLite does not always wait for that. */
static int set_wal(struct hakd *db, struct hakc_err *err) {
    const struct timespec pause = {0, 5000000};
    for (int waited_ms = 0;; waited_ms += 5) {
        int rc = sqlite3_exec(db->sql, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            return HAKC_OK; /* a file system without WAL keeps its journal, and that is fine */
        if (rc != SQLITE_BUSY || waited_ms >= db->busy_ms)
            return hakd_sql_error(db, "opening the database", err);
        nanosleep(&pause, NULL);
    }
}

static int set_up(struct hakd *db, struct hakc_err *err) {
    int64_t have;
    int rc;
    sqlite3_busy_timeout(db->sql, db->busy_ms);
    if (hakd_add_state_now(db) != SQLITE_OK)
        return hakd_sql_error(db, "opening the database", err);
    if (db->mode == HAKD_WRITE && sqlite3_db_readonly(db->sql, "main"))
        return fail_path(db, HAKC_EIO,
                         "the database is read-only; check the file's permissions, or give "
                         "another file",
                         err);
    if ((rc = hakd_exec(db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                        "opening the database", err)) ||
        (rc = check_owner(db, err)))
        return rc;
    if (db->mode == HAKD_WRITE) {
        if ((rc = hakd_query_int(db, "PRAGMA user_version", &have, err)))
            return rc;
        if (have > hakd_schema_version())
            return newer(db, have, hakd_schema_version(), err);
        if ((rc = set_wal(db, err)) ||
            (rc = hakd_exec(db, "PRAGMA synchronous = NORMAL", "opening the database", err)))
            return rc;
        return hakd_migrate(db, hakd_migrations, err);
    }
    if ((rc = hakd_query_int(db, "PRAGMA user_version", &have, err)))
        return rc;
    if (have > hakd_schema_version())
        return newer(db, have, hakd_schema_version(), err);
    if (have < hakd_schema_version())
        return fail_path(db, HAKC_EUNSUPPORTED,
                         "the database has an older schema; 'hakdb migrate' brings it to this "
                         "build's version",
                         err);
    return HAKC_OK;
}

/* A reader of a WAL database needs to create its -shm file. Where it may not, and nobody has left
 * a log to be read, the file can be read as it lies. */
static int open_immutable(struct hakd *db, const char *path) {
    struct stat st;
    char *wal = sqlite3_mprintf("%s-wal", path);
    int pending = wal && stat(wal, &st) == 0 && st.st_size > 0;
    sqlite3_free(wal);
    if (pending)
        return SQLITE_CANTOPEN;
    char *uri = hakd_file_uri(path, "immutable=1");
    if (!uri)
        return SQLITE_NOMEM;
    sqlite3_close(db->sql);
    db->sql = NULL;
    int rc = sqlite3_open_v2(uri, &db->sql, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    sqlite3_free(uri);
    return rc;
}

char *hakd_file_uri(const char *path, const char *query) {
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendall(s, path[0] == '/' ? "file://" : "file:");
    for (const char *c = path; *c; c++)
        if (strchr("%?#", *c))
            sqlite3_str_appendf(s, "%%%02x", (unsigned char)*c);
        else
            sqlite3_str_appendchar(s, 1, *c);
    sqlite3_str_appendf(s, "?%s", query);
    return sqlite3_str_finish(s);
}

/* SQLite itself says only that it is "unable to open". */
static int folder_is_writable(const char *path, struct hakc_err *err) {
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int ok = dir && access(dir, W_OK | X_OK) == 0;
    if (!dir)
        hakc_fail(err, HAKC_ENOMEM, "opening the database: out of memory");
    else if (!ok)
        hakc_fail_errno(err, HAKC_EIO, "cannot make the database in the folder %s", dir);
    if (!ok && err)
        snprintf(err->file, sizeof err->file, "%s", path);
    free(dir);
    return ok;
}

static int open_file(struct hakd *db, const char *path, struct hakc_err *err) {
    struct stat st;
    if (path[0] == '\0') /* to SQLite that is a nameless file, gone when it is closed */
        return hakc_fail(err, HAKC_EUSAGE, "the database has no name: give a file");
    if (stat(path, &st) != 0) {
        if (errno != ENOENT || db->mode == HAKD_READ) {
            int missing = errno == ENOENT;
            hakc_fail_errno(err, missing ? HAKC_ENOENT : HAKC_EIO, "cannot open the database");
            if (err)
                snprintf(err->file, sizeof err->file, "%s", path);
            return missing ? HAKC_ENOENT : HAKC_EIO;
        }
        if (!folder_is_writable(path, err))
            return HAKC_EIO;
    } else if (!S_ISREG(st.st_mode)) {
        return fail_path(db, HAKC_EIO, "a database is a regular file, and this is none", err);
    }
    /* A name that begins with "file:" is a name here; URIs are for hakd_merge's ATTACH. */
    char *named = sqlite3_mprintf("%s%s", strncmp(path, "file:", 5) == 0 ? "./" : "", path);
    if (!named)
        return hakc_fail(err, HAKC_ENOMEM, "opening the database: out of memory");
    int flags =
        db->mode == HAKD_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int opened = sqlite3_open_v2(named, &db->sql, flags | SQLITE_OPEN_URI, NULL);
    sqlite3_free(named);
    if (opened != SQLITE_OK)
        return db->sql ? hakd_sql_error(db, "opening the database", err)
                       : hakc_fail(err, HAKC_ENOMEM, "opening the database: out of memory");
    sqlite3_extended_result_codes(db->sql, 1);
    /* Opening reads nothing yet: the first query shows whether the log can be used. */
    if (db->mode == HAKD_READ) {
        int rc = sqlite3_exec(db->sql, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
        if (((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY) &&
            open_immutable(db, path) != SQLITE_OK)
            return db->sql ? hakd_sql_error(db, "opening the database", err)
                           : hakc_fail(err, HAKC_ENOMEM, "opening the database: out of memory");
    }
    return HAKC_OK;
}

int hakd_open(struct hakd **db, const char *path, enum hakd_open_mode mode, struct hakc_err *err) {
    return hakd_open_wait(db, path, mode, BUSY_MS, err);
}

int hakd_open_wait(struct hakd **out, const char *path, enum hakd_open_mode mode, unsigned ms,
                   struct hakc_err *err) {
    *out = NULL;
    struct hakd *db = calloc(1, sizeof *db);
    if (!db)
        return hakc_fail(err, HAKC_ENOMEM, "opening the database: out of memory");
    db->mode = mode;
    db->busy_ms = ms > INT32_MAX ? INT32_MAX : (int)ms;
    snprintf(db->path, sizeof db->path, "%s", path);
    int rc = open_file(db, path, err);
    if (rc == HAKC_OK)
        rc = set_up(db, err);
    if (rc != HAKC_OK) {
        hakd_close(db);
        return rc;
    }
    *out = db;
    return HAKC_OK;
}

void hakd_close(struct hakd *db) {
    if (!db)
        return;
    for (unsigned i = 0; i < HAKD_ST_COUNT; i++)
        sqlite3_finalize(db->stmt[i]);
    sqlite3_close(db->sql); /* rolls back what is open */
    free(db);
}

/* ---- transactions ------------------------------------------------------------------------- */

int hakd_begin(struct hakd *db, struct hakc_err *err) {
    if (!sqlite3_get_autocommit(db->sql))
        return hakc_fail(err, HAKC_EINTERNAL, "a transaction is open already");
    if (db->mode != HAKD_WRITE)
        return hakc_fail(err, HAKC_EINTERNAL, "the database was opened for reading");
    /* IMMEDIATE: waits for the write lock here, not in the middle where waiting cannot help */
    return hakd_exec(db, "BEGIN IMMEDIATE", "starting a transaction", err);
}

void hakd_rollback(struct hakd *db) {
    if (!sqlite3_get_autocommit(db->sql))
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

int hakd_commit(struct hakd *db, struct hakc_err *err) {
    if (sqlite3_get_autocommit(db->sql))
        return hakc_fail(err, HAKC_EINTERNAL,
                         "no transaction is open: a failure has rolled it back");
    int rc = hakd_exec(db, "COMMIT", "storing the results", err);
    if (rc)
        hakd_rollback(db);
    return rc;
}
