#include "tracer/outfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hakt_outfile_init(struct hakt_outfile *o, const char *path, struct hakc_err *err) {
    struct stat st;
    if (*path == '\0')
        return hakc_fail(err, HAKC_EUSAGE, "the output has no name: give a file");
    if (strlen(path) >= sizeof(o->path))
        return hakc_fail(err, HAKC_EUSAGE, "the name of the output is too long");
    strcpy(o->path, path);
    /* Of an open file (/dev/fd/3, /proc/self/fd/3) the name is not what its holder looks at. */
    o->direct =
        strcmp(path, "-") == 0 || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
    if (!o->direct && stat(path, &st) == 0) {
        o->direct = !S_ISREG(st.st_mode) || realpath(path, o->path) == NULL;
        if (o->direct)
            strcpy(o->path, path);
        else if (access(path, W_OK) != 0)
            return hakc_fail_errno(err, HAKC_EIO, "cannot write %s", path);
    }
    snprintf(o->part, sizeof(o->part), "%s.part", o->path);
    return 0;
}

const char *hakt_outfile_name(const struct hakt_outfile *o) {
    return o->direct ? o->path : o->part;
}

int hakt_outfile_end(const struct hakt_outfile *o, int rc, struct hakc_err *err) {
    if (o->direct)
        return rc;
    if (rc == 0 && rename(o->part, o->path) != 0)
        rc = hakc_fail_errno(err, HAKC_EIO, "cannot move %s to its place", o->part);
    if (rc != 0)
        unlink(o->part);
    return rc;
}
