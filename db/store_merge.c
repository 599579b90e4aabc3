/*
 * Merging: the other database is attached read-only and its rows are added by what identifies
 * them, never by their ids, which differ from file to file.
 */
#include "db/store_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* machine, library, trace and study stand alone; an experiment finds its machine by identity, its
 * study by name. Where we hold an experiment as still running and the other saw its end, the end is
 * taken over. Its writer is not: how it ends, it will say in the other file, so that it is gone
 * means nothing here. */
static const char merge_heads[] =
    "INSERT INTO main.machine (identity, hostname, cpu_model, cpu_vendor, arch, cpus_online,"
    " cpus_configured, memory_bytes, page_size, kernel, kernel_build, thp, governor, clocksource,"
    " hypervisor, libc) SELECT identity, hostname, cpu_model, cpu_vendor, arch, cpus_online,"
    " cpus_configured, memory_bytes, page_size, kernel, kernel_build, thp, governor, clocksource,"
    " hypervisor, libc FROM other.machine WHERE true ORDER BY id ON CONFLICT DO NOTHING;"
    "INSERT INTO main.library (identity, name, path, build_id, version, sha256)"
    " SELECT identity, name, path, build_id, version, sha256 FROM other.library WHERE true"
    " ORDER BY id ON CONFLICT DO NOTHING;"
    "INSERT INTO main.trace (sha256, path, command, host, clock, tool, source, version, fidelity,"
    " records, ops, allocs, threads, duration_ns, start_unix_ns, dropped, peak_live_bytes,"
    " peak_live_objects) SELECT sha256, path, command, host, clock, tool, source, version,"
    " fidelity, records, ops, allocs, threads, duration_ns, start_unix_ns, dropped,"
    " peak_live_bytes, peak_live_objects FROM other.trace WHERE true ORDER BY id"
    " ON CONFLICT DO NOTHING;"
    "INSERT INTO main.study (name, tool, created_unix_ns) SELECT name, tool, created_unix_ns"
    " FROM other.study WHERE true ORDER BY id ON CONFLICT DO NOTHING;"
    "INSERT INTO main.experiment (uuid, tool, tool_version, args, machine_id, seed, study_id,"
    " started_unix_ns, finished_unix_ns, state) SELECT e.uuid, e.tool, e.tool_version, e.args,"
    " mine.id, e.seed, ms.id, e.started_unix_ns, e.finished_unix_ns,"
    " state_now(e.state, e.writer, m.identity)"
    " FROM other.experiment e JOIN other.machine m ON m.id = e.machine_id"
    " JOIN main.machine mine ON mine.identity = m.identity"
    " LEFT JOIN other.study s ON s.id = e.study_id LEFT JOIN main.study ms ON ms.name = s.name"
    " WHERE true ORDER BY e.id"
    " ON CONFLICT (uuid) DO UPDATE SET state = excluded.state,"
    " finished_unix_ns = excluded.finished_unix_ns"
    " WHERE state = 'running' AND excluded.state <> 'running';";

/* Each run of the other with the ids that its parents have here. */
static const char map_parents[] =
    "DROP TABLE IF EXISTS temp.theirs; DROP TABLE IF EXISTS temp.added;"
    "CREATE TEMP TABLE theirs AS SELECT r.id AS other_id, me.id AS experiment_id,"
    " mt.id AS trace_id, ml.id AS library_id, r.allocator, r.policy, r.env, r.pass, r.mode,"
    " r.repeat, r.position, r.status, r.error, r.counting, r.put_unix_ns"
    " FROM other.run r JOIN other.experiment e ON e.id = r.experiment_id"
    " JOIN main.experiment me ON me.uuid = e.uuid"
    " LEFT JOIN other.trace t ON t.id = r.trace_id LEFT JOIN main.trace mt ON mt.sha256 = t.sha256"
    " LEFT JOIN other.library l ON l.id = r.library_id"
    " LEFT JOIN main.library ml ON ml.identity = l.identity;";

#define SAME_PLACE                                                                                 \
    " r.experiment_id = t.experiment_id AND r.pass = t.pass AND r.position = t.position"           \
    " AND r.repeat = t.repeat AND coalesce(r.trace_id, 0) = coalesce(t.trace_id, 0)"               \
    " AND r.allocator = t.allocator AND coalesce(r.policy, '') = coalesce(t.policy, '')"           \
    " AND coalesce(r.env, '') = coalesce(t.env, '')"

static const char count_contradictions[] =
    "SELECT count(*) FROM temp.theirs t JOIN main.run r ON" SAME_PLACE
    " WHERE r.status <> t.status OR r.mode <> t.mode OR r.library_id IS NOT t.library_id"
    " OR r.put_unix_ns <> t.put_unix_ns";

static const char merge_runs[] =
    "CREATE TEMP TABLE added AS SELECT t.other_id FROM temp.theirs t"
    " WHERE NOT EXISTS (SELECT 1 FROM main.run r WHERE" SAME_PLACE ");"
    "INSERT INTO main.run (experiment_id, trace_id, library_id, allocator, policy, env, pass, mode,"
    " repeat, position, status, error, counting, put_unix_ns)"
    " SELECT experiment_id, trace_id, library_id, allocator, policy, env, pass, mode, repeat,"
    " position, status, error, counting, put_unix_ns FROM temp.theirs"
    " WHERE other_id IN (SELECT other_id FROM temp.added) ORDER BY other_id;"
    "CREATE TEMP TABLE pair AS SELECT t.other_id, r.id AS run_id FROM temp.theirs t"
    " JOIN main.run r ON" SAME_PLACE " WHERE t.other_id IN (SELECT other_id FROM temp.added);"
    "INSERT INTO main.metric SELECT p.run_id, k.name, k.value, k.unit"
    " FROM temp.pair p JOIN other.metric k ON k.run_id = p.other_id;"
    "INSERT INTO main.syscall SELECT p.run_id, s.call, s.detail, s.calls, s.errors, s.bytes,"
    " s.kernel_ns FROM temp.pair p JOIN other.syscall s ON s.run_id = p.other_id;"
    "INSERT INTO main.sample SELECT p.run_id, s.seq, s.op, s.time_ns, s.resident_bytes,"
    " s.live_bytes, s.recorded_ns, s.lazy_free_bytes, s.huge_bytes"
    " FROM temp.pair p JOIN other.sample s ON s.run_id = p.other_id;"
    "INSERT INTO main.run_thread SELECT p.run_id, s.thread, s.ops, s.minor_faults, s.major_faults,"
    " s.syscalls, s.blocked_waits, s.end_ns"
    " FROM temp.pair p JOIN other.run_thread s ON s.run_id = p.other_id;"
    "INSERT INTO main.latency SELECT p.run_id, s.op, s.size_max_bytes, s.ops, s.p50_ns, s.p90_ns,"
    " s.p99_ns, s.p999_ns, s.max_ns, s.mean_ns"
    " FROM temp.pair p JOIN other.latency s ON s.run_id = p.other_id;"
    "INSERT INTO main.cause SELECT p.run_id, s.op, s.size_max_bytes, s.call, s.detail, s.calls,"
    " s.errors, s.bytes, s.kernel_ns, s.first_thread, s.first_op"
    " FROM temp.pair p JOIN other.cause s ON s.run_id = p.other_id;"
    "INSERT INTO main.slow_op SELECT p.run_id, s.thread, s.op, s.kind, s.size_bytes, s.latency_ns,"
    " s.minor_faults, s.major_faults, s.syscalls, s.syscall_ns"
    " FROM temp.pair p JOIN other.slow_op s ON s.run_id = p.other_id;"
    "INSERT INTO main.slow_call SELECT p.run_id, s.thread, s.op, s.call, s.detail, s.calls,"
    " s.errors, s.bytes, s.kernel_ns"
    " FROM temp.pair p JOIN other.slow_call s ON s.run_id = p.other_id;"
    "INSERT INTO main.oracle SELECT me.id, mt.id, o.kind, o.bytes, o.bound_ns, o.reachable_ns"
    " FROM other.oracle o JOIN other.experiment e ON e.id = o.experiment_id"
    " JOIN main.experiment me ON me.uuid = e.uuid JOIN other.trace t ON t.id = o.trace_id"
    " JOIN main.trace mt ON mt.sha256 = t.sha256 WHERE true ON CONFLICT DO NOTHING;"
    "DROP TABLE temp.theirs; DROP TABLE temp.added; DROP TABLE temp.pair;";

static int count_rows(struct hakd *db, struct hakd_merged *n, struct hakc_err *err) {
    int rc;
    if ((rc = hakd_query_int(db, "SELECT count(*) FROM main.experiment", &n->experiments, err)) ||
        (rc = hakd_query_int(db, "SELECT count(*) FROM main.run", &n->runs, err)) ||
        (rc = hakd_query_int(db, "SELECT count(*) FROM main.trace", &n->traces, err)) ||
        (rc = hakd_query_int(db, "SELECT count(*) FROM main.library", &n->libraries, err)))
        return rc;
    if ((rc = hakd_query_int(db, "SELECT count(*) FROM main.machine", &n->machines, err)))
        return rc;
    return hakd_query_int(db, "SELECT count(*) FROM main.study", &n->studies, err);
}

static int merge_rows(struct hakd *db, const char *other, struct hakd_merged *added,
                      struct hakc_err *err) {
    struct hakd_merged before, after;
    int64_t contradictions;
    int rc;
    if ((rc = count_rows(db, &before, err)) || (rc = hakd_exec(db, merge_heads, "merging", err)) ||
        (rc = hakd_exec(db, map_parents, "merging", err)) ||
        (rc = hakd_query_int(db, count_contradictions, &contradictions, err)))
        return rc;
    if (contradictions) {
        hakc_fail(err, HAKC_ECORRUPT,
                  "%lld runs differ from the same runs here: one of the files was edited; nothing "
                  "was merged",
                  (long long)contradictions);
        if (err)
            snprintf(err->file, sizeof err->file, "%s", other);
        return HAKC_ECORRUPT;
    }
    if ((rc = hakd_exec(db, merge_runs, "merging", err)) || (rc = count_rows(db, &after, err)))
        return rc;
    *added = (struct hakd_merged){.experiments = after.experiments - before.experiments,
                                  .runs = after.runs - before.runs,
                                  .traces = after.traces - before.traces,
                                  .libraries = after.libraries - before.libraries,
                                  .machines = after.machines - before.machines,
                                  .studies = after.studies - before.studies};
    return HAKC_OK;
}

static int attach(struct hakd *db, const char *other, const char *query, struct hakc_err *err) {
    char *uri = hakd_file_uri(other, query);
    char *sql = uri ? sqlite3_mprintf("ATTACH %Q AS other", uri) : NULL;
    int rc = sql ? hakd_exec(db, sql, "opening the other database", err)
                 : hakc_fail(err, HAKC_ENOMEM, "merging: out of memory");
    sqlite3_free(sql);
    sqlite3_free(uri);
    return rc;
}

int hakd_merge(struct hakd *db, const char *other, struct hakd_merged *added,
               struct hakc_err *err) {
    struct hakd *probe;
    struct stat a, b;
    *added = (struct hakd_merged){0};
    /* opening it on its own checks that it is ours and of our version, with good messages */
    int rc = hakd_open(&probe, other, HAKD_READ, err);
    if (rc)
        return rc;
    int immutable = sqlite3_uri_boolean(sqlite3_db_filename(probe->sql, "main"), "immutable", 0);
    hakd_close(probe);
    if (stat(sqlite3_db_filename(db->sql, "main"), &a) == 0 && stat(other, &b) == 0 &&
        a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return hakc_fail(err, HAKC_EUSAGE, "'%s' is the database to merge into", other);
    if ((rc = attach(db, other, immutable ? "immutable=1" : "mode=ro", err)))
        return rc;
    rc = hakd_begin(db, err);
    if (rc == HAKC_OK) {
        rc = merge_rows(db, other, added, err);
        if (rc == HAKC_OK)
            rc = hakd_commit(db, err);
        else
            hakd_rollback(db);
    }
    if (rc != HAKC_OK)
        *added = (struct hakd_merged){0};
    sqlite3_exec(db->sql, "DETACH other", NULL, NULL, NULL);
    return rc;
}
