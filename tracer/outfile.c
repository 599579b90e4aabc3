#include "tracer/outfile.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- interruption ------------------------------------------------------------------------- */

static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP};
static char unfinished[PATH_MAX + 24]; /* what an interruption removes */
static volatile sig_atomic_t there_is_one;

/* The disposition is the default one again: SA_RESETHAND. */
static void remove_part(int sig) {
    if (there_is_one)
        unlink(unfinished);
    raise(sig);
}

static void watch(const char *part) {
    struct sigaction now = {.sa_handler = remove_part, .sa_flags = (int)SA_RESETHAND}, before;
    strcpy(unfinished, part);
    there_is_one = 1;
    for (size_t i = 0; i < sizeof(interrupts) / sizeof(*interrupts); i++) {
        if (sigaction(interrupts[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(interrupts[i], &now, NULL); /* nohup's stays ignored */
    }
}

/* ---- the file ----------------------------------------------------------------------------- */

static int folder_is_writable(const char *path) {
    char copy[PATH_MAX];
    strcpy(copy, path);
    return access(dirname(copy), W_OK) == 0;
}

/* Sets direct, path and before. 0, or -1: this file may not be written. */
static int find_place(struct hakt_outfile *o, const char *path) {
    struct stat link;
    /* Of an open file (/dev/fd/3, /proc/self/fd/3) the name is not what its holder looks at. */
    o->direct =
        strcmp(path, "-") == 0 || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
    if (o->direct)
        return 0;
    if (stat(path, &o->before) != 0) {
        o->direct = lstat(path, &link) == 0; /* a link to what is not there yet */
        return 0;
    }
    o->replaces = S_ISREG(o->before.st_mode) && realpath(path, o->path) != NULL;
    if (!o->replaces)
        strcpy(o->path, path);
    o->direct = !o->replaces || !folder_is_writable(o->path);
    return o->replaces && access(path, W_OK) != 0 ? -1 : 0;
}

int hakt_outfile_init(struct hakt_outfile *o, const char *path, struct hakc_err *err) {
    *o = (struct hakt_outfile){0};
    if (*path == '\0')
        return hakc_fail(err, HAKC_EUSAGE, "the output has no name: give a file");
    if (strlen(path) >= sizeof(o->path))
        return hakc_fail(err, HAKC_EUSAGE, "the name of the output is too long");
    strcpy(o->path, path);
    if (find_place(o, path) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "cannot write %s", path);
    signal(SIGXFSZ, SIG_IGN);
    snprintf(o->part, sizeof(o->part), "%s.%d.part", o->path, (int)getpid());
    if (!o->direct)
        watch(o->part);
    return 0;
}

const char *hakt_outfile_name(const struct hakt_outfile *o) {
    return o->direct ? o->path : o->part;
}

/* The owner first: changing it takes set-id bits away. */
static int take_after(const struct hakt_outfile *o, struct hakc_err *err) {
    mode_t mode = o->before.st_mode & 07777;
    if (chown(o->part, o->before.st_uid, o->before.st_gid) != 0)
        mode &= 0777;
    return chmod(o->part, mode) == 0
               ? 0
               : hakc_fail_errno(err, HAKC_EIO, "cannot set the mode of %s", o->part);
}

int hakt_outfile_end(const struct hakt_outfile *o, int rc, struct hakc_err *err) {
    if (o->direct)
        return rc;
    if (rc == 0 && o->replaces)
        rc = take_after(o, err);
    if (rc == 0 && rename(o->part, o->path) != 0)
        rc = hakc_fail_errno(err, HAKC_EIO, "cannot move %s to its place", o->part);
    there_is_one = 0;
    if (rc != 0)
        unlink(o->part);
    return rc;
}
