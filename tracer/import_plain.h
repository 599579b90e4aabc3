/*
 * What the importers of recordings without threads and times share: names (addresses, numbers) of
 * live objects, and records written one by one. Private to the importers.
 */
#ifndef TRACER_IMPORT_PLAIN_H
#define TRACER_IMPORT_PLAIN_H

#include <stdint.h>
#include "common/map.h"
#include "tracer/import.h"

struct hakt_plain {
    struct hakt_lines *lines;
    struct hakt_writer *w;
    struct hakc_err *err;
    struct hakc_map live; /* name (never 0) -> id */
    uint64_t implied;
    void *ctx; /* the importer's own */
};

/* Reads `input` with run() and writes `output`. fidelity: what the header claims beside IMPORTED
 * and EXACT_SIZES. line_max: 0 = HAKT_LINE_MAX. */
int hakt_plain_import(const char *format, const char *input, const char *output, int level,
                      unsigned fidelity, size_t line_max, int (*run)(struct hakt_plain *p),
                      void *ctx, struct hakt_import_result *result, struct hakc_err *err);

/* The next line that is not empty, without the spaces at its end; NULL at the end of the text. */
int hakt_plain_line(struct hakt_plain *p, char **line);

/* An error about the line last read. */
int hakt_plain_fail(const struct hakt_plain *p, const char *text);

/* A malloc, or with op HAKT_REALLOC a realloc of the object `old` (0 = NULL). name 0: it failed. A
 * name that is live gets a free of its own first, marked IMPLIED. */
int hakt_plain_alloc(struct hakt_plain *p, unsigned op, uint64_t old, uint64_t name, uint64_t size);

/* A realloc to size 0 that frees `old` and returns NULL. */
int hakt_plain_realloc_to_nothing(struct hakt_plain *p, uint64_t old);

/* name 0: free(NULL). A name that is not live: FOREIGN. */
int hakt_plain_free(struct hakt_plain *p, uint64_t name);

int hakt_plain_is_live(const struct hakt_plain *p, uint64_t name);

/* Reads a number, base 10 or 16, the latter with or without 0x, up to a space or the end, and the
 * spaces behind it. Where it ended, or NULL: none, or more than 64 bits. */
const char *hakt_plain_number(const char *s, unsigned base, uint64_t *v);

#endif
