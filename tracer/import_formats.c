#include <string.h>
#include "tracer/import.h"
#include "tracer/import_android.h"
#include "tracer/import_plain.h"

const struct hakt_import_format hakt_import_formats[] = {
    {"android", hakt_import_android},
    {"rep", hakt_import_rep},
    {"mtrace", hakt_import_mtrace},
    {"heaptrack", hakt_import_heaptrack},
    {"heaptrack-raw", hakt_import_heaptrack_raw},
    {NULL, NULL}};

const struct hakt_import_format *hakt_import_by_name(const char *name) {
    for (const struct hakt_import_format *f = hakt_import_formats; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

int hakt_import_close(struct hakt_writer *w, int rc, struct hakt_totals *totals,
                      struct hakc_err *err) {
    struct hakt_totals end = {.exit_status = UINT32_MAX};
    int closed = hakt_writer_close(w, &end, totals, rc == 0 ? err : NULL);
    return rc != 0 ? rc : closed;
}

static const char *name_of(const char *line) {
    struct hakt_android_line android;
    uint64_t number;
    const char *end = hakt_plain_number(line, 10, &number);
    if (end != NULL && *end == '\0')
        return "rep";
    if (strncmp(line, "= Start", 7) == 0 || strncmp(line, "@ ", 2) == 0)
        return "mtrace";
    if (line[0] == 'v' && line[1] == ' ' && hakt_plain_number(line + 2, 16, &number) != NULL)
        return "heaptrack";
    return hakt_android_parse(line, &android) == NULL ? "android" : NULL;
}

int hakt_import_detect(const char *path, const struct hakt_import_format **format,
                       struct hakc_err *err) {
    struct hakt_plain p = {.err = err};
    const char *name = NULL;
    char *line = NULL;
    int rc = hakt_lines_open(&p.lines, path, err);
    if (rc != 0)
        return rc;
    rc = hakt_plain_line(&p, &line);
    if (rc == 0 && line != NULL)
        name = name_of(line);
    /* Raw data go on with the program's file, interpreted ones with its command. */
    if (name != NULL && strcmp(name, "heaptrack") == 0 && hakt_plain_line(&p, &line) == 0 &&
        line != NULL && strncmp(line, "x ", 2) == 0)
        name = "heaptrack-raw";
    if (rc == HAKC_ECORRUPT || rc == HAKC_ETRUNCATED || (rc == 0 && name == NULL))
        rc = hakc_fail(err, HAKC_EUSAGE,
                       "%s: its first line shows none of the formats that can be imported; if it "
                       "is in one of them, say which with --format",
                       path);
    if (rc == 0)
        *format = hakt_import_by_name(name);
    hakt_lines_close(p.lines);
    return rc;
}
