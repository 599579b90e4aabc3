/* The inside of a reader, shared with the check (verify.c). Private to tracer/format. */
#ifndef TRACER_FORMAT_READER_H
#define TRACER_FORMAT_READER_H

#include <stddef.h>
#include <stdint.h>
#include "tracer/format/block.h"
#include "tracer/format/chunk.h"
#include "tracer/format/text.h"
#include "tracer/format/trace.h"

struct hakt_index_entry {
    uint64_t offset;
    uint64_t first_record;
    uint64_t first_id;
    uint64_t first_time;
    uint64_t last_time;
};

struct hakt_reader {
    struct hakt_file file;
    char *path;
    char *header; /* the text that info's strings point into */
    struct hakt_info info;
    struct hakt_totals totals;
    struct hakt_drop_list drops;
    int rebuilt;
    uint64_t first_chunk; /* offset of the block after the header */
    uint64_t end;         /* offset of the end of what was understood */
    struct hakt_index_entry *index;
    size_t chunks, index_cap;
    uint64_t records;  /* in all chunks */
    uint64_t next_id;  /* after them */
    size_t next;       /* chunk that hakt_reader_next decodes */
    size_t parts_left; /* records of the chunk before it that hakt_reader_next_part has to decode */
    int stop_code;     /* why the walk ended before the end of the file, or 0 */
    struct hakc_err stop;
    /* events: the block after the one that is being read, and what is left of that one */
    uint64_t events_at;
    uint64_t event_block; /* offset of that one */
    struct hakt_bytes events;
    const uint8_t *event_next, *event_end;
    int event_first; /* the next one is the first of its block */
    struct hakt_event event;
    void *dctx;
    struct hakt_decoder *decoder;
    struct hakt_rec *recs;
    size_t recs_cap;
    struct hakt_bytes packed;
    struct hakt_bytes content;
};

/* Whether a valid tail stands at `offset`. */
int hakt_reader_is_tail(const struct hakt_reader *r, uint64_t offset);

#endif
