#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include "tracer/format/block.h"
#include "tracer/format/encode.h"
#include "tracer/format/event.h"
#include "tracer/format/record.h"
#include "tracer/format/text.h"
#include "tracer/format/trace.h"
#include "tracer/format/varint.h"

/* Recording has to keep up with the program: level 3 writes tens of millions of records a second,
 * and the columns leave little for the higher ones to gain (docs/trace-format.md has the figures).
 */
#define DEFAULT_LEVEL 3

#define EVENTS_FULL (1u << 16) /* bytes of events that make a block */

struct hakt_writer {
    int fd;
    int is_stdout;
    int regular;       /* a file that can be truncated to the last whole block */
    uint64_t time_max; /* 0 without times */
    int failed;        /* enum hakc_code of the first failure: nothing is written any more */
    uint64_t bytes;    /* of whole blocks in the file */
    uint32_t sequence;
    ZSTD_CCtx *cctx;
    struct hakt_encoder *encoder;
    struct hakt_tally tally;
    struct hakt_totals written; /* the totals as of the last chunk in the file */
    struct hakt_sizes sizes;    /* unused if every size is given by hakt_write_sized */
    size_t n;                   /* records of the chunk being filled; at most HAKT_CHUNK_MAX */
    uint64_t first_id;          /* of the chunk being filled */
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
    char path[256]; /* for messages */
};

/* write(2) all of it. What a full disk leaves of a block is cut off again. */
static int write_all(struct hakt_writer *w, const uint8_t *p, size_t n, struct hakc_err *err) {
    size_t done = 0;
    while (done < n) {
        ssize_t put = write(w->fd, p + done, n - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int saved = errno;
            if (w->regular && done > 0 && ftruncate(w->fd, (off_t)w->bytes) == 0)
                lseek(w->fd, (off_t)w->bytes, SEEK_SET);
            errno = saved;
            w->failed = hakc_fail_errno(err, HAKC_EIO, "cannot write the trace %s", w->path);
            return w->failed;
        }
        done += (size_t)put;
    }
    w->bytes += n;
    return 0;
}

/* Compresses content[0..n) and writes it as one block. The caller has filled in what *b says
 * about records, ids and times. */
static int write_block(struct hakt_writer *w, struct hakt_block *b, const uint8_t *content,
                       size_t n, struct hakc_err *err) {
    size_t bound = ZSTD_compressBound(n);
    if (hakt_bytes_reserve(&w->block, HAKT_BLOCK_HEAD + bound) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a block of the trace");
        return w->failed;
    }
    uint8_t *frame = w->block.p + HAKT_BLOCK_HEAD;
    size_t packed = ZSTD_compress2(w->cctx, frame, bound, content, n);
    if (ZSTD_isError(packed)) {
        w->failed = hakc_fail(err, HAKC_EINTERNAL, "zstd: %s", ZSTD_getErrorName(packed));
        return w->failed;
    }
    b->sequence = w->sequence;
    b->frame_bytes = packed;
    b->content_bytes = n;
    b->threads = (uint32_t)(w->tally.totals.threads > w->event_threads ? w->tally.totals.threads
                                                                       : w->event_threads);
    b->frame_crc = hakt_crc32(frame, packed);
    hakt_block_put(w->block.p, b);
    int rc = write_all(w, w->block.p, HAKT_BLOCK_HEAD + packed, err);
    w->sequence += rc == 0;
    return rc;
}

/* A block that holds no records: says where in the stream it stands. */
static struct hakt_block state_block(const struct hakt_writer *w, uint8_t kind) {
    return (struct hakt_block){.kind = kind,
                               .first_record = w->written.records,
                               .first_id = w->written.allocs + 1,
                               .first_time = w->written.end_time,
                               .last_time = w->written.end_time};
}

static int index_add(struct hakt_writer *w, uint64_t offset, const struct hakt_block *b) {
    if (hakt_bytes_reserve(&w->index, w->index_bytes + HAKT_INDEX_ENTRY) != 0)
        return HAKC_ENOMEM;
    uint8_t *p = w->index.p + w->index_bytes;
    hakt_put_u64(p, offset);
    hakt_put_u64(p + 8, b->first_record);
    hakt_put_u64(p + 16, b->first_id);
    hakt_put_u64(p + 24, b->first_time);
    hakt_put_u64(p + 32, b->last_time);
    w->index_bytes += HAKT_INDEX_ENTRY;
    return 0;
}

static int given_up(const struct hakt_writer *w, struct hakc_err *err) {
    return hakc_fail(err, w->failed, "the trace %s was given up after an error", w->path);
}

static int flush_events(struct hakt_writer *w, struct hakc_err *err) {
    struct hakt_block b = state_block(w, HAKT_BLOCK_EVENTS);
    if (w->events.n == 0)
        return 0;
    int rc = write_block(w, &b, w->events.bytes.p, w->events.n, err);
    w->events.n = 0;
    if (rc == 0) {
        w->written.events = w->events.count;
        if (w->written.threads < w->event_threads)
            w->written.threads = w->event_threads;
    }
    return rc;
}

int hakt_write_event(struct hakt_writer *w, const struct hakt_event *e, struct hakc_err *err) {
    struct hakt_event event = *e;
    event.record = w->written.records + w->n;
    if (w->failed != 0)
        return given_up(w, err);
    if (e->thread >= HAKT_THREAD_LIMIT || e->time < w->time_min || e->time > w->time_max)
        return hakc_fail(
            err, HAKC_EINTERNAL,
            "an event of the trace %s cannot be: its thread number is too high, or its "
            "time runs backwards",
            w->path);
    if (hakt_event_put(&w->events, &event) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for the events of the trace");
        return w->failed;
    }
    w->time_min = e->time;
    if (e->thread >= w->event_threads)
        w->event_threads = (uint64_t)e->thread + 1;
    return w->events.n < EVENTS_FULL ? 0 : flush_events(w, err);
}

/* The events stand before the chunk, so that a reader of a file that is cut behind it has them. */
int hakt_writer_flush(struct hakt_writer *w, struct hakc_err *err) {
    if (w->failed != 0)
        return given_up(w, err);
    int rc = flush_events(w, err);
    if (rc != 0 || w->n == 0)
        return rc;
    struct hakt_block b = {.kind = HAKT_BLOCK_CHUNK,
                           .first_record = w->written.records,
                           .records = w->n,
                           .first_id = w->first_id,
                           .ids = w->next_id - w->first_id,
                           .first_time = w->first_time,
                           .last_time = w->time};
    uint64_t offset = w->bytes;
    size_t bytes = hakt_encoder_finish(w->encoder, &w->content);
    hakt_tally_chunk_end(&w->tally, w->n, w->time);
    if (bytes == 0 || hakt_sizes_next_chunk(&w->sizes, w->next_id) != 0 ||
        index_add(w, offset, &b) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of the trace");
        return w->failed;
    }
    rc = write_block(w, &b, w->content.p, bytes, err);
    if (rc != 0) {
        w->index_bytes -= HAKT_INDEX_ENTRY;
        return rc;
    }
    w->tally.totals.events = w->written.events; /* events that are in the file */
    if (w->tally.totals.threads < w->event_threads)
        w->tally.totals.threads = w->event_threads;
    w->written = w->tally.totals;
    w->first_id = w->next_id;
    w->n = 0;
    return 0;
}

static int reject(struct hakc_err *err, const struct hakt_writer *w, const char *why) {
    return hakc_fail(err, HAKC_EINTERNAL, "record %llu of the trace %s cannot be: %s",
                     (unsigned long long)(w->written.records + w->n), w->path, why);
}

/* NULL, or why the record cannot be the next. */
static const char *misfit(const struct hakt_writer *w, const struct hakt_rec *rec) {
    const char *why = hakt_rec_check(rec);
    if (why != NULL)
        return why;
    if (rec->id != 0 && rec->id != w->next_id)
        return "its id is not the next one";
    if (rec->old_id >= w->next_id)
        return "its old id was not allocated yet";
    if (rec->time < w->time_min || rec->time > w->time_max)
        return "its time runs backwards, or the trace has no times";
    if (rec->thread >= HAKT_THREAD_LIMIT)
        return "its thread number is too high";
    return NULL;
}

/* Any record that fits. */
static int writer_add(struct hakt_writer *w, const struct hakt_rec *rec, unsigned consumed,
                      uint64_t old_size, struct hakc_err *err) {
    if (w->failed != 0)
        return given_up(w, err);
    const char *why = misfit(w, rec);
    if (why != NULL)
        return reject(err, w, why);
    if (hakt_encoder_add(w->encoder, rec) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of the trace");
        return w->failed;
    }
    hakt_tally_add(&w->tally, rec, consumed, old_size);
    if (w->n++ == 0)
        w->first_time = rec->time;
    w->time = w->time_min = rec->time;
    w->next_id += rec->id != 0;
    return w->n < HAKT_CHUNK_MAX ? 0 : hakt_writer_flush(w, err);
}

static inline void plain_malloc(struct hakt_writer *w, const struct hakt_rec *rec) {
    struct hakt_tally *t = &w->tally;
    hakt_encoder_malloc(w->encoder, rec->time, rec->size);
    w->next_id++;
    t->totals.ops_by_kind[HAKT_MALLOC]++;
    t->totals.allocs++;
    t->live_bytes += rec->size;
    if (t->live_bytes > t->totals.peak_live_bytes)
        t->totals.peak_live_bytes = t->live_bytes;
    if (++t->live_objects > t->totals.peak_live_objects)
        t->totals.peak_live_objects = t->live_objects;
}

static inline void plain_free(struct hakt_writer *w, const struct hakt_rec *rec, unsigned consumed,
                              uint64_t old_size) {
    struct hakt_tally *t = &w->tally;
    hakt_encoder_free_op(w->encoder, rec->time, rec->old_id);
    t->totals.ops_by_kind[HAKT_FREE]++;
    t->totals.frees += consumed;
    t->live_objects -= consumed;
    t->live_bytes -= old_size;
}

/* The quick way for a plain malloc or free that fits, by the thread of the record before, and does
 * not fill the chunk. 0 = it is none. */
static inline int writer_add_plain(struct hakt_writer *w, const struct hakt_rec *rec,
                                   unsigned consumed, uint64_t old_size) {
    if (w->encoder->room < 2 || rec->thread != w->encoder->current ||
        (rec->flags | rec->align_log2) != 0 || rec->time < w->time_min || rec->time > w->time_max)
        return 0;
    if (rec->op == HAKT_FREE && (rec->id | rec->size) == 0 && rec->old_id < w->next_id)
        plain_free(w, rec, consumed, consumed ? old_size : 0);
    else if (rec->op == HAKT_MALLOC && rec->old_id == 0 && rec->id == w->next_id &&
             rec->size != UINT64_MAX)
        plain_malloc(w, rec);
    else
        return 0;
    w->time = w->time_min = rec->time;
    w->n++;
    return 1;
}

int hakt_write_sized(struct hakt_writer *w, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err) {
    unsigned consumed = hakt_rec_consumes(rec);
    if (__builtin_expect(writer_add_plain(w, rec, consumed, old_size), 1))
        return 0;
    return writer_add(w, rec, consumed, old_size, err);
}

int hakt_write(struct hakt_writer *w, const struct hakt_rec *rec, struct hakc_err *err) {
    const char *why = w->failed == 0 ? misfit(w, rec) : NULL;
    if (why != NULL)
        return reject(err, w, why);
    uint64_t size = 0;
    unsigned consumed = hakt_rec_consumes(rec) && hakt_sizes_take(&w->sizes, rec->old_id, &size);
    if (rec->id != 0 && w->failed == 0)
        hakt_sizes_put(&w->sizes, rec->id, rec->size);
    if (writer_add_plain(w, rec, consumed, size))
        return 0;
    return writer_add(w, rec, consumed, size, err);
}

void hakt_writer_set_drops(struct hakt_writer *w, const struct hakt_thread_drops *drops, size_t n) {
    w->drops = drops;
    w->drops_count = n;
}

uint64_t hakt_writer_next_id(const struct hakt_writer *w) {
    return w->next_id;
}

uint64_t hakt_writer_bytes(const struct hakt_writer *w) {
    return w->bytes;
}

static void writer_free(struct hakt_writer *w) {
    if (w == NULL)
        return;
    ZSTD_freeCCtx(w->cctx);
    hakt_encoder_free(w->encoder);
    hakt_sizes_fini(&w->sizes);
    free(w->events.bytes.p);
    free(w->content.p);
    free(w->block.p);
    free(w->index.p);
    free(w);
}

static struct hakt_writer *writer_new(int level) {
    struct hakt_writer *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->fd = -1;
    w->next_id = w->first_id = 1;
    w->written.exit_status = w->tally.totals.exit_status = UINT32_MAX;
    w->cctx = ZSTD_createCCtx();
    w->encoder = hakt_encoder_new();
    if (w->cctx == NULL || w->encoder == NULL || hakt_sizes_init(&w->sizes) != 0 ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->cctx, ZSTD_c_compressionLevel,
                                            level != 0 ? level : DEFAULT_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->cctx, ZSTD_c_checksumFlag, 1))) {
        writer_free(w);
        return NULL;
    }
    return w;
}

static int writer_create(struct hakt_writer *w, const char *path, struct hakc_err *err) {
    struct stat st;
    w->is_stdout = strcmp(path, "-") == 0;
    strncpy(w->path, w->is_stdout ? "(standard output)" : path, sizeof(w->path) - 1);
    w->fd =
        w->is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return hakc_fail_errno(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO, "cannot create %s",
                               path);
    /* Standard output may be a file opened for append or at an offset: leave its length alone. */
    w->regular = !w->is_stdout && fstat(w->fd, &st) == 0 && S_ISREG(st.st_mode);
    return 0;
}

int hakt_writer_open(struct hakt_writer **out, const char *path, const struct hakt_info *info,
                     int level, struct hakc_err *err) {
    *out = NULL;
    struct hakt_writer *w = writer_new(level);
    if (w == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for writing a trace");
    int rc = writer_create(w, path, err);
    if (rc != 0) {
        writer_free(w);
        return rc;
    }
    w->time_max = info->fidelity & HAKT_HAS_TIMES ? UINT64_MAX : 0;
    size_t n = hakt_text_from_info(info, &w->content);
    struct hakt_block b = state_block(w, HAKT_BLOCK_HEADER);
    if (n == 0)
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for the header of a trace");
    else
        rc = write_block(w, &b, w->content.p, n, err);
    if (rc != 0) {
        if (w->regular)
            unlink(path);
        if (!w->is_stdout)
            close(w->fd);
        writer_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

/* Index, trailer and tail. */
static int writer_finish(struct hakt_writer *w, struct hakc_err *err) {
    struct hakt_tail tail = {.index_offset = w->bytes};
    struct hakt_block b = state_block(w, HAKT_BLOCK_INDEX);
    if (hakt_bytes_reserve(&w->content, w->index_bytes + 1) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the index of the trace");
    if (w->index_bytes > 0)
        memcpy(w->content.p, w->index.p, w->index_bytes);
    int rc = write_block(w, &b, w->content.p, w->index_bytes, err);
    if (rc != 0)
        return rc;
    tail.trailer_offset = w->bytes;
    b = state_block(w, HAKT_BLOCK_TRAILER);
    size_t n = hakt_text_from_totals(&w->written, w->drops, w->drops_count, &w->content);
    if (n == 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the trailer of the trace");
    rc = write_block(w, &b, w->content.p, n, err);
    if (rc != 0)
        return rc;
    uint8_t bytes[HAKT_TAIL_SIZE];
    tail.tail_offset = w->bytes;
    hakt_tail_put(bytes, &tail);
    return write_all(w, bytes, sizeof(bytes), err);
}

int hakt_writer_close(struct hakt_writer *w, const struct hakt_totals *end,
                      struct hakt_totals *totals, struct hakc_err *err) {
    uint64_t lost = 0;
    int rc = w->failed == 0 ? hakt_writer_flush(w, err) : 0;
    if (w->failed != 0) {
        /* A full disk may still have room for the few bytes that make the file complete up to its
         * last whole chunk. */
        if (rc == 0)
            rc = given_up(w, err);
        lost = w->n;
    }
    if (end != NULL) {
        w->written.dropped = end->dropped;
        w->written.end_reason = end->end_reason;
        w->written.exit_status = end->exit_status;
    }
    w->written.dropped += lost;
    if (rc != 0) {
        w->written.end_reason = HAKT_END_LIMIT;
        if (w->regular)
            writer_finish(w, NULL);
    } else {
        rc = writer_finish(w, err);
    }
    if (w->regular && fsync(w->fd) != 0 && rc == 0)
        rc = hakc_fail_errno(err, HAKC_EIO, "cannot write the trace %s", w->path);
    if (!w->is_stdout && close(w->fd) != 0 && rc == 0)
        rc = hakc_fail_errno(err, HAKC_EIO, "cannot write the trace %s", w->path);
    if (totals != NULL)
        *totals = w->written;
    writer_free(w);
    return rc;
}
