/* The inside of a writer: writer.c takes records, writer_file.c has the file. Private to
 * tracer/format. */
#ifndef TRACER_FORMAT_WRITER_H
#define TRACER_FORMAT_WRITER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <zstd.h>
#include "tracer/format/block.h"
#include "tracer/format/encode.h"
#include "tracer/format/event.h"
#include "tracer/format/record.h"
#include "tracer/format/trace.h"

/* A chunk that the writer's thread compresses and writes while the next one is filled. */
struct hakt_job {
    int pending;             /* under way, or done and not yet joined; the caller's */
    struct hakt_block block; /* from here on the thread's while it is under way */
    struct hakt_bytes content;
    size_t bytes;              /* of content */
    struct hakt_totals totals; /* of the trace with it */
    uint64_t records;
    int rc;
    struct hakc_err err;
};

struct hakt_writer_thread {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int busy, quit; /* under the lock */
};

struct hakt_writer {
    int fd;
    int is_stdout;
    int regular;       /* a file that can be truncated to the last whole block */
    uint64_t time_max; /* 0 without times */
    int failed;        /* enum hakc_code of the first failure: nothing is written any more */
    uint64_t bytes;    /* of whole blocks in the file */
    uint32_t sequence;
    ZSTD_CCtx *cctx;
    void (*pause)(void *); /* may be NULL */
    void *pause_ctx;
    struct hakt_encoder *encoder;
    struct hakt_tally tally;
    struct hakt_totals written; /* the totals as of the last chunk in the file */
    struct hakt_sizes sizes;    /* unused if every size is given by hakt_write_sized */
    size_t n;                   /* records of the chunk being filled; at most HAKT_CHUNK_MAX */
    uint64_t first_record;      /* of the chunk being filled */
    uint64_t first_id;
    uint64_t first_time;
    uint64_t next_id;
    uint64_t time;     /* of the last record */
    uint64_t time_min; /* of the last record or event: none may come before */
    uint64_t event_threads;
    struct hakt_event_out events;
    const struct hakt_thread_drops *drops; /* the caller's */
    size_t drops_count;
    struct hakt_bytes content;
    struct hakt_bytes block;
    struct hakt_bytes index; /* entries of the chunks so far */
    size_t index_bytes;
    struct hakt_writer_thread *thread; /* NULL: chunks are written by whoever fills them */
    struct hakt_job job;
    uint64_t lost;  /* records of a chunk that could not be written */
    char path[256]; /* for messages */
};

/* Compresses content[0..n) and writes it as one block. The caller has filled in what *b says about
 * records, ids and times. A failure is kept in w->failed. */
int hakt_writer_block(struct hakt_writer *w, struct hakt_block *b, const uint8_t *content, size_t n,
                      struct hakc_err *err);

/* The same, but b->threads is set and w->failed is left as it is: for any thread. */
int hakt_writer_put_block(struct hakt_writer *w, struct hakt_block *b, const uint8_t *content,
                          size_t n, struct hakc_err *err);
uint32_t hakt_writer_threads(const struct hakt_writer *w);
void hakt_writer_end_thread(struct hakt_writer *w);

/* The same for the chunk in w->content, by the thread if there is one: then a failure shows at the
 * next join. totals are those of the trace with it. */
int hakt_writer_chunk(struct hakt_writer *w, struct hakt_block *b, size_t n,
                      const struct hakt_totals *totals, struct hakc_err *err);

/* Waits for the thread to have written what it was given. */
int hakt_writer_join(struct hakt_writer *w, struct hakc_err *err);

/* A block that holds no records: says where in the stream it stands. */
struct hakt_block hakt_writer_state_block(const struct hakt_writer *w, uint8_t kind);

/* The error of a writer that has failed before. */
int hakt_writer_given_up(const struct hakt_writer *w, struct hakc_err *err);

#endif
