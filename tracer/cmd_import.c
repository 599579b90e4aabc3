/* haktrace import: other tools' recordings as traces. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "tracer/commands.h"
#include "tracer/import.h"
#include "tracer/outfile.h"

#define IMPORT_LEVEL 12 /* nobody waits for it as for a recording */

struct import_args {
    const char *input;
    const char *output;
    const char *format;
    int level;
    int quiet;
};

enum { OPT_LEVEL = 256 };

static const struct argp_option options[] = {
    {"format", 'f', "FORMAT", 0,
     "What the file is: android, rep, mtrace, heaptrack or heaptrack-raw (by default, what its "
     "first lines show)",
     0},
    {"output", 'o', "FILE", 0, "The trace to write (\"-\" = standard output)", 0},
    {"level", OPT_LEVEL, "1..22", 0, "Compression level of zstd (12)", 0},
    {"quiet", 'q', NULL, 0, "No summary at the end", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct import_args *a = state->input;
    switch (key) {
    case 'f':
        a->format = arg;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case 'q':
        a->quiet = 1;
        return 0;
    case OPT_LEVEL:
        a->level = (int)hakt_cmd_number(state, "--level", arg, 1, 22);
        return 0;
    case ARGP_KEY_ARG:
        if (a->input != NULL)
            argp_error(state, "more than one file: '%s'", arg);
        a->input = arg;
        return 0;
    case ARGP_KEY_END:
        if (a->input == NULL)
            argp_usage(state);
        if (a->output == NULL)
            argp_error(state, "no output file given (-o FILE)");
        if (a->format == NULL && strcmp(a->input, "-") == 0)
            argp_error(state, "of standard input the format must be given (--format)");
        if (a->format != NULL && hakt_import_by_name(a->format) == NULL)
            argp_error(
                state,
                "--format: '%s' is not one of android, rep, mtrace, heaptrack, heaptrack-raw",
                a->format);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "[-f FORMAT] -o TRACE FILE",
    "Makes a trace of another tool's recording. FILE may be compressed with zstd; \"-\" is "
    "standard input.\v"
    "android: the text of Android's malloc_debug record_allocs, which memory_replay reads: "
    "\"TID: malloc PTR SIZE\" and so on, with or without START_NS END_NS.\n"
    "rep: a trace of CMU's malloc lab: four header lines, then \"a ID SIZE\", \"r ID SIZE\", "
    "\"f ID\".\n"
    "mtrace: the log of glibc's mtrace(3). calloc and aligned allocations show as malloc in it.\n"
    "heaptrack-raw: what heaptrack -r records, with addresses. A realloc is a free and a malloc in "
    "it.\n"
    "heaptrack: what heaptrack_interpret makes of that. It names kinds of objects, not objects: a "
    "free is "
    "taken to be that of the latest, so the ids are not exact. Its times, some 10 ms apart, are "
    "left out.\n\n"
    "The trace says what the recording lacks (times, threads, exact ids). Where an address is "
    "handed out while it is "
    "live, a free must be missing in the recording: one is added and marked, and the trace then "
    "does not claim exact ids. Of standard input this is known only at the end, so no such claim "
    "is made.",
    NULL,
    NULL,
    NULL};

static int is_regular(const char *path) {
    struct stat st;
    return strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The output must not be the file that is being read: it is emptied when it is opened. */
static int same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int import(const struct import_args *a, struct hakt_import_result *result,
                  struct hakc_err *err) {
    int rereadable = is_regular(a->input) && strcmp(a->output, "-") != 0;
    if (same_file(a->input, a->output))
        return hakc_fail(err, HAKC_EUSAGE, "input and output are the same file: %s", a->output);
    const struct hakt_import_format *f = NULL;
    int rc = 0;
    if (a->format != NULL)
        f = hakt_import_by_name(a->format);
    else
        rc = hakt_import_detect(a->input, &f, err);
    if (rc != 0)
        return rc;
    struct hakt_outfile out;
    if ((rc = hakt_outfile_init(&out, a->output, err)) != 0)
        return rc;
    rc = f->import(a->input, hakt_outfile_name(&out), a->level, rereadable, result, err);
    /* The header, written first, claims exact ids; say it again without the claim. */
    if (rc == 0 && rereadable && result->implied > 0)
        rc = f->import(a->input, hakt_outfile_name(&out), a->level, 0, result, err);
    return hakt_outfile_end(&out, rc, err);
}

int hakt_cmd_import(int argc, char **argv) {
    struct import_args a = {.level = IMPORT_LEVEL};
    struct hakt_import_result r;
    struct hakc_err err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (import(&a, &r, &err) != 0)
        return hakt_cmd_fail(&err);
    if (!a.quiet) {
        fprintf(stderr,
                "haktrace: %" PRIu64 " ops of %" PRIu64 " threads, peak live %" PRIu64
                " objects, %" PRIu64 " bytes\n",
                r.totals.ops, r.totals.threads, r.totals.peak_live_objects,
                r.totals.peak_live_bytes);
        if (r.totals.foreign > 0)
            fprintf(stderr, "haktrace: %" PRIu64 " frees of pointers that it does not allocate\n",
                    r.totals.foreign);
    }
    if (r.implied > 0)
        fprintf(stderr,
                "haktrace: %" PRIu64 " addresses were handed out while live: frees are missing in "
                "the recording and were added; the ids are not claimed to be exact\n",
                r.implied);
    return 0;
}
