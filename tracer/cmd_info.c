/* haktrace info: what a trace says about itself, and what a pass over its records shows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "common/map.h"
#include "common/out.h"
#include "tracer/commands.h"
#include "tracer/format/trace.h"

#define SCHEMA_VERSION 1
#define SIZE_CLASSES   65 /* 0, 1, 2..3, 4..7, ...: by the highest bit */

struct info_args {
    const char *file;
    int json;
};

/* What one pass over the records counts. */
struct scan {
    uint64_t ops_by_kind[HAKT_OP_COUNT];
    uint64_t ops, consumed, freed, handovers, freed_handovers, failed, foreign, implied, unfinished;
    uint64_t requested; /* bytes, of successful allocations */
    uint64_t count[SIZE_CLASSES], bytes[SIZE_CLASSES];
    struct hakc_map maker; /* live id → thread + 1 */
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
    "operations, frees by another thread than the one that allocated (hand-overs), sizes.\v"
    "A figure that the trace does not give is shown as \"–\" (null in JSON).",
    NULL,
    NULL,
    NULL};

static int scan_record(struct scan *s, const struct hakt_rec *r) {
    uint64_t maker;
    s->ops_by_kind[r->op]++;
    s->ops += r->op != HAKT_THREAD_START && r->op != HAKT_THREAD_END;
    s->failed += (r->flags & HAKT_REC_FAILED) != 0;
    s->foreign += (r->flags & HAKT_REC_FOREIGN) != 0;
    s->implied += (r->flags & HAKT_REC_IMPLIED) != 0;
    s->unfinished += (r->flags & HAKT_REC_UNFINISHED) != 0;
    if (r->old_id != 0 && !(r->flags & HAKT_REC_FAILED) &&
        hakc_map_take(&s->maker, r->old_id, &maker)) {
        s->consumed++;
        int other = maker != (uint64_t)r->thread + 1;
        s->handovers += (unsigned)other;
        if (r->op == HAKT_FREE) {
            s->freed++;
            s->freed_handovers += (unsigned)other;
        }
    }
    if (r->id == 0)
        return 0;
    unsigned class = r->size == 0 ? 0 : 64 - (unsigned)__builtin_clzll(r->size);
    s->count[class]++;
    s->bytes[class] += r->size;
    s->requested += r->size;
    return hakc_map_put(&s->maker, r->id, (uint64_t)r->thread + 1);
}

static int scan(struct hakt_reader *r, struct scan *s, struct hakc_err *err) {
    const struct hakt_rec *recs;
    size_t n;
    int rc;
    if (hakc_map_init(&s->maker, 0) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects");
    while ((rc = hakt_reader_next(r, &recs, &n, err)) == 0 && n > 0) {
        for (size_t i = 0; i < n; i++) {
            if (scan_record(s, &recs[i]) != 0)
                return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects");
        }
    }
    return rc;
}

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

static void put_handovers(struct hakc_out *o, const struct hakt_info *info, const struct scan *s) {
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
                       const struct hakt_totals *t, const struct scan *s, uint64_t file_bytes) {
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
    hakc_out_uint(o, "live_at_end", "never freed", hakc_map_count(&s->maker));
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

static void put_lists(struct hakc_out *o, const struct scan *s) {
    static const struct hakc_col ops[] = {{"op", "op", HAKC_COL_STR, 0},
                                          {"count", "count", HAKC_COL_INT, 0},
                                          {"percent", "%", HAKC_COL_FLOAT, 2}};
    static const struct hakc_col sizes[] = {{"from_bytes", "size from (B)", HAKC_COL_INT, 0},
                                            {"to_bytes", "to (B)", HAKC_COL_INT, 0},
                                            {"count", "allocations", HAKC_COL_INT, 0},
                                            {"percent", "%", HAKC_COL_FLOAT, 2},
                                            {"requested_bytes", "asked for", HAKC_COL_BYTES, 0}};
    uint64_t allocations = 0;
    hakc_out_list(o, "ops_by_kind", "Operations", ops, 3);
    for (unsigned op = 0; op < HAKT_OP_COUNT; op++) {
        int marker = op == HAKT_THREAD_START || op == HAKT_THREAD_END;
        if (s->ops_by_kind[op] == 0)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, hakt_op_name(op));
        hakc_out_cell_uint(o, s->ops_by_kind[op]);
        if (marker)
            hakc_out_cell_null(o);
        else
            hakc_out_cell_float(o, 100.0 * (double)s->ops_by_kind[op] / (double)s->ops);
    }
    hakc_out_list_end(o);

    for (unsigned c = 0; c < SIZE_CLASSES; c++)
        allocations += s->count[c];
    hakc_out_list(o, "sizes", "Sizes asked for", sizes, 5);
    for (unsigned c = 0; c < SIZE_CLASSES; c++) {
        if (s->count[c] == 0)
            continue;
        uint64_t low = c == 0 ? 0 : (uint64_t)1 << (c - 1);
        hakc_out_row(o);
        hakc_out_cell_uint(o, low);
        hakc_out_cell_uint(o, c == 0 ? 0 : low + (low - 1));
        hakc_out_cell_uint(o, s->count[c]);
        hakc_out_cell_float(o, 100.0 * (double)s->count[c] / (double)allocations);
        hakc_out_cell_uint(o, s->bytes[c]);
    }
    hakc_out_list_end(o);
}

static int print_info(const struct info_args *a, struct hakt_reader *r, const struct scan *s,
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
    put_lists(o, s);
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
    struct scan s = {0};
    struct hakt_reader *r;
    struct hakc_err err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (hakt_reader_open(&r, a.file, &err) != 0)
        return hakt_cmd_fail(&err);
    int rc = scan(r, &s, &err);
    if (rc == 0)
        rc = print_info(&a, r, &s, &err);
    hakc_map_fini(&s.maker);
    hakt_reader_close(r);
    return rc == 0 ? 0 : hakt_cmd_fail(&err);
}
