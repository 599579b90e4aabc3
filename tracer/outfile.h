/*
 * The file that a command makes as a whole: written beside its place, as PATH.part, and moved there
 * once it is complete. So a command that fails leaves what stood there before as it was. (A
 * recording does not go through this: what it holds counts from the first chunk on.)
 */
#ifndef TRACER_OUTFILE_H
#define TRACER_OUTFILE_H

#include <limits.h>
#include "common/err.h"

struct hakt_outfile {
    int direct;          /* no regular file: written in place */
    char path[PATH_MAX]; /* behind any links */
    char part[PATH_MAX + 8];
};

/* "-", devices and pipes are written in place. Creates nothing. */
int hakt_outfile_init(struct hakt_outfile *o, const char *path, struct hakc_err *err);

/* What to write: "-", or a path. */
const char *hakt_outfile_name(const struct hakt_outfile *o);

/* The writing ended with rc: moves the file to its place, or removes it. rc, or where that is 0
 * whether the move was possible. */
int hakt_outfile_end(const struct hakt_outfile *o, int rc, struct hakc_err *err);

#endif
