/*
 * The file that a command makes as a whole: written beside its place, as PATH.PID.part, and moved
 * there once it is complete. So a command that fails or is interrupted leaves what stood there
 * before as it was, and nothing else. (A recording does not go through this: what it holds counts
 * from the first chunk on.)
 *
 * The new file takes the mode of the one it replaces and, where that is permitted, its owner and
 * group. A symbolic link stays, and what it leads to is replaced. Of a file with several names this
 * one is replaced, the others keep the old content.
 *
 * Threads: one at a time, of one thread.
 */
#ifndef TRACER_OUTFILE_H
#define TRACER_OUTFILE_H

#include <limits.h>
#include <sys/stat.h>
#include "common/err.h"

struct hakt_outfile {
    int direct;   /* written in place */
    int replaces; /* there is such a file: `before` */
    struct stat before;
    char path[PATH_MAX]; /* behind any links */
    char part[PATH_MAX + 24];
};

/* Written in place are "-", devices, pipes, what a dangling link names, and a file whose folder may
 * not be written. Creates nothing. From here on SIGINT, SIGTERM and SIGHUP remove the part before
 * they end this process, and passing RLIMIT_FSIZE is an error of writing. */
int hakt_outfile_init(struct hakt_outfile *o, const char *path, struct hakc_err *err);

/* What to write: "-", or a path. */
const char *hakt_outfile_name(const struct hakt_outfile *o);

/* The writing ended with rc: moves the file to its place, or removes it. rc, or where that is 0
 * whether the move was possible. */
int hakt_outfile_end(const struct hakt_outfile *o, int rc, struct hakc_err *err);

#endif
