#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include "tracer/format/reader.h"
#include "tracer/format/text.h"
#include "tracer/format/varint.h"

static void reader_free(struct hakt_reader *r) {
    if (r->file.fd >= 0)
        close(r->file.fd);
    ZSTD_freeDCtx(r->dctx);
    hakt_decoder_free(r->decoder);
    free(r->recs);
    free(r->index);
    free(r->packed.p);
    free(r->content.p);
    free(r->events.p);
    free(r->drops.p);
    free(r->header);
    free(r->path);
    free(r);
}

void hakt_reader_close(struct hakt_reader *r) {
    if (r != NULL)
        reader_free(r);
}

static int reader_file(struct hakt_reader *r, const char *path, struct hakc_err *err) {
    struct stat st;
    r->file.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->file.fd < 0 && errno == ENOENT && strcmp(path, "-") == 0)
        return hakc_fail(err, HAKC_EUSAGE,
                         "a trace is read by position, so not from standard input: give a file");
    if (r->file.fd < 0)
        return hakc_fail_errno(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO, "cannot open %s",
                               path);
    if (fstat(r->file.fd, &st) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return hakc_fail(err, HAKC_EUSAGE, "%s is not a regular file: a trace is read by position",
                         path);
    r->file.size = (uint64_t)st.st_size;
    return 0;
}

/* Reads the header block, which starts the file. */
static int reader_header(struct hakt_reader *r, struct hakc_err *err) {
    struct hakt_block b;
    uint8_t start[12];
    const char *why;
    int rc = 0;
    if (r->file.size == 0)
        return hakc_fail_at(err, HAKC_ETRUNCATED, r->path, 0, "the file is empty");
    if (r->file.size >= sizeof(start))
        rc = hakt_file_read(&r->file, 0, start, sizeof(start), err);
    if (rc == 0 && r->file.size >= sizeof(start) &&
        (hakt_get_u32(start) != HAKT_SKIPPABLE_MAGIC || memcmp(start + 8, "HAKT", 4) != 0))
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, 0, "this is not a trace of haktrace");
    if (rc == 0)
        rc = hakt_file_block(&r->file, 0, &b, err);
    if (rc == 0 && (b.kind != HAKT_BLOCK_HEADER || b.sequence != 0))
        rc = hakc_fail_at(err, HAKC_ECORRUPT, r->path, 0, "the file does not start with a header");
    if (rc == 0)
        rc = hakt_file_content(&r->file, 0, &b, r->dctx, &r->packed, &r->content, err);
    if (rc != 0)
        return rc;
    r->header = malloc(b.content_bytes + 1);
    if (r->header == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the header of %s", r->path);
    memcpy(r->header, r->content.p, b.content_bytes);
    r->header[b.content_bytes] = '\0';
    rc = hakt_text_to_info(r->header, b.content_bytes, &r->info, &why);
    if (rc != 0)
        return hakc_fail_at(err, rc, r->path, 0, "%s", why);
    r->first_chunk = r->events_at = HAKT_BLOCK_HEAD + b.frame_bytes;
    return 0;
}

static int index_grow(struct hakt_reader *r, size_t need) {
    if (need <= r->index_cap)
        return 0;
    size_t cap = need + need / 2 + 64;
    struct hakt_index_entry *more = realloc(r->index, cap * sizeof(*more));
    if (more == NULL)
        return HAKC_ENOMEM;
    r->index = more;
    r->index_cap = cap;
    return 0;
}

static int read_trailer(struct hakt_reader *r, uint64_t offset, const struct hakt_block *b,
                        struct hakc_err *err) {
    const char *why;
    int rc = hakt_file_content(&r->file, offset, b, r->dctx, &r->packed, &r->content, err);
    if (rc != 0)
        return rc;
    rc = hakt_text_to_totals((char *)r->content.p, b->content_bytes, &r->totals, &r->drops, &why);
    if (rc != 0)
        return hakc_fail_at(err, rc, r->path, offset, "%s", why);
    if (r->totals.threads > HAKT_THREAD_LIMIT || r->totals.records != b->first_record ||
        r->totals.allocs != b->first_id - 1)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset,
                            "the trailer contradicts its block header");
    r->rebuilt = 0;
    return 0;
}

/* Takes over the index block's content. Entries must rise and lie in the file: the chunks
 * themselves are held against them when they are read. */
static int read_index(struct hakt_reader *r, uint64_t offset, const struct hakt_block *b,
                      struct hakc_err *err) {
    size_t n = b->content_bytes / HAKT_INDEX_ENTRY;
    if (b->content_bytes % HAKT_INDEX_ENTRY != 0 || n > r->file.size / HAKT_BLOCK_HEAD)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset, "an index of an impossible size");
    int rc = hakt_file_content(&r->file, offset, b, r->dctx, &r->packed, &r->content, err);
    if (rc != 0)
        return rc;
    if (index_grow(r, n) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the index of %s", r->path);
    uint64_t least = r->first_chunk, record = 0, id = 1, time = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = r->content.p + i * HAKT_INDEX_ENTRY;
        struct hakt_index_entry *e = &r->index[i];
        *e = (struct hakt_index_entry){hakt_get_u64(p), hakt_get_u64(p + 8), hakt_get_u64(p + 16),
                                       hakt_get_u64(p + 24), hakt_get_u64(p + 32)};
        if (e->offset < least || e->offset >= offset || (i == 0 && e->first_record != 0) ||
            (i > 0 && (e->first_record <= record || e->first_record - record > HAKT_CHUNK_MAX)) ||
            e->first_id < id || e->first_time < time || e->last_time < e->first_time)
            return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset, "the index is broken");
        least = e->offset + HAKT_BLOCK_HEAD;
        record = e->first_record;
        id = e->first_id;
        time = e->last_time;
    }
    r->chunks = n;
    r->records = b->first_record;
    r->next_id = b->first_id;
    if (n > 0 ? record >= r->records || r->records - record > HAKT_CHUNK_MAX : r->records != 0)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset, "the index is broken");
    return 0;
}

/* Whether a block before `end` is of a kind that must be known and is not, or cannot be read. The
 * index does not name them. */
static int has_critical(const struct hakt_reader *r, uint64_t end) {
    struct hakt_block b;
    for (uint64_t at = r->first_chunk; at < end; at += HAKT_BLOCK_HEAD + b.frame_bytes) {
        if (hakt_file_block(&r->file, at, &b, NULL) != 0 ||
            (b.kind > HAKT_BLOCK_EVENTS && (b.flags & HAKT_BLOCK_CRITICAL)))
            return 1;
    }
    return 0;
}

/* By the tail at the end of the file. Not 0: it is not there, or what it leads to is broken. */
static int reader_from_tail(struct hakt_reader *r) {
    uint8_t bytes[HAKT_TAIL_SIZE];
    struct hakt_tail t;
    struct hakt_block index, trailer;
    if (r->file.size < HAKT_TAIL_SIZE)
        return HAKC_ETRUNCATED;
    uint64_t at = r->file.size - HAKT_TAIL_SIZE;
    if (hakt_file_read(&r->file, at, bytes, sizeof(bytes), NULL) != 0 ||
        hakt_tail_get(bytes, &t) != 0 || t.tail_offset != at ||
        hakt_file_block(&r->file, t.index_offset, &index, NULL) != 0 ||
        hakt_file_block(&r->file, t.trailer_offset, &trailer, NULL) != 0 ||
        index.kind != HAKT_BLOCK_INDEX || trailer.kind != HAKT_BLOCK_TRAILER ||
        read_index(r, t.index_offset, &index, NULL) != 0 ||
        read_trailer(r, t.trailer_offset, &trailer, NULL) != 0)
        return HAKC_ECORRUPT;
    if (r->totals.records != r->records || r->totals.allocs != r->next_id - 1 ||
        r->totals.chunks != r->chunks ||
        (index.sequence != r->chunks + 1 && has_critical(r, t.index_offset)))
        return HAKC_ECORRUPT;
    r->end = r->file.size;
    return 0;
}

/* Whether the bytes at `offset` are a valid tail. */
int hakt_reader_is_tail(const struct hakt_reader *r, uint64_t offset) {
    uint8_t bytes[HAKT_TAIL_SIZE];
    struct hakt_tail t;
    return r->file.size - offset >= HAKT_TAIL_SIZE &&
           hakt_file_read(&r->file, offset, bytes, sizeof(bytes), NULL) == 0 &&
           hakt_tail_get(bytes, &t) == 0 && t.tail_offset == offset;
}

static int walk_chunk(struct hakt_reader *r, uint64_t offset, const struct hakt_block *b,
                      struct hakc_err *err) {
    uint64_t last = r->chunks > 0 ? r->index[r->chunks - 1].last_time : 0;
    if (b->first_record != r->records || b->first_id != r->next_id || b->first_time < last)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset,
                            "the chunk does not continue the one before it");
    if (index_grow(r, r->chunks + 1) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the index of %s", r->path);
    r->index[r->chunks++] = (struct hakt_index_entry){offset, b->first_record, b->first_id,
                                                      b->first_time, b->last_time};
    r->records += b->records;
    r->next_id += b->ids;
    if (r->totals.threads < b->threads)
        r->totals.threads = b->threads;
    r->totals.end_time = b->last_time;
    return 0;
}

static int walk_block(struct hakt_reader *r, uint64_t offset, uint32_t sequence,
                      struct hakt_block *b, struct hakc_err *err) {
    int rc = hakt_file_block(&r->file, offset, b, err);
    if (rc != 0)
        return rc;
    if (b->sequence != sequence)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset,
                            "block %u stands where block %u should", b->sequence, sequence);
    switch (b->kind) {
    case HAKT_BLOCK_CHUNK:
        return walk_chunk(r, offset, b, err);
    case HAKT_BLOCK_TRAILER:
        return read_trailer(r, offset, b, err);
    case HAKT_BLOCK_HEADER:
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset, "a second header");
    case HAKT_BLOCK_EVENTS:
        if (r->totals.threads < b->threads)
            r->totals.threads = b->threads;
        return 0;
    case HAKT_BLOCK_INDEX:
        return 0;
    default:
        if (b->flags & HAKT_BLOCK_CRITICAL)
            return hakc_fail_at(err, HAKC_EUNSUPPORTED, r->path, offset,
                                "a kind of block (%u) that this version does not know", b->kind);
        return 0;
    }
}

static void totals_unknown(struct hakt_totals *t) {
    memset(t, 0xff, sizeof(*t));
    t->threads = 0;
    t->end_time = 0;
    t->end_reason = HAKT_END_UNKNOWN;
}

/* Walks the block headers from the start, for a file whose end is missing or broken. Stops at the
 * first place that cannot be read; what stands before it remains readable. */
static int reader_walk(struct hakt_reader *r, struct hakc_err *err) {
    uint64_t offset = r->first_chunk;
    struct hakt_block b;
    int rc = 0;
    r->chunks = 0;
    r->records = 0;
    r->next_id = 1;
    r->rebuilt = 1;
    r->drops.n = 0;
    totals_unknown(&r->totals);
    for (uint32_t sequence = 1; offset < r->file.size; sequence++) {
        if (hakt_reader_is_tail(r, offset)) {
            offset += HAKT_TAIL_SIZE;
            if (offset < r->file.size)
                rc = hakc_fail_at(&r->stop, HAKC_ECORRUPT, r->path, offset,
                                  "bytes after the end of the trace");
            break;
        }
        rc = walk_block(r, offset, sequence, &b, &r->stop);
        if (rc != 0)
            break;
        offset += HAKT_BLOCK_HEAD + b.frame_bytes;
    }
    if (rc == HAKC_EIO || rc == HAKC_ENOMEM || rc == HAKC_EUNSUPPORTED) {
        if (err != NULL)
            *err = r->stop;
        return rc;
    }
    r->end = offset;
    r->stop_code = rc;
    if (!r->rebuilt && (r->totals.records != r->records || r->totals.allocs != r->next_id - 1 ||
                        r->totals.chunks != r->chunks)) {
        r->rebuilt = 1;
        r->stop_code = hakc_fail_at(&r->stop, HAKC_ECORRUPT, r->path, offset,
                                    "the trailer contradicts the chunks");
        totals_unknown(&r->totals);
        r->totals.threads = HAKT_THREAD_LIMIT; /* at most: no chunk claims more */
    }
    if (r->rebuilt) {
        r->totals.records = r->records;
        r->totals.allocs = r->next_id - 1;
        r->totals.chunks = r->chunks;
    }
    return 0;
}

static struct hakt_reader *reader_new(const char *path) {
    struct hakt_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->file.fd = -1;
    r->path = strdup(path);
    r->file.path = r->path;
    r->dctx = ZSTD_createDCtx();
    r->decoder = hakt_decoder_new();
    if (r->path == NULL || r->dctx == NULL || r->decoder == NULL) {
        reader_free(r);
        return NULL;
    }
    return r;
}

int hakt_reader_open(struct hakt_reader **out, const char *path, struct hakc_err *err) {
    *out = NULL;
    struct hakt_reader *r = reader_new(path);
    if (r == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for reading a trace");
    int rc = reader_file(r, path, err);
    if (rc == 0)
        rc = reader_header(r, err);
    if (rc == 0 && reader_from_tail(r) != 0)
        rc = reader_walk(r, err);
    if (rc != 0) {
        reader_free(r);
        return rc;
    }
    r->totals.file_bytes = r->file.size;
    *out = r;
    return 0;
}
