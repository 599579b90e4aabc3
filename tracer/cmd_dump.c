/* haktrace dump: records as text, one a line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tracer/commands.h"
#include "tracer/format/trace.h"

enum { OPT_FROM = 256, OPT_COUNT, OPT_JSON };

static const struct argp_option options[] = {
    {"from", OPT_FROM, "RECORD", 0, "Begin at this record (the first is 0)", 0},
    {"count", OPT_COUNT, "N", 0, "Print at most N records", 0},
    {"json", OPT_JSON, NULL, 0, "A JSON object a line", 0},
    {0}};

struct dump_args {
    const char *file;
    uint64_t from, count;
    int json;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct dump_args *a = state->input;
    switch (key) {
    case OPT_FROM:
        a->from = hakt_cmd_number(state, "--from", arg, 0, UINT64_MAX);
        return 0;
    case OPT_COUNT:
        a->count = hakt_cmd_number(state, "--count", arg, 0, UINT64_MAX);
        return 0;
    case OPT_JSON:
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
    "Prints the records of a trace.\v"
    "A line is: record number, time in ns (- without times), thread, operation, and what applies "
    "of old=ID (what free or realloc consumes; \"null\", or \"foreign\" for a pointer that the "
    "trace never saw allocated), id=ID (what is made), size=BYTES, align=BYTES, and the words "
    "failed, unfinished, implied. A trace that is corrupt is printed up to there.",
    NULL,
    NULL,
    NULL};

static int consumes(const struct hakt_rec *r) {
    return r->op == HAKT_FREE || r->op == HAKT_REALLOC || r->op == HAKT_REALLOCARRAY;
}

static void print_text(uint64_t number, const struct hakt_rec *r, int times) {
    printf("%" PRIu64 " ", number);
    if (times)
        printf("%" PRIu64, r->time);
    else
        fputs("-", stdout);
    printf(" %" PRIu32 " %s", r->thread, hakt_op_name(r->op));
    if (r->old_id != 0)
        printf(" old=%" PRIu64, r->old_id);
    else if (consumes(r))
        fputs(r->flags & HAKT_REC_FOREIGN ? " old=foreign" : " old=null", stdout);
    if (r->id != 0)
        printf(" id=%" PRIu64, r->id);
    if (hakt_op_allocates(r->op))
        printf(" size=%" PRIu64, r->size);
    if (r->align_log2 != 0)
        printf(" align=%" PRIu64, (uint64_t)1 << r->align_log2);
    if (r->flags & HAKT_REC_FAILED)
        fputs(" failed", stdout);
    if (r->flags & HAKT_REC_UNFINISHED)
        fputs(" unfinished", stdout);
    if (r->flags & HAKT_REC_IMPLIED)
        fputs(" implied", stdout);
    putchar('\n');
}

static void print_json(uint64_t number, const struct hakt_rec *r, int times) {
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {{HAKT_REC_FAILED, "failed"},
                 {HAKT_REC_FOREIGN, "foreign"},
                 {HAKT_REC_UNFINISHED, "unfinished"},
                 {HAKT_REC_IMPLIED, "implied"}};
    printf("{\"record\":%" PRIu64 ",\"time_ns\":", number);
    if (times)
        printf("%" PRIu64, r->time);
    else
        fputs("null", stdout);
    printf(",\"thread\":%" PRIu32 ",\"op\":\"%s\"", r->thread, hakt_op_name(r->op));
    if (consumes(r))
        printf(",\"old_id\":%" PRIu64, r->old_id);
    if (hakt_op_allocates(r->op))
        printf(",\"id\":%" PRIu64 ",\"size\":%" PRIu64, r->id, r->size);
    if (r->align_log2 != 0)
        printf(",\"align\":%" PRIu64, (uint64_t)1 << r->align_log2);
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        if (r->flags & flags[i].flag)
            printf(",\"%s\":true", flags[i].name);
    }
    puts("}");
}

static int dump(struct hakt_reader *r, const struct dump_args *a, struct hakc_err *err) {
    int times = (hakt_reader_info(r)->fidelity & HAKT_HAS_TIMES) != 0;
    const struct hakt_rec *recs;
    uint64_t number, left = a->count;
    size_t n;
    int rc = hakt_reader_seek_record(r, a->from, &number, err);
    while (rc == 0 && left > 0 && !ferror(stdout)) {
        rc = hakt_reader_next(r, &recs, &n, err);
        if (rc != 0 || n == 0)
            break;
        for (size_t i = a->from > number ? a->from - number : 0; i < n && left > 0; i++, left--) {
            if (a->json)
                print_json(number + i, &recs[i], times);
            else
                print_text(number + i, &recs[i], times);
        }
        number += n;
    }
    return rc;
}

int hakt_cmd_dump(int argc, char **argv) {
    struct dump_args a = {.count = UINT64_MAX};
    struct hakt_reader *r;
    struct hakc_err err;
    int rebuilt;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (hakt_reader_open(&r, a.file, &err) != 0)
        return hakt_cmd_fail(&err);
    hakt_reader_totals(r, &rebuilt);
    int rc = dump(r, &a, &err);
    int code = hakt_cmd_end_output();
    if (rc != 0)
        code = hakt_cmd_fail(&err);
    else if (rebuilt)
        fprintf(stderr,
                "haktrace: %s: no trailer (the recorder was killed, or the file is cut): "
                "its whole chunks were read\n",
                a.file);
    hakt_reader_close(r);
    return code;
}
