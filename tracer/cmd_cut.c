/* haktrace cut: a part of a trace as a trace. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "common/map.h"
#include "tracer/commands.h"
#include "tracer/format/trace.h"

#define CUT_LEVEL    12
#define THREAD_LIMIT (1u << 20) /* of the format */

enum { OPT_FROM = 256, OPT_COUNT, OPT_FROM_TIME, OPT_TO_TIME, OPT_LEVEL };

static const struct argp_option options[] = {
    {"from", OPT_FROM, "RECORD", 0, "Begin at this record (the first is 0)", 0},
    {"count", OPT_COUNT, "N", 0, "Look at no more than N records from there", 0},
    {"from-time", OPT_FROM_TIME, "NS", 0, "Begin at this time", 0},
    {"to-time", OPT_TO_TIME, "NS", 0, "End before this time", 0},
    {"threads", 't', "LIST", 0, "Only these threads, such as 0,3,5-9", 0},
    {"output", 'o', "FILE", 0, "The trace to write (\"-\" = standard output)", 0},
    {"level", OPT_LEVEL, "1..22", 0, "Compression level of zstd (12)", 0},
    {0}};

struct cut_args {
    const char *input, *output, *threads;
    uint64_t from, count, from_time, to_time;
    int by_time, level;
};

struct cut {
    const struct cut_args *args;
    struct hakt_writer *w;
    struct hakt_reader *r;
    uint8_t *wanted;         /* by thread number, THREAD_LIMIT of them; NULL = all */
    struct hakc_map ids;     /* the source's id -> ours, of what lives */
    struct hakc_map threads; /* the source's number + 1 -> ours */
    uint64_t time0;          /* of the first record taken */
    uint64_t taken;
    int to_the_end; /* the source's last record was looked at */
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct cut_args *a = state->input;
    switch (key) {
    case OPT_FROM:
        a->from = hakt_cmd_number(state, "--from", arg, 0, UINT64_MAX);
        return 0;
    case OPT_COUNT:
        a->count = hakt_cmd_number(state, "--count", arg, 0, UINT64_MAX);
        return 0;
    case OPT_FROM_TIME:
        a->from_time = hakt_cmd_number(state, "--from-time", arg, 0, UINT64_MAX);
        a->by_time = 1;
        return 0;
    case OPT_TO_TIME:
        a->to_time = hakt_cmd_number(state, "--to-time", arg, 0, UINT64_MAX);
        a->by_time = 1;
        return 0;
    case OPT_LEVEL:
        a->level = (int)hakt_cmd_number(state, "--level", arg, 1, 22);
        return 0;
    case 't':
        a->threads = arg;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->input != NULL)
            argp_error(state, "more than one trace: '%s'", arg);
        a->input = arg;
        return 0;
    case ARGP_KEY_END:
        if (a->input == NULL)
            argp_usage(state);
        if (a->output == NULL)
            argp_error(state, "no output file given (-o FILE)");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "-o TRACE TRACE",
    "Writes a part of a trace as a trace: a stretch of records, of time, or some threads.\v"
    "A record is taken if all that is given holds for it. Ids and threads are numbered anew, and "
    "times count from the first record taken. Of an allocation that was left out nothing is known: "
    "a free or realloc of it is marked as foreign. What is freed by a record that was left out "
    "lives to the end. The new trace claims to hold the whole life of the process only if nothing "
    "was left out before its end.",
    NULL,
    NULL,
    NULL};

/* "0,3,5-9". */
static int parse_threads(struct cut *c, const char *list, struct hakc_err *err) {
    c->wanted = calloc(THREAD_LIMIT, 1);
    if (c->wanted == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the list of threads");
    for (const char *s = list;; s++) {
        char *end;
        unsigned long from = strtoul(s, &end, 10), to = from;
        int ok = end != s && *s >= '0' && *s <= '9';
        if (ok && *end == '-') {
            s = end + 1;
            to = strtoul(s, &end, 10);
            ok = end != s && *s >= '0' && *s <= '9';
        }
        if (!ok || (*end != ',' && *end != '\0') || from > to || to >= THREAD_LIMIT)
            return hakc_fail(err, HAKC_EUSAGE, "--threads: '%s' is not a list such as 0,3,5-9",
                             list);
        memset(c->wanted + from, 1, to - from + 1);
        s = end;
        if (*s == '\0')
            return 0;
    }
}

static int no_memory(struct hakc_err *err) {
    return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects of the cut");
}

/* The old id in the new trace. */
static void translate_old(struct cut *c, struct hakt_rec *rec) {
    uint64_t *known = hakc_map_find(&c->ids, rec->old_id), id = rec->old_id;
    rec->old_id = known != NULL ? *known : 0;
    if (known == NULL)
        rec->flags |= HAKT_REC_FOREIGN;
    else if (!(rec->flags & HAKT_REC_FAILED))
        hakc_map_take(&c->ids, id, NULL);
}

static int take(struct cut *c, const struct hakt_rec *source, struct hakc_err *err) {
    struct hakt_rec rec = *source;
    uint64_t *thread = hakc_map_find(&c->threads, (uint64_t)rec.thread + 1);
    if (rec.old_id != 0)
        translate_old(c, &rec);
    /* An implied free says that some object is gone: of an unknown one it says nothing. */
    if ((rec.flags & HAKT_REC_IMPLIED) && (rec.flags & HAKT_REC_FOREIGN))
        return 0;
    if (c->taken++ == 0)
        c->time0 = rec.time;
    rec.time -= c->time0;
    if (thread != NULL) {
        rec.thread = (uint32_t)*thread;
    } else {
        uint32_t number = (uint32_t)hakc_map_count(&c->threads);
        if (hakc_map_put(&c->threads, (uint64_t)rec.thread + 1, number) != 0)
            return no_memory(err);
        rec.thread = number;
    }
    if (rec.id != 0) {
        rec.id = hakt_writer_next_id(c->w);
        if (hakc_map_put(&c->ids, source->id, rec.id) != 0)
            return no_memory(err);
    }
    return hakt_write(c->w, &rec, err);
}

/* Takes from the records of a chunk; *done = 1 behind the last that can be wanted. */
static int take_chunk(struct cut *c, const struct hakt_rec *recs, size_t n, uint64_t number,
                      int *done, struct hakc_err *err) {
    const struct cut_args *a = c->args;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_rec *r = &recs[i];
        if (number + i < a->from || r->time < a->from_time)
            continue;
        *done = number + i - a->from >= a->count || r->time >= a->to_time;
        if (*done)
            return 0;
        if (c->wanted != NULL && !c->wanted[r->thread])
            continue;
        int rc = take(c, r, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int take_all(struct cut *c, struct hakc_err *err) {
    const struct hakt_rec *recs;
    uint64_t number = 0, later = 0;
    size_t n;
    int done = 0;
    int rc = hakt_reader_seek_record(c->r, c->args->from, &number, err);
    if (rc == 0 && c->args->from_time > 0) {
        rc = hakt_reader_seek_time(c->r, c->args->from_time, &later, err);
        if (rc == 0 && later < number)
            rc = hakt_reader_seek_record(c->r, c->args->from, &number, err);
        else
            number = later;
    }
    while (rc == 0 && !done && (rc = hakt_reader_next(c->r, &recs, &n, err)) == 0 && n > 0) {
        rc = take_chunk(c, recs, n, number, &done, err);
        number += n;
    }
    c->to_the_end = rc == 0 && !done;
    return rc;
}

/* What the header says before the first record is known: the start is that of the time asked for,
 * or of the first record taken. */
static int open_output(struct cut *c, struct hakc_err *err) {
    struct hakt_info info = *hakt_reader_info(c->r);
    char source[600];
    snprintf(source, sizeof(source), "haktrace cut: %s", c->args->input);
    if (c->args->from > 0 || c->args->from_time > 0 || c->wanted != NULL) {
        info.fidelity &= ~(unsigned)HAKT_WHOLE_LIFE;
        info.start_unix_ns = 0; /* time 0 is another moment */
    }
    info.source = source;
    info.tool = "haktrace " HAK_VERSION;
    return hakt_writer_open(&c->w, c->args->output, &info, c->args->level, err);
}

static int cut_opened(struct cut *c, struct hakt_totals *totals, struct hakc_err *err) {
    const struct hakt_totals *source = hakt_reader_totals(c->r, NULL);
    if (c->args->by_time && !(hakt_reader_info(c->r)->fidelity & HAKT_HAS_TIMES))
        return hakc_fail(err, HAKC_EUSAGE, "%s has no times: cut it by --from and --count",
                         c->args->input);
    int rc = open_output(c, err);
    if (rc != 0)
        return rc;
    rc = take_all(c, err);
    struct hakt_totals end = {.dropped = source->dropped != UINT64_MAX ? source->dropped : 0,
                              .end_reason = HAKT_END_STOPPED,
                              .exit_status = UINT32_MAX};
    if (c->to_the_end) {
        end.end_reason = source->end_reason;
        end.exit_status = source->exit_status;
    }
    int closed = hakt_writer_close(c->w, &end, totals, rc == 0 ? err : NULL);
    return rc != 0 ? rc : closed;
}

static int same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int cut(const struct cut_args *a, struct hakt_totals *totals, struct hakc_err *err) {
    struct cut c = {.args = a};
    int rc = a->threads != NULL ? parse_threads(&c, a->threads, err) : 0;
    if (rc == 0 && same_file(a->input, a->output))
        rc = hakc_fail(err, HAKC_EUSAGE, "input and output are the same file: %s", a->output);
    if (rc == 0 && (hakc_map_init(&c.ids, 0) != 0 || hakc_map_init(&c.threads, 0) != 0))
        rc = no_memory(err);
    if (rc == 0)
        rc = hakt_reader_open(&c.r, a->input, err);
    if (rc == 0)
        rc = cut_opened(&c, totals, err);
    if (c.r != NULL)
        hakt_reader_close(c.r);
    hakc_map_fini(&c.ids);
    hakc_map_fini(&c.threads);
    free(c.wanted);
    return rc;
}

int hakt_cmd_cut(int argc, char **argv) {
    struct cut_args a = {.count = UINT64_MAX, .to_time = UINT64_MAX, .level = CUT_LEVEL};
    struct hakt_totals t;
    struct hakc_err err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (cut(&a, &t, &err) != 0)
        return hakt_cmd_fail(&err);
    fprintf(stderr, "haktrace: %s: %" PRIu64 " records of %" PRIu64 " threads", a.output, t.records,
            t.threads);
    if (t.foreign > 0)
        fprintf(stderr, ", %" PRIu64 " foreign", t.foreign);
    fputc('\n', stderr);
    return 0;
}
