/* The inside of a reader, shared with the check (verify.c). Private to tracer/format. */
#ifndef TRACER_FORMAT_READER_H
#define TRACER_FORMAT_READER_H

#include <stddef.h>
#include <stdint.h>
#include "tracer/format/block.h"
#include "tracer/format/chunk.h"
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
    int rebuilt;
    uint64_t first_chunk; /* offset of the block after the header */
    uint64_t end;         /* offset of the end of what was understood */
    struct hakt_index_entry *index;
    size_t chunks, index_cap;
    uint64_t records; /* in all chunks */
    uint64_t next_id; /* after them */
    size_t next;      /* chunk that hakt_reader_next decodes */
    int stop_code;    /* why the walk ended before the end of the file, or 0 */
    struct hakc_err stop;
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
