/* haktrace cut: a part of a trace as a trace. */
#include <inttypes.h>
#include <stdio.h>
#include "tracer/commands.h"
#include "tracer/cut.h"

#define CUT_LEVEL 12

enum { OPT_FROM = 256, OPT_COUNT, OPT_FROM_TIME, OPT_TO_TIME, OPT_LEVEL };

static const struct argp_option options[] = {
    {"from", OPT_FROM, "RECORD", 0, "Begin at this record (the first is 0)", 0},
    {"count", OPT_COUNT, "N", 0, "Look at no more than N records from there", 0},
    {"from-time", OPT_FROM_TIME, "TIME", 0, "Begin at this time (ns, or such as 1.5s)", 0},
    {"to-time", OPT_TO_TIME, "TIME", 0, "End before this time", 0},
    {"threads", 't', "LIST", 0, "Only these threads, such as 0,3,5-9", 0},
    {"output", 'o', "FILE", 0, "The trace to write (\"-\" = standard output)", 0},
    {"level", OPT_LEVEL, "1..22", 0, "Compression level of zstd (12)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct hakt_cut_args *a = state->input;
    switch (key) {
    case OPT_FROM:
        a->from = hakt_cmd_number(state, "--from", arg, 0, UINT64_MAX);
        return 0;
    case OPT_COUNT:
        a->count = hakt_cmd_number(state, "--count", arg, 0, UINT64_MAX);
        return 0;
    case OPT_FROM_TIME:
        a->from_time = hakt_cmd_time(state, "--from-time", arg);
        a->by_time = 1;
        return 0;
    case OPT_TO_TIME:
        a->to_time = hakt_cmd_time(state, "--to-time", arg);
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

int hakt_cmd_cut(int argc, char **argv) {
    struct hakt_cut_args a = {.count = UINT64_MAX, .to_time = UINT64_MAX, .level = CUT_LEVEL};
    struct hakt_cut_result r;
    struct hakc_err err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (hakt_cut(&a, &r, &err) != 0)
        return hakt_cmd_fail(&err);
    fprintf(stderr, "haktrace: %s: %" PRIu64 " records of %" PRIu64 " threads", a.output,
            r.totals.records, r.totals.threads);
    if (r.totals.foreign > 0)
        fprintf(stderr, ", %" PRIu64 " foreign", r.totals.foreign);
    if (r.totals.records == 0)
        fprintf(stderr, ": nothing in %s is what was asked for", a.input);
    fputc('\n', stderr);
    if (r.rebuilt)
        fprintf(stderr,
                "haktrace: %s: no trailer (the recorder was killed, or the file is cut): taken "
                "from its whole chunks; what it lost is not known\n",
                a.input);
    return 0;
}
