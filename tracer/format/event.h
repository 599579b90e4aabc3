/*
 * The content of an event block: see docs/trace-format.md. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_EVENT_H
#define TRACER_FORMAT_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include "tracer/format/block.h"
#include "tracer/format/trace.h"

#define HAKT_EVENT_ARGS  4
#define HAKT_EVENT_BYTES 128u /* of the longest event, and more */

/* Events on their way into a block. All zero = empty. */
struct hakt_event_out {
    struct hakt_bytes bytes;
    size_t n;
    uint64_t count;
    uint64_t time, record; /* of the event before, also of the block before */
};

/* Appends an event whose time and record number are not below those of the one before. HAKC_ENOMEM.
 */
int hakt_event_put(struct hakt_event_out *out, const struct hakt_event *e);

/* Takes the next event off [*p, end). *e holds the one before it and becomes the next; `first` is 1
 * at the start of a block. 0, or HAKC_ECORRUPT with the reason in *why. */
int hakt_event_get(const uint8_t **p, const uint8_t *end, int first, struct hakt_event *e,
                   const char **why);

#endif
