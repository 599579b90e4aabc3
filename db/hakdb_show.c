/* All about one run, up to its trace, library and machine. */
#include "db/hakdb.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/units.h"

void hakdb_show_value(double v, const char *unit, char *buf, unsigned len) {
    char text[HAKC_UNIT_LEN];
    int whole = v >= 0 && v < 1e18;
    if (strcmp(unit, "ns") == 0 && whole)
        snprintf(buf, len, "%s", hakc_format_duration(text, (uint64_t)llround(v)));
    else if (strcmp(unit, "bytes") == 0 && whole)
        snprintf(buf, len, "%s", hakc_format_bytes(text, (uint64_t)llround(v)));
    else if (v == floor(v) && fabs(v) < 1e15)
        snprintf(buf, len, "%.0f %s", v, unit);
    else
        snprintf(buf, len, "%.2f %s", v, unit);
}

/* How a column of a section is shown. */
struct field {
    const char *key, *label;
    enum hakc_col_type type;
};

static void put_field(struct hakc_out *o, sqlite3_stmt *st, int i, const struct field *f) {
    int type = sqlite3_column_type(st, i);
    if (type == SQLITE_NULL)
        hakc_out_null(o, f->key, f->label);
    else if (type == SQLITE_TEXT)
        hakc_out_str(o, f->key, f->label, (const char *)sqlite3_column_text(st, i));
    else if (f->type == HAKC_COL_BYTES)
        hakc_out_bytes(o, f->key, f->label, (uint64_t)sqlite3_column_int64(st, i));
    else if (f->type == HAKC_COL_DURATION)
        hakc_out_duration(o, f->key, f->label, (uint64_t)sqlite3_column_int64(st, i));
    else
        hakc_out_int(o, f->key, f->label, sqlite3_column_int64(st, i));
}

/* One row as a section; nothing if there is no row (a benchmark has no trace). */
static int put_section(struct hakdb *h, const char *run, const char *sql, const char *key,
                       const char *title, const struct field *fields, int *found) {
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h, sql, &run, 1, &st);
    if (rc)
        return rc;
    int step = sqlite3_step(st);
    *found = step == SQLITE_ROW;
    if (step == SQLITE_ROW) {
        hakc_out_section(h->out, key, title);
        for (int i = 0; i < sqlite3_column_count(st); i++)
            put_field(h->out, st, i, &fields[i]);
        hakc_out_section_end(h->out);
    } else if (step != SQLITE_DONE) {
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    }
    sqlite3_finalize(st);
    return rc;
}

static const struct field run_fields[] = {
    {"id", "run", 0},
    {"allocator", NULL, 0},
    {"policy", NULL, 0},
    {"env", NULL, 0},
    {"pass", NULL, 0},
    {"mode", NULL, 0},
    {"repeat", NULL, 0},
    {"position", NULL, 0},
    {"status", NULL, 0},
    {"error", NULL, 0},
    {"counting", "calls counted by", 0},
    {"put_utc", "stored (UTC)", 0},
};
static const char run_sql[] =
    "SELECT id, allocator, policy, env, pass, mode, repeat, position, status, error, counting,"
    " utc(put_unix_ns)"
    " FROM run WHERE id = CAST(?1 AS INTEGER)";

static const struct field experiment_fields[] = {
    {"id", "experiment", 0},
    {"uuid", NULL, 0},
    {"tool", NULL, 0},
    {"tool_version", "version", 0},
    {"args", "command", 0},
    {"seed", NULL, 0},
    {"state", NULL, 0},
    {"started_utc", "started (UTC)", 0},
    {"took_ns", "took", HAKC_COL_DURATION},
};
static const char experiment_sql[] =
    "SELECT e.id, uuid, tool, tool_version, args, seed,"
    " state_now(e.state, e.writer, (SELECT identity FROM machine m WHERE m.id = e.machine_id)),"
    " utc(started_unix_ns),"
    " finished_unix_ns - started_unix_ns FROM experiment e JOIN run r ON r.experiment_id = e.id"
    " WHERE r.id = CAST(?1 AS INTEGER)";

static const struct field trace_fields[] = {
    {"id", "trace", 0},
    {"path", NULL, 0},
    {"sha256", NULL, 0},
    {"command", NULL, 0},
    {"host", NULL, 0},
    {"tool", NULL, 0},
    {"source", NULL, 0},
    {"clock", NULL, 0},
    {"format_version", "format version", 0},
    {"fidelity", "fidelity flags", 0},
    {"ops", NULL, 0},
    {"allocs", "allocations", 0},
    {"threads", NULL, 0},
    {"duration_ns", "duration", HAKC_COL_DURATION},
    {"dropped", NULL, 0},
    {"peak_live_bytes", "peak live", HAKC_COL_BYTES},
    {"peak_live_objects", "peak live objects", 0},
};
static const char trace_sql[] =
    "SELECT t.id, path, sha256, command, host, tool, source, clock, version, fidelity, ops, allocs,"
    " threads, duration_ns, dropped, peak_live_bytes, peak_live_objects"
    " FROM trace t JOIN run r ON r.trace_id = t.id WHERE r.id = CAST(?1 AS INTEGER)";

static const struct field library_fields[] = {
    {"id", "library", 0}, {"name", NULL, 0},           {"version", NULL, 0},
    {"path", NULL, 0},    {"build_id", "build id", 0}, {"sha256", NULL, 0},
};
static const char library_sql[] =
    "SELECT l.id, name, version, path, build_id, sha256"
    " FROM library l JOIN run r ON r.library_id = l.id WHERE r.id = CAST(?1 AS INTEGER)";

static const struct field machine_fields[] = {
    {"id", "machine", 0},
    {"hostname", "host", 0},
    {"cpu_model", "CPU", 0},
    {"cpu_vendor", "CPU vendor", 0},
    {"arch", "architecture", 0},
    {"cpus_online", "CPUs online", 0},
    {"cpus_configured", "CPUs configured", 0},
    {"memory_bytes", "memory", HAKC_COL_BYTES},
    {"page_size", "page size", HAKC_COL_BYTES},
    {"kernel", NULL, 0},
    {"kernel_build", "kernel build", 0},
    {"thp", "transparent huge pages", 0},
    {"governor", NULL, 0},
    {"clocksource", "clock source", 0},
    {"hypervisor", "under a hypervisor", 0},
    {"libc", NULL, 0},
    {"identity", NULL, 0},
};
static const char machine_sql[] =
    "SELECT m.id, hostname, cpu_model, cpu_vendor, arch, cpus_online, cpus_configured,"
    " memory_bytes, page_size, kernel, kernel_build, thp, governor, clocksource, hypervisor, libc,"
    " identity FROM machine m JOIN experiment e ON e.machine_id = m.id"
    " JOIN run r ON r.experiment_id = e.id WHERE r.id = CAST(?1 AS INTEGER)";

static int put_metrics(struct hakdb *h, const char *run) {
    static const struct hakc_col cols[] = {{"name", "figure", HAKC_COL_STR, 0},
                                           {"value", NULL, HAKC_COL_SHOWN, 0},
                                           {"unit", NULL, HAKC_COL_STR, 0}};
    sqlite3_stmt *st;
    int step, rc = hakdb_prepare(h,
                                 "SELECT name, value, unit FROM metric WHERE run_id ="
                                 " CAST(?1 AS INTEGER) ORDER BY name",
                                 &run, 1, &st);
    if (rc)
        return rc;
    /* a table carries the unit in the value */
    hakc_out_list(h->out, "metrics", "Figures", cols, h->opt->format == HAKC_OUT_TABLE ? 2 : 3);
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        char shown[64];
        double v = sqlite3_column_double(st, 1);
        const char *unit = (const char *)sqlite3_column_text(st, 2);
        hakdb_show_value(v, unit, shown, sizeof shown);
        hakc_out_row(h->out);
        hakc_out_cell_str(h->out, (const char *)sqlite3_column_text(st, 0));
        hakc_out_cell_shown(h->out, v, shown);
        if (h->opt->format != HAKC_OUT_TABLE)
            hakc_out_cell_str(h->out, unit);
    }
    if (step == SQLITE_DONE)
        hakc_out_list_end(h->out);
    else
        rc = hakd_sql_error(h->db, "reading the database", h->err);
    sqlite3_finalize(st);
    return rc;
}

static int put_syscalls(struct hakdb *h, const char *run) {
    static const struct hakc_col cols[] = {
        {"call", NULL, HAKC_COL_STR, 0},    {"detail", NULL, HAKC_COL_STR, 0},
        {"calls", NULL, HAKC_COL_INT, 0},   {"errors", NULL, HAKC_COL_INT, 0},
        {"bytes", NULL, HAKC_COL_BYTES, 0}, {"kernel_ns", "kernel time", HAKC_COL_DURATION, 0},
    };
    sqlite3_stmt *st;
    int rc = hakdb_prepare(h,
                           "SELECT call, detail, calls, errors, bytes, kernel_ns FROM syscall"
                           " WHERE run_id = CAST(?1 AS INTEGER) ORDER BY calls DESC, call, detail",
                           &run, 1, &st);
    return rc ? rc : hakdb_put_list(h, st, "syscalls", "Memory system calls", cols, 6, NULL);
}

static int put_slowest(struct hakdb *h, const char *run) {
    static const struct hakc_col cols[] = {
        {"thread", NULL, HAKC_COL_INT, 0},
        {"op", NULL, HAKC_COL_INT, 0},
        {"kind", NULL, HAKC_COL_STR, 0},
        {"size_bytes", "size", HAKC_COL_BYTES, 0},
        {"latency_ns", "took", HAKC_COL_DURATION, 0},
        {"minor_faults", "faults", HAKC_COL_INT, 0},
        {"inside", "calls inside", HAKC_COL_STR, 0},
    };
    sqlite3_stmt *st;
    int64_t n;
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM slow_op WHERE run_id = %s", run);
    int rc = hakd_query_int(h->db, sql, &n, h->err);
    if (rc || n == 0)
        return rc;
    rc =
        hakdb_prepare(h,
                      "SELECT thread, op, kind, size_bytes, latency_ns, minor_faults, inside"
                      " FROM v_slow_op WHERE run_id = CAST(?1 AS INTEGER) ORDER BY latency_ns DESC",
                      &run, 1, &st);
    return rc ? rc : hakdb_put_list(h, st, "slowest", "Slowest ops", cols, 7, NULL);
}

/* A terminal gets the count; a program gets the curve. */
static int put_samples(struct hakdb *h, const char *run) {
    static const struct hakc_col cols[] = {{"op", NULL, HAKC_COL_INT, 0},
                                           {"time_ns", NULL, HAKC_COL_DURATION, 0},
                                           {"resident_bytes", NULL, HAKC_COL_BYTES, 0},
                                           {"live_bytes", NULL, HAKC_COL_BYTES, 0},
                                           {"recorded_ns", NULL, HAKC_COL_DURATION, 0},
                                           {"lazy_free_bytes", NULL, HAKC_COL_BYTES, 0},
                                           {"huge_bytes", NULL, HAKC_COL_BYTES, 0}};
    sqlite3_stmt *st;
    int rc;
    if (h->opt->format == HAKC_OUT_TABLE) {
        char sql[128];
        int64_t n;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM sample WHERE run_id = %s", run);
        rc = hakd_query_int(h->db, sql, &n, h->err);
        if (rc == HAKC_OK && n > 0)
            hakc_out_note(h->out,
                          "%" PRId64 " samples of memory: hakdb sql 'SELECT * FROM v_memory WHERE "
                          "run_id = %s'",
                          n, run);
        return rc;
    }
    rc = hakdb_prepare(
        h,
        "SELECT op, time_ns, resident_bytes, live_bytes, recorded_ns,"
        " lazy_free_bytes, huge_bytes FROM sample WHERE run_id = CAST(?1 AS INTEGER) ORDER BY seq",
        &run, 1, &st);
    return rc ? rc : hakdb_put_list(h, st, "samples", NULL, cols, 7, NULL);
}

int hakdb_show(struct hakdb *h) {
    char run[24];
    int64_t id;
    int found, rc;
    if (!hakdb_parse_id(h->opt->args[0], &id))
        return hakc_fail(h->err, HAKC_EUSAGE,
                         "'%s' is not a run; give its number from 'hakdb runs'", h->opt->args[0]);
    snprintf(run, sizeof run, "%" PRId64, id);
    if ((rc = put_section(h, run, run_sql, "run", "Run", run_fields, &found)))
        return rc;
    if (!found)
        return hakc_fail(h->err, HAKC_ENOENT, "there is no run %s; see 'hakdb runs'", run);
    if ((rc = put_metrics(h, run)) || (rc = put_syscalls(h, run)) || (rc = put_slowest(h, run)) ||
        (rc = put_section(h, run, experiment_sql, "experiment", "Experiment", experiment_fields,
                          &found)) ||
        (rc = put_section(h, run, trace_sql, "trace", "Trace", trace_fields, &found)) ||
        (rc = put_section(h, run, library_sql, "library", "Library", library_fields, &found)) ||
        (rc = put_section(h, run, machine_sql, "machine", "Machine", machine_fields, &found)))
        return rc;
    return put_samples(h, run);
}
