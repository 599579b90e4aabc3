/* haktrace dump: records as text, one a line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tracer/commands.h"
#include "tracer/format/trace.h"

enum { OPT_FROM = 256, OPT_AT, OPT_TO, OPT_COUNT, OPT_JSON };

static const struct argp_option options[] = {
    {"from", OPT_FROM, "RECORD", 0, "Begin at this record (the first is 0)", 0},
    {"at", OPT_AT, "TIME", 0, "Begin at this time (ns, or such as 1.5s)", 0},
    {"to", OPT_TO, "TIME", 0, "End before this time", 0},
    {"count", OPT_COUNT, "N", 0, "Print at most N records", 0},
    {"json", OPT_JSON, NULL, 0, "A JSON object a line", 0},
    {0}};

struct dump_args {
    const char *file;
    uint64_t from, at, to, count;
    int by_time, json;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct dump_args *a = state->input;
    switch (key) {
    case OPT_FROM:
        a->from = hakt_cmd_number(state, "--from", arg, 0, UINT64_MAX);
        return 0;
    case OPT_AT:
        a->at = hakt_cmd_time(state, "--at", arg);
        a->by_time = 1;
        return 0;
    case OPT_TO:
        a->to = hakt_cmd_time(state, "--to", arg);
        a->by_time = 1;
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
    "Prints the records of a trace, from the first that all options hold for. A trace is entered "
    "by "
    "its index: what comes before is not read.\v"
    "A line is: record number, time in ns (- without times), thread, operation, and what applies "
    "of old=ID (what free or realloc consumes; \"null\", or \"foreign\" for a pointer that the "
    "trace never saw allocated), id=ID (what is made), size=BYTES, align=BYTES, and the words "
    "failed, unfinished, implied. What the recorder saw beside the ops, such as mmap, stands "
    "between "
    "them as lines that begin with \"event\". A trace that is corrupt is printed up to there.",
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

static void print_event_text(const struct hakt_event *e, int times) {
    const char *name = hakt_event_name(e->kind), *arg;
    fputs("event ", stdout);
    if (times)
        printf("%" PRIu64, e->time);
    else
        fputs("-", stdout);
    printf(" %" PRIu32, e->thread);
    if (name != NULL)
        printf(" %s", name);
    else
        printf(" kind=%u", e->kind);
    for (unsigned i = 0; i < 4; i++) {
        if ((arg = hakt_event_arg_name(e->kind, i)) != NULL)
            printf(" %s=%" PRIu64, arg, e->arg[i]);
        else if (e->arg[i] != 0)
            printf(" arg%u=%" PRIu64, i, e->arg[i]);
    }
    puts(e->flags & HAKT_EVENT_FAILED ? " failed" : "");
}

static void print_event_json(const struct hakt_event *e, int times) {
    const char *name = hakt_event_name(e->kind), *arg;
    printf("{\"event\":");
    if (name != NULL)
        printf("\"%s\"", name);
    else
        printf("%u", e->kind);
    printf(",\"before_record\":%" PRIu64 ",\"time_ns\":", e->record);
    if (times)
        printf("%" PRIu64, e->time);
    else
        fputs("null", stdout);
    printf(",\"thread\":%" PRIu32, e->thread);
    for (unsigned i = 0; i < 4; i++) {
        if ((arg = hakt_event_arg_name(e->kind, i)) != NULL)
            printf(",\"%s\":%" PRIu64, arg, e->arg[i]);
        else if (e->arg[i] != 0)
            printf(",\"arg%u\":%" PRIu64, i, e->arg[i]);
    }
    puts(e->flags & HAKT_EVENT_FAILED ? ",\"failed\":true}" : "}");
}

struct dump {
    struct hakt_reader *r;
    const struct dump_args *args;
    const struct hakt_event *event; /* the next one, if more_events */
    int more_events, times;
    uint64_t left; /* records that may still be printed */
};

/* Prints the events before record `number`, but those before where the dump begins. */
static int dump_events(struct dump *d, uint64_t number, struct hakc_err *err) {
    for (;;) {
        int rc = d->event == NULL ? hakt_reader_next_event(d->r, &d->event, err) : 0;
        d->more_events = rc == 0 && d->event != NULL;
        if (!d->more_events || d->event->record > number)
            return rc;
        const struct hakt_event *e = d->event;
        d->event = NULL;
        if (e->record < d->args->from || e->time < d->args->at || e->time >= d->args->to)
            continue;
        if (d->args->json)
            print_event_json(e, d->times);
        else
            print_event_text(e, d->times);
    }
}

/* *done = 1: nothing more is wanted. */
static int dump_record(struct dump *d, uint64_t number, const struct hakt_rec *rec, int *done,
                       struct hakc_err *err) {
    int rc = d->more_events ? dump_events(d, number, err) : 0;
    *done = d->left == 0 || rec->time >= d->args->to;
    if (rc != 0 || *done || number < d->args->from || rec->time < d->args->at)
        return rc;
    d->left--;
    if (d->args->json)
        print_json(number, rec, d->times);
    else
        print_text(number, rec, d->times);
    return 0;
}

static int dump(struct dump *d, struct hakc_err *err) {
    const struct hakt_rec *recs;
    uint64_t number, later;
    size_t n;
    int done = 0;
    int rc = hakt_reader_seek_time(d->r, d->args->at, &later, err);
    if (rc == 0)
        rc = hakt_reader_seek_record(d->r, d->args->from, &number, err);
    if (rc == 0 && later > number) {
        rc = hakt_reader_seek_time(d->r, d->args->at, &number, err);
    }
    while (rc == 0 && !done && !ferror(stdout)) {
        rc = hakt_reader_next(d->r, &recs, &n, err);
        if (rc != 0)
            return rc;
        if (n == 0)
            return d->more_events && d->left > 0 ? dump_events(d, UINT64_MAX, err) : 0;
        for (size_t i = 0; i < n && rc == 0 && !done; i++)
            rc = dump_record(d, number + i, &recs[i], &done, err);
        number += n;
    }
    return rc;
}

int hakt_cmd_dump(int argc, char **argv) {
    struct dump_args a = {.count = UINT64_MAX, .to = UINT64_MAX};
    struct dump d = {.args = &a, .more_events = 1};
    struct hakc_err err;
    int rebuilt;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (hakt_reader_open(&d.r, a.file, &err) != 0)
        return hakt_cmd_fail(&err);
    hakt_reader_totals(d.r, &rebuilt);
    d.times = (hakt_reader_info(d.r)->fidelity & HAKT_HAS_TIMES) != 0;
    d.left = a.count;
    int rc = a.by_time && !d.times
                 ? hakc_fail(&err, HAKC_EUSAGE, "%s has no times: use --from and --count", a.file)
                 : dump(&d, &err);
    int code = hakt_cmd_end_output();
    if (rc != 0)
        code = hakt_cmd_fail(&err);
    else if (rebuilt)
        fprintf(stderr,
                "haktrace: %s: no trailer (the recorder was killed, or the file is cut): "
                "its whole chunks were read\n",
                a.file);
    hakt_reader_close(d.r);
    return code;
}
