/*
 * Importers: other tools' recordings, read as a stream and written as a trace.
 *
 * Threads: none. Memory: the live set of the recording, its threads, one line.
 */
#ifndef TRACER_IMPORT_H
#define TRACER_IMPORT_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "tracer/format/trace.h"

#define HAKT_LINE_MAX 4096 /* bytes of the longest line that an importer takes */

/* Lines of a text file, plain or compressed with zstd ("-" = standard input). */
struct hakt_lines;

int hakt_lines_open(struct hakt_lines **l, const char *path, struct hakc_err *err);
void hakt_lines_close(struct hakt_lines *l);

/* Takes lines of up to line_max bytes, at most 65536, instead of HAKT_LINE_MAX. */
void hakt_lines_allow(struct hakt_lines *l, size_t line_max);

/* The next line without its end ("\n" or "\r\n"), NUL-terminated, writable, valid until the next
 * call. *line = NULL at the end. HAKC_EIO; HAKC_ECORRUPT, HAKC_ETRUNCATED: broken zstd data, or a
 * line that is too long or has a NUL. */
int hakt_lines_next(struct hakt_lines *l, char **line, struct hakc_err *err);

/* An error about the line last returned: HAKC_ECORRUPT with its number, and its offset in the
 * (decompressed) text. `text` is part of the sentence. */
int hakt_lines_fail(const struct hakt_lines *l, struct hakc_err *err, const char *text);

struct hakt_import_result {
    struct hakt_totals totals;
    uint64_t implied; /* frees that had to be inferred: the ids around them are guesses */
};

/* input, output: paths or "-". exact_ids: claim HAKT_EXACT_IDS in the header, where the format can
 * bear it; result->implied > 0 would belie it. level as for hakt_writer_open. */
typedef int hakt_import_fn(const char *input, const char *output, int level, int exact_ids,
                           struct hakt_import_result *result, struct hakc_err *err);

/* Android's memory_replay text: "TID: malloc PTR SIZE" and so on, with or without START_NS END_NS
 * at the end of each line. */
hakt_import_fn hakt_import_android;

/* The malloc lab's .rep, glibc's mtrace(3) log, heaptrack's interpreted and raw data: see their
 * sources. */
hakt_import_fn hakt_import_rep, hakt_import_mtrace, hakt_import_heaptrack,
    hakt_import_heaptrack_raw;

struct hakt_import_format {
    const char *name;
    hakt_import_fn *import;
};

extern const struct hakt_import_format hakt_import_formats[]; /* ends with name NULL */

/* By name, or NULL. */
const struct hakt_import_format *hakt_import_by_name(const char *name);

/* Closes the trace of an import that ended with rc. What a failed one leaves is the caller's to
 * remove: half a recording would pass for a whole one. rc, or where that is 0 what closing gives.
 */
int hakt_import_close(struct hakt_writer *w, int rc, struct hakt_totals *totals,
                      struct hakc_err *err);

/* The format that the first lines of the file `path` show. HAKC_EUSAGE: none of them. */
int hakt_import_detect(const char *path, const struct hakt_import_format **format,
                       struct hakc_err *err);

#endif
