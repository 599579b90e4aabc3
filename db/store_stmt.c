/* Prepared statements and the binding of their parameters. */
#include "db/store_int.h"

#include <nettle/sha2.h>
#include <string.h>

static const char *const statement_sql[HAKD_ST_COUNT] = {
    [HAKD_ST_TRACE] =
        "INSERT INTO trace (sha256, path, command, host, clock, tool, source, version, fidelity, "
        "records, ops, allocs, threads, duration_ns, start_unix_ns, dropped, peak_live_bytes, "
        "peak_live_objects) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16, ?17, ?18) ON CONFLICT (sha256) DO UPDATE SET path = coalesce(excluded.path, "
        "path) RETURNING id",
    [HAKD_ST_LIBRARY] =
        "INSERT INTO library (identity, name, path, build_id, version, sha256) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (identity) DO UPDATE SET identity = identity "
        "RETURNING id",
    [HAKD_ST_MACHINE] =
        "INSERT INTO machine (identity, hostname, cpu_model, cpu_vendor, arch, cpus_online, "
        "cpus_configured, memory_bytes, page_size, kernel, kernel_build, thp, governor, "
        "clocksource, hypervisor, libc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
        "?12, ?13, ?14, ?15, ?16) ON CONFLICT (identity) DO UPDATE SET identity = identity "
        "RETURNING id",
    [HAKD_ST_EXPERIMENT] =
        "INSERT INTO experiment (uuid, tool, tool_version, args, machine_id, seed, "
        "started_unix_ns, study_id, writer, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "'running') "
        "RETURNING id",
    [HAKD_ST_FINISH] = "UPDATE experiment SET state = ?2, finished_unix_ns = ?3 WHERE id = ?1 "
                       "RETURNING id",
    [HAKD_ST_RUN] =
        "INSERT INTO run (experiment_id, trace_id, library_id, allocator, policy, env, pass, mode, "
        "repeat, position, status, error, counting, put_unix_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) RETURNING id",
    [HAKD_ST_RUN_FIND] =
        "SELECT id FROM run WHERE experiment_id = ?1 AND trace_id IS ?2 AND library_id IS ?3 AND "
        "allocator = ?4 AND policy IS ?5 AND env IS ?6 AND pass = ?7 AND mode = ?8 AND "
        "repeat = ?9 AND position = ?10 AND status = ?11 AND error IS ?12 AND counting IS ?13 "
        "LIMIT 1",
    [HAKD_ST_METRIC] = "INSERT INTO metric (run_id, name, value, unit) VALUES (?1, ?2, ?3, ?4)",
    [HAKD_ST_SYSCALL] = "INSERT INTO syscall (run_id, call, detail, calls, errors, bytes, "
                        "kernel_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [HAKD_ST_SAMPLE] =
        "INSERT INTO sample (run_id, seq, op, time_ns, resident_bytes, live_bytes, recorded_ns, "
        "lazy_free_bytes, huge_bytes) VALUES (?1, (SELECT coalesce(max(seq) + 1, 0) FROM sample "
        "WHERE run_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [HAKD_ST_THREAD] =
        "INSERT INTO run_thread (run_id, thread, ops, minor_faults, major_faults, syscalls, "
        "blocked_waits, end_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [HAKD_ST_LATENCY] =
        "INSERT INTO latency (run_id, op, size_max_bytes, ops, p50_ns, p90_ns, p99_ns, p999_ns, "
        "max_ns, mean_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [HAKD_ST_CAUSE] =
        "INSERT INTO cause (run_id, op, size_max_bytes, call, detail, calls, errors, bytes, "
        "kernel_ns, first_thread, first_op) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [HAKD_ST_SLOW_OP] =
        "INSERT INTO slow_op (run_id, thread, op, kind, size_bytes, latency_ns, minor_faults, "
        "major_faults, syscalls, syscall_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [HAKD_ST_SLOW_CALL] =
        "INSERT INTO slow_call (run_id, thread, op, call, detail, calls, errors, bytes, "
        "kernel_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [HAKD_ST_NEWEST] =
        "SELECT e.started_unix_ns, k.name, k.value FROM metric k JOIN run r ON r.id = k.run_id "
        "JOIN experiment e ON e.id = r.experiment_id WHERE r.id = (SELECT r.id FROM run r "
        "JOIN experiment e ON e.id = r.experiment_id JOIN machine m ON m.id = e.machine_id "
        "WHERE m.identity = ?1 AND r.pass = ?2 AND r.mode = ?3 AND r.status = 'ok' "
        "ORDER BY e.started_unix_ns DESC, r.id DESC LIMIT 1)",
    [HAKD_ST_STUDY] = "INSERT INTO study (name, tool, created_unix_ns) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT (name) DO UPDATE SET name = name RETURNING id",
    [HAKD_ST_ORACLE] =
        "INSERT OR REPLACE INTO oracle (experiment_id, trace_id, kind, bytes, bound_ns, "
        "reachable_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [HAKD_ST_STUDY_RUNS] =
        "SELECT r.id, r.policy, r.mode FROM run r JOIN experiment e ON e.id = r.experiment_id "
        "WHERE e.study_id = ?1 AND r.trace_id = ?2 AND r.pass = ?3 AND r.status = 'ok' "
        "AND (?4 IS NULL OR r.library_id = ?4) ORDER BY r.id DESC",
    [HAKD_ST_NEWEST_SPREAD] =
        "WITH variant AS (SELECT r.id, r.experiment_id FROM run r WHERE r.trace_id = ?1 "
        "AND r.allocator = ?2 AND r.policy = ?3 AND r.env IS NULL AND r.pass = ?4 "
        "AND r.status = 'ok'), "
        "ranked AS (SELECT k.value, row_number() OVER (ORDER BY k.value) AS place, "
        "count(*) OVER () AS n FROM variant v JOIN metric k ON k.run_id = v.id AND k.name = ?5 "
        "WHERE v.experiment_id = (SELECT max(experiment_id) FROM variant)) "
        "SELECT avg(value) FILTER (WHERE place IN ((n + 1) / 2, (n + 2) / 2)), min(value), "
        "max(value) FROM ranked",
    [HAKD_ST_METRICS_OF] = "SELECT name, value FROM metric WHERE run_id = ?1",
    [HAKD_ST_SYSCALLS_OF] =
        "SELECT call, detail, calls, errors, bytes, kernel_ns FROM syscall WHERE run_id = ?1",
};

int hakd_prepared(struct hakd *db, enum hakd_stmt which, sqlite3_stmt **st, struct hakc_err *err) {
    if (!db->stmt[which] &&
        sqlite3_prepare_v3(db->sql, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &db->stmt[which], NULL) != SQLITE_OK)
        return hakd_sql_error(db, "preparing a statement", err);
    *st = db->stmt[which];
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
    return HAKC_OK;
}

static void note_failure(struct hakd_bind *b, int rc) {
    if (rc != SQLITE_OK && b->failed == SQLITE_OK)
        b->failed = rc;
}

void hakd_bind_text(struct hakd_bind *b, const char *v) {
    note_failure(b, sqlite3_bind_text(b->st, ++b->at, v, -1, SQLITE_TRANSIENT));
}

void hakd_bind_int(struct hakd_bind *b, int64_t v) {
    note_failure(b, sqlite3_bind_int64(b->st, ++b->at, v));
}

static void bind_null(struct hakd_bind *b) {
    note_failure(b, sqlite3_bind_null(b->st, ++b->at));
}

void hakd_bind_id(struct hakd_bind *b, int64_t v) {
    if (v)
        hakd_bind_int(b, v);
    else
        bind_null(b);
}

void hakd_bind_real(struct hakd_bind *b, double v) {
    note_failure(b, sqlite3_bind_double(b->st, ++b->at, v));
}

void hakd_bind_uint(struct hakd_bind *b, const char *name, uint64_t v) {
    if (v > INT64_MAX && !b->too_large)
        b->too_large = name;
    hakd_bind_int(b, (int64_t)v);
}

void hakd_bind_known(struct hakd_bind *b, const char *name, uint64_t v) {
    if (v == UINT64_MAX)
        bind_null(b);
    else
        hakd_bind_uint(b, name, v);
}

int hakd_run_bound(struct hakd *db, struct hakd_bind *b, const char *what, int64_t *id,
                   struct hakc_err *err) {
    int rc = HAKC_OK;
    if (b->too_large)
        return hakc_fail(err, HAKC_EUSAGE, "%s: %s is above 2^63-1, which a database cannot hold",
                         what, b->too_large);
    if (b->failed != SQLITE_OK)
        return hakc_fail(err, b->failed == SQLITE_NOMEM ? HAKC_ENOMEM : HAKC_EINTERNAL, "%s: %s",
                         what, sqlite3_errstr(b->failed));
    int step = sqlite3_step(b->st);
    if (step == SQLITE_ROW) {
        if (id)
            *id = sqlite3_column_int64(b->st, 0);
        step = sqlite3_step(b->st); /* a RETURNING statement ends only when stepped to its end */
    } else if (step == SQLITE_DONE && id) {
        rc = hakc_fail(err, HAKC_ENOENT, "%s: there is no such row", what);
    }
    if (step != SQLITE_DONE && step != SQLITE_ROW)
        rc = hakd_sql_error(db, what, err);
    sqlite3_reset(b->st);
    return rc;
}

void hakd_identity(const char *const *texts, unsigned n, char hex[65]) {
    static const char digits[] = "0123456789abcdef";
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&ctx);
    for (unsigned i = 0; i < n; i++) {
        /* the length, little-endian, plus one: 0 stands for NULL */
        uint64_t len = texts[i] ? strlen(texts[i]) + 1 : 0;
        uint8_t head[8];
        for (unsigned k = 0; k < 8; k++)
            head[k] = (uint8_t)(len >> (8 * k));
        sha256_update(&ctx, sizeof head, head);
        if (len > 1)
            sha256_update(&ctx, len - 1, (const uint8_t *)texts[i]);
    }
    sha256_digest(&ctx, sizeof digest, digest);
    for (unsigned i = 0; i < sizeof digest; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
}
