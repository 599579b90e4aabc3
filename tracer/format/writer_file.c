#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tracer/format/text.h"
#include "tracer/format/writer.h"

/* Recording has to keep up with the program: level 3 writes tens of millions of records a second,
 * and the columns leave little for the higher ones to gain (docs/trace-format.md has the figures).
 */
#define DEFAULT_LEVEL 3

#define PIECE (32u << 10) /* bytes of content that are compressed between two pauses */

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
            return hakc_fail_errno(err, HAKC_EIO, "cannot write the trace %s", w->path);
        }
        done += (size_t)put;
    }
    __atomic_fetch_add(&w->bytes, n, __ATOMIC_RELAXED);
    return 0;
}

/* One frame, in pieces, between which the caller may do something else. A zstd error code, or the
 * size. */
static size_t compress(struct hakt_writer *w, uint8_t *frame, size_t room, const uint8_t *content,
                       size_t n) {
    if (w->pause == NULL || n <= PIECE)
        return ZSTD_compress2(w->cctx, frame, room, content, n);
    ZSTD_outBuffer out = {frame, room, 0};
    size_t rc = ZSTD_CCtx_setPledgedSrcSize(w->cctx, n);
    for (size_t at = 0; at < n && !ZSTD_isError(rc); at += PIECE) {
        int last = n - at <= PIECE;
        ZSTD_inBuffer in = {content + at, last ? n - at : PIECE, 0};
        rc = ZSTD_compressStream2(w->cctx, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        w->pause(w->pause_ctx);
    }
    return ZSTD_isError(rc) ? rc : out.pos;
}

int hakt_writer_put_block(struct hakt_writer *w, struct hakt_block *b, const uint8_t *content,
                          size_t n, struct hakc_err *err) {
    size_t bound = ZSTD_compressBound(n);
    if (hakt_bytes_reserve(&w->block, HAKT_BLOCK_HEAD + bound) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for a block of the trace");
    uint8_t *frame = w->block.p + HAKT_BLOCK_HEAD;
    size_t packed = compress(w, frame, bound, content, n);
    if (ZSTD_isError(packed))
        return hakc_fail(err, HAKC_EINTERNAL, "zstd: %s", ZSTD_getErrorName(packed));
    b->sequence = w->sequence;
    b->frame_bytes = packed;
    b->content_bytes = n;
    b->frame_crc = hakt_crc32(frame, packed);
    hakt_block_put(w->block.p, b);
    int rc = write_all(w, w->block.p, HAKT_BLOCK_HEAD + packed, err);
    w->sequence += rc == 0;
    return rc;
}

int hakt_writer_block(struct hakt_writer *w, struct hakt_block *b, const uint8_t *content, size_t n,
                      struct hakc_err *err) {
    b->threads = hakt_writer_threads(w);
    int rc = hakt_writer_put_block(w, b, content, n, err);
    if (rc != 0)
        w->failed = rc;
    return rc;
}

uint32_t hakt_writer_threads(const struct hakt_writer *w) {
    return (uint32_t)(w->tally.totals.threads > w->event_threads ? w->tally.totals.threads
                                                                 : w->event_threads);
}

struct hakt_block hakt_writer_state_block(const struct hakt_writer *w, uint8_t kind) {
    return (struct hakt_block){.kind = kind,
                               .first_record = w->written.records,
                               .first_id = w->written.allocs + 1,
                               .first_time = w->written.end_time,
                               .last_time = w->written.end_time};
}

void hakt_writer_set_pause(struct hakt_writer *w, void (*fn)(void *), void *ctx) {
    w->pause = fn;
    w->pause_ctx = ctx;
}

int hakt_writer_given_up(const struct hakt_writer *w, struct hakc_err *err) {
    return hakc_fail(err, w->failed, "the trace %s was given up after an error", w->path);
}

static void writer_free(struct hakt_writer *w) {
    if (w == NULL)
        return;
    ZSTD_freeCCtx(w->cctx);
    hakt_encoder_free(w->encoder);
    hakt_sizes_fini(&w->sizes);
    hakt_writer_end_thread(w);
    free(w->job.content.p);
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
    w->fd = w->is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return hakc_fail_errno(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO, "cannot create %s",
                               path);
    /* Standard output may be a file opened for append or at an offset: leave its length alone. */
    w->regular = !w->is_stdout && fstat(w->fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!w->regular)
        return 0;
    /* Two recordings into one file would be none. */
    if (flock(w->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(w->fd);
        return hakc_fail(err, HAKC_EBUSY, "%s is being written by another process", path);
    }
    if (ftruncate(w->fd, 0) != 0) {
        int rc = hakc_fail_errno(err, HAKC_EIO, "cannot empty %s", path);
        close(w->fd);
        return rc;
    }
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
    struct hakt_block b = hakt_writer_state_block(w, HAKT_BLOCK_HEADER);
    if (n == 0)
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for the header of a trace");
    else
        rc = hakt_writer_block(w, &b, w->content.p, n, err);
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
    struct hakt_block b = hakt_writer_state_block(w, HAKT_BLOCK_INDEX);
    if (hakt_bytes_reserve(&w->content, w->index_bytes + 1) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the index of the trace");
    if (w->index_bytes > 0)
        memcpy(w->content.p, w->index.p, w->index_bytes);
    int rc = hakt_writer_block(w, &b, w->content.p, w->index_bytes, err);
    if (rc != 0)
        return rc;
    tail.trailer_offset = w->bytes;
    b = hakt_writer_state_block(w, HAKT_BLOCK_TRAILER);
    size_t n = hakt_text_from_totals(&w->written, w->drops, w->drops_count, &w->content);
    if (n == 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the trailer of the trace");
    rc = hakt_writer_block(w, &b, w->content.p, n, err);
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
    int joined = hakt_writer_join(w, rc == 0 ? err : NULL);
    rc = rc != 0 ? rc : joined;
    if (w->failed != 0) {
        /* A full disk may still have room for the few bytes that make the file complete up to its
         * last whole chunk. */
        if (rc == 0)
            rc = hakt_writer_given_up(w, err);
        lost = w->n + w->lost;
    }
    if (end != NULL) {
        w->written.dropped = end->dropped;
        w->written.stamped = end->stamped;
        w->written.end_reason = end->end_reason;
        w->written.exit_status = end->exit_status;
    }
    if (w->written.dropped != UINT64_MAX)
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
    w->written.file_bytes = w->bytes;
    if (totals != NULL)
        *totals = w->written;
    writer_free(w);
    return rc;
}
