/* haktrace verify: every checksum, every record, the totals. */
#include <inttypes.h>
#include <stdio.h>
#include "tracer/commands.h"
#include "tracer/format/trace.h"

static const struct argp_option options[] = {
    {"quiet", 'q', NULL, 0, "Say nothing about traces that are sound", 0}, {0}};

struct verify_args {
    char **files;
    int count;
    int quiet;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct verify_args *a = state->input;
    switch (key) {
    case 'q':
        a->quiet = 1;
        return 0;
    case ARGP_KEY_ARGS:
        a->files = state->argv + state->next;
        a->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        (void)arg;
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "TRACE...",
    "Checks every byte of a trace: checksums, records, that each free names a live allocation, and "
    "that the totals are those of the records.\vExit code 0: sound. 4: corrupt or cut short; the "
    "message names the byte offset. A recording whose recorder was killed has no trailer and "
    "counts as cut short; its records up to there are read by every command.",
    NULL,
    NULL,
    NULL};

int hakt_cmd_verify(int argc, char **argv) {
    struct verify_args a = {0};
    int worst = 0;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    for (int i = 0; i < a.count; i++) {
        struct hakt_totals t;
        struct hakc_err err;
        int rc = hakt_verify(a.files[i], &t, &err);
        if (rc != 0) {
            int code = hakt_cmd_fail(&err);
            worst = code > worst ? code : worst;
        } else if (!a.quiet) {
            printf("%s: sound: %" PRIu64 " records, %" PRIu64 " threads\n", a.files[i], t.records,
                   t.threads);
        }
    }
    int rc = hakt_cmd_end_output();
    return worst != 0 ? worst : rc;
}
