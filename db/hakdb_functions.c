/* SQL functions for hakdb's own queries, so that those stay readable. */
#include "db/hakdb.h"

#include <string.h>
#include <strings.h>
#include <time.h>

static const char *text_arg(sqlite3_value *v) {
    const char *s = (const char *)sqlite3_value_text(v);
    return s ? s : "";
}

/* base_name(path): what follows the last slash. */
static void base_name(sqlite3_context *ctx, int n, sqlite3_value **args) {
    (void)n;
    const char *path = (const char *)sqlite3_value_text(args[0]);
    if (!path)
        return; /* NULL */
    const char *slash = strrchr(path, '/');
    sqlite3_result_text(ctx, slash ? slash + 1 : path, -1, SQLITE_TRANSIENT);
}

/* holds(text, part): is part in text, in any case? Taken as it is, without wildcards. */
static void holds(sqlite3_context *ctx, int n, sqlite3_value **args) {
    (void)n;
    sqlite3_result_int(ctx, sqlite3_value_type(args[1]) == SQLITE_NULL ||
                                strcasestr(text_arg(args[0]), text_arg(args[1])) != NULL);
}

/* is_trace(part, path, command, sha256): in path or command, or how the hash begins. */
static void is_trace(sqlite3_context *ctx, int n, sqlite3_value **args) {
    (void)n;
    const char *part = text_arg(args[0]);
    sqlite3_result_int(ctx, sqlite3_value_type(args[0]) == SQLITE_NULL ||
                                strcasestr(text_arg(args[1]), part) != NULL ||
                                strcasestr(text_arg(args[2]), part) != NULL ||
                                strncasecmp(text_arg(args[3]), part, strlen(part)) == 0);
}

/* is_variant(name, allocator, policy): ALLOCATOR, POLICY or ALLOCATOR/POLICY. */
static void is_variant(sqlite3_context *ctx, int n, sqlite3_value **args) {
    (void)n;
    const char *name = text_arg(args[0]), *allocator = text_arg(args[1]);
    const char *policy = (const char *)sqlite3_value_text(args[2]);
    size_t len = strlen(allocator);
    int both = policy && strncmp(name, allocator, len) == 0 && name[len] == '/' &&
               strcmp(name + len + 1, policy) == 0;
    sqlite3_result_int(ctx, both || strcmp(name, allocator) == 0 ||
                                (policy && strcmp(name, policy) == 0));
}

/* utc(unix_ns): "YYYY-MM-DD hh:mm:ss". */
static void utc(sqlite3_context *ctx, int n, sqlite3_value **args) {
    char text[32];
    (void)n;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    time_t seconds = (time_t)(sqlite3_value_int64(args[0]) / 1000000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm))
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

int hakdb_add_functions(struct hakdb *h) {
    static const struct {
        const char *name;
        int args;
        void (*f)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {{"base_name", 1, base_name},
                     {"holds", 2, holds},
                     {"is_trace", 4, is_trace},
                     {"is_variant", 3, is_variant},
                     {"utc", 1, utc}};
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++)
        if (sqlite3_create_function(h->db->sql, functions[i].name, functions[i].args,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                    functions[i].f, NULL, NULL) != SQLITE_OK)
            return hakd_sql_error(h->db, "opening the database", h->err);
    return HAKC_OK;
}
