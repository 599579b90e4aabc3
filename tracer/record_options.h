/*
 * How to record: the options that `haktrace record` and `haktrace start` share.
 */
#ifndef TRACER_RECORD_OPTIONS_H
#define TRACER_RECORD_OPTIONS_H

#include "common/err.h"
#include "tracer/collect_backlog.h"
#include "tracer/collect_clock.h"
#include "tracer/collect_shm.h"

#include <argp.h>
#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#define HAKT_BACKLOG_AUTO UINT64_MAX /* by the memory that is available */

struct hakt_record_options {
    const char *output; /* a template, see hakt_output_name; NULL = not given */
    struct hakt_shm_settings shm;
    enum hakt_clock_choice clock;
    int level;
    int quiet;
    uint64_t backlog;                 /* bytes, or HAKT_BACKLOG_AUTO */
    uint64_t max_bytes, max_ns;       /* limits of the recording; 0 = none */
    uint64_t window_ns, window_bytes; /* a flight recorder; both 0 = none */
};

/* An argp child; its input is a struct hakt_record_options, set by hakt_record_defaults. Ends the
 * program with a usage error where no output is given. */
extern const struct argp hakt_record_argp;

void hakt_record_defaults(struct hakt_record_options *o);

/* The file for a process: of the template, %h becomes the host, %p the pid, %t the start time
 * (20261125-031500, UTC), %n the name of the program, %% a percent sign. more: it is not the
 * recording's first process: without %p in the template the pid stands before the name's last dot.
 * A file that is there already is then not replaced: a number is added. HAKC_EUSAGE for another
 * letter or a name that is too long. */
int hakt_output_name(char path[PATH_MAX], const char *template, pid_t pid, const char *program,
                     uint64_t start_unix_ns, int more, struct hakc_err *err);

#endif
