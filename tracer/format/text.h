/*
 * The header and the trailer of a trace: lines of key=value, so that `zstd -dc` shows them.
 * Private to tracer/format.
 */
#ifndef TRACER_FORMAT_TEXT_H
#define TRACER_FORMAT_TEXT_H

#include <stddef.h>
#include "tracer/format/block.h"
#include "tracer/format/trace.h"

#define HAKT_VERSION 1u

/* Writes the text into *out. Returns its size, or 0: no memory. */
size_t hakt_text_from_info(const struct hakt_info *info, struct hakt_bytes *out);
size_t hakt_text_from_totals(const struct hakt_totals *t, const struct hakt_thread_drops *drops,
                             size_t ndrops, struct hakt_bytes *out);

/* The drops of a trailer; owned. All zero = none. */
struct hakt_drop_list {
    struct hakt_thread_drops *p;
    size_t n, cap;
};

/* Parses n bytes of text; text[n] must be writable. The strings of *info point into text, which
 * is changed. Unknown keys are skipped. 0, or HAKC_ECORRUPT or HAKC_EUNSUPPORTED with *why. */
int hakt_text_to_info(char *text, size_t n, struct hakt_info *info, const char **why);
int hakt_text_to_totals(char *text, size_t n, struct hakt_totals *t, struct hakt_drop_list *drops,
                        const char **why);

#endif
