/* haktrace info: what a trace says about itself, and what a pass over its records shows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "common/out.h"
#include "tracer/commands.h"
#include "tracer/format/trace.h"
#include "tracer/info_lists.h"

#define SCHEMA_VERSION 1
#define TABLE_ROWS     16 /* of threads and hand-overs; JSON has all */

struct info_args {
    const char *file;
    int json;
};

static const struct argp_option options[] = {{"json", 'j', NULL, 0, "Print JSON", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct info_args *a = state->input;
    switch (key) {
    case 'j':
        a->json = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (a->file != NULL)
            argp_error(state, "more than one trace: '%s'", arg);
        a->file = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "TRACE",
    "Prints what a trace holds: where it comes from, what it can be trusted for, totals, "
    "operations, sizes, lifetimes, threads, and what one thread allocates and another gives back "
    "(hand-overs).\v"
    "A lifetime is the time, and the number of records, from an allocation to the free or realloc "
    "that ends it; what is never freed has none. The table shows the 16 busiest threads and "
    "hand-overs, JSON all of them. A figure that the trace does not give is shown as \"–\" (null "
    "in JSON).",
    NULL,
    NULL,
    NULL};

static void put_text(struct hakc_out *o, const char *key, const char *label, const char *v) {
    if (v[0] != '\0')
        hakc_out_str(o, key, label, v);
    else
        hakc_out_null(o, key, label);
}

/* A total, which a trace without a trailer may not know. */
static void put_count(struct hakc_out *o, const char *key, const char *label, uint64_t v) {
    if (v != UINT64_MAX)
        hakc_out_uint(o, key, label, v);
    else
        hakc_out_null(o, key, label);
}

static void put_start(struct hakc_out *o, uint64_t unix_ns) {
    char text[64] = "";
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    struct tm tm;
    size_t n = 0;
    if (unix_ns != 0 && gmtime_r(&seconds, &tm) != NULL)
        n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    if (n > 0)
        snprintf(text + n, sizeof(text) - n, ".%09" PRIu64 "Z", unix_ns % 1000000000u);
    put_text(o, "start", "started", text);
}

static void put_end(struct hakc_out *o, const struct hakt_totals *t) {
    static const char *const words[] = {
        [HAKT_END_UNKNOWN] = "unknown",
        [HAKT_END_EXIT] = "the program exited",
        [HAKT_END_KILLED] = "the program was killed by a signal",
        [HAKT_END_STOPPED] = "the recording was stopped",
        [HAKT_END_LIMIT] = "a limit, or a full disk",
    };
    hakc_out_str(o, "end", "ended by", words[t->end_reason <= HAKT_END_LIMIT ? t->end_reason : 0]);
    int known = t->exit_status != UINT32_MAX, status = (int)t->exit_status;
    if (known && WIFEXITED(status))
        hakc_out_int(o, "exit_code", "exit code", WEXITSTATUS(status));
    else
        hakc_out_null(o, "exit_code", "");
    if (known && WIFSIGNALED(status))
        hakc_out_int(o, "signal", "signal", WTERMSIG(status));
    else
        hakc_out_null(o, "signal", "");
}

static void put_origin(struct hakc_out *o, const char *file, const struct hakt_info *info) {
    hakc_out_str(o, "file", "trace", file);
    put_text(o, "command", "command", info->command);
    put_text(o, "source", "made from", info->source);
    put_text(o, "host", "host", info->host);
    if (info->pid != 0)
        hakc_out_uint(o, "pid", "process", info->pid);
    else
        hakc_out_null(o, "pid", "process");
    put_start(o, info->start_unix_ns);
    put_text(o, "clock", "clock", info->clock);
    if (info->page_size != 0)
        hakc_out_bytes(o, "page_size_bytes", "page size", info->page_size);
    else
        hakc_out_null(o, "page_size_bytes", "page size");
    put_text(o, "tool", "written by", info->tool);
    hakc_out_uint(o, "format_version", "format version", info->version);
}

static void put_fidelity(struct hakc_out *o, uint32_t fidelity) {
    static const struct {
        uint32_t flag;
        const char *key, *label;
    } flags[] = {
        {HAKT_HAS_TIMES, "times", "times are real"},
        {HAKT_HAS_THREADS, "threads", "threads are real"},
        {HAKT_PACED_TIMES, "paced_times", "interpolated in bursts"},
        {HAKT_EXACT_SIZES, "exact_sizes", "sizes as asked for"},
        {HAKT_EXACT_IDS, "exact_ids", "frees matched exactly"},
        {HAKT_WHOLE_LIFE, "whole_life", "from the first op on"},
        {HAKT_IMPORTED, "imported", "imported"},
        {HAKT_GENERATED, "generated", "generated"},
    };
    hakc_out_section(o, "fidelity", "What it can be trusted for");
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        hakc_out_bool(o, flags[i].key, flags[i].label, (fidelity & flags[i].flag) != 0);
    hakc_out_section_end(o);
}

static void put_handovers(struct hakc_out *o, const struct hakt_info *info,
                          const struct hakt_scan *s) {
    int threads = (info->fidelity & HAKT_HAS_THREADS) != 0;
    hakc_out_section(o, "handovers", "Hand-overs (allocated by one thread, given up by another)");
    if (threads) {
        hakc_out_uint(o, "by_free", "by free", s->freed_handovers);
        hakc_out_uint(o, "by_realloc", "by realloc", s->handovers - s->freed_handovers);
    } else {
        hakc_out_null(o, "by_free", "by free");
        hakc_out_null(o, "by_realloc", "by realloc");
    }
    if (threads && s->freed > 0)
        hakc_out_float(o, "percent_of_frees", "percent of frees",
                       100.0 * (double)s->freed_handovers / (double)s->freed, 2);
    else
        hakc_out_null(o, "percent_of_frees", "percent of frees");
    hakc_out_section_end(o);
}

static void put_totals(struct hakc_out *o, const struct hakt_info *info,
                       const struct hakt_totals *t, const struct hakt_scan *s,
                       uint64_t file_bytes) {
    hakc_out_section(o, "totals", "Totals");
    hakc_out_uint(o, "records", "records", t->records);
    hakc_out_uint(o, "ops", "ops", s->ops);
    hakc_out_uint(o, "threads", "threads", t->threads);
    if (info->fidelity & HAKT_HAS_TIMES)
        hakc_out_duration(o, "duration_ns", "duration", t->end_time);
    else
        hakc_out_null(o, "duration_ns", "duration");
    hakc_out_uint(o, "allocations", "allocations", t->allocs);
    hakc_out_uint(o, "requested_bytes", "bytes asked for", s->requested);
    hakc_out_uint(o, "freed", "freed or reallocated", s->consumed);
    hakc_out_uint(o, "live_at_end", "never freed", s->live_at_end);
    if (t->peak_live_bytes != UINT64_MAX)
        hakc_out_bytes(o, "peak_live_bytes", "peak live bytes", t->peak_live_bytes);
    else
        hakc_out_null(o, "peak_live_bytes", "peak live bytes");
    put_count(o, "peak_live_objects", "peak live objects", t->peak_live_objects);
    hakc_out_uint(o, "failed", "failed allocations", s->failed);
    hakc_out_uint(o, "foreign", "foreign pointers", s->foreign);
    hakc_out_uint(o, "implied_frees", "implied frees", s->implied);
    hakc_out_uint(o, "unfinished", "unfinished reallocs", s->unfinished);
    put_count(o, "dropped", "ops lost in recording", t->dropped);
    if (t->stamped != 0 && t->stamped != UINT64_MAX)
        put_count(o, "stamped", "stamped by the clock", t->stamped);
    put_end(o, t);
    hakc_out_section_end(o);

    put_handovers(o, info, s);

    hakc_out_section(o, "storage", "File");
    hakc_out_uint(o, "file_bytes", "bytes", file_bytes);
    hakc_out_uint(o, "chunks", "chunks", t->chunks);
    if (s->ops > 0)
        hakc_out_float(o, "bytes_per_op", "bytes per op", (double)file_bytes / (double)s->ops, 3);
    else
        hakc_out_null(o, "bytes_per_op", "bytes per op");
    hakc_out_section_end(o);
}

static int print_info(const struct info_args *a, struct hakt_reader *r, const struct hakt_scan *s,
                      struct hakc_err *err) {
    struct hakc_out *o;
    struct stat st;
    int rebuilt;
    const struct hakt_totals *t = hakt_reader_totals(r, &rebuilt);
    const struct hakt_info *info = hakt_reader_info(r);
    if (stat(a->file, &st) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "cannot read %s", a->file);
    int rc =
        hakc_out_open(&o, stdout, a->json ? HAKC_OUT_JSON : HAKC_OUT_TABLE, SCHEMA_VERSION, err);
    if (rc != 0)
        return rc;
    put_origin(o, a->file, info);
    hakc_out_bool(o, "complete", "complete", !rebuilt);
    put_fidelity(o, info->fidelity);
    put_totals(o, info, t, s, (uint64_t)st.st_size);
    rc = hakt_put_scan(o, info, s, a->json ? SIZE_MAX : TABLE_ROWS, err);
    if (rc != 0) {
        hakc_out_abandon(o);
        return rc;
    }
    if (rebuilt)
        hakc_out_note(o, "The trace has no trailer: its recorder was killed, or the file is cut. "
                         "What is shown holds for the whole chunks that are there.");
    if (t->dropped != 0 && t->dropped != UINT64_MAX)
        hakc_out_note(o, "%" PRIu64 " ops are missing: they were lost while recording.",
                      t->dropped);
    return hakc_out_close(o, err);
}

int hakt_cmd_info(int argc, char **argv) {
    struct info_args a = {0};
    struct hakt_reader *r;
    struct hakc_err err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (hakt_reader_open(&r, a.file, &err) != 0)
        return hakt_cmd_fail(&err);
    struct hakt_scan *s = hakt_scan_new();
    int rc = s != NULL ? hakt_scan_run(s, r, &err)
                       : hakc_fail(&err, HAKC_ENOMEM, "no memory for looking at a trace");
    if (rc == 0)
        rc = print_info(&a, r, s, &err);
    hakt_scan_free(s);
    hakt_reader_close(r);
    return rc == 0 ? 0 : hakt_cmd_fail(&err);
}
