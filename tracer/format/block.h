/*
 * Blocks: how a trace file is framed. A block is a zstd skippable frame with a fixed block header,
 * followed by one zstd frame with the content. The file ends with a tail, a skippable frame of
 * fixed size. docs/trace-format.md has the byte tables. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_BLOCK_H
#define TRACER_FORMAT_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "tracer/format/trace.h"

#define HAKT_SKIPPABLE_MAGIC 0x184D2A5Bu
#define HAKT_BLOCK_HEAD      104u /* bytes: the skippable frame, its own 8 bytes included */
#define HAKT_TAIL_SIZE       48u

#define HAKT_FRAME_MAX     (1ull << 32) /* of any block; the kinds have tighter limits */
#define HAKT_TEXT_MAX      (1u << 20)   /* content of header and trailer */
#define HAKT_CHUNK_BYTES   (HAKT_CHUNK_MAX * 64u + (1u << 16)) /* content of a chunk */
#define HAKT_CONTENT_SLACK 16         /* bytes readable behind the content of a block in memory */
#define HAKT_INDEX_ENTRY   40u        /* content bytes of the index, a chunk */
#define HAKT_THREAD_LIMIT  (1u << 20) /* thread numbers lie below this */

/* Pinned: the numbers in the file. */
enum hakt_block_kind {
    HAKT_BLOCK_HEADER = 1,
    HAKT_BLOCK_CHUNK = 2,
    HAKT_BLOCK_INDEX = 3,
    HAKT_BLOCK_TRAILER = 4,
    HAKT_BLOCK_EVENTS = 5,
};

#define HAKT_BLOCK_CRITICAL 1u /* flag: a reader that does not know the kind must give up */

struct hakt_block {
    uint8_t kind;
    uint8_t flags;
    uint32_t sequence;      /* blocks before this one */
    uint64_t frame_bytes;   /* of the zstd frame that follows */
    uint64_t content_bytes; /* of it, decompressed */
    /* What the chunk holds; in other kinds the state at this place of the file, with records, ids
     * and a time range of nothing. */
    uint64_t first_record;
    uint64_t records;
    uint64_t first_id; /* the next id before the chunk */
    uint64_t ids;      /* allocations in it */
    uint64_t first_time;
    uint64_t last_time;
    uint32_t threads;   /* highest thread number up to the end of this block, plus 1 */
    uint32_t frame_crc; /* CRC-32 of the zstd frame's bytes */
};

struct hakt_tail {
    uint64_t index_offset;
    uint64_t trailer_offset;
    uint64_t tail_offset; /* where the tail itself stands */
};

/* CRC-32 (IEEE 802.3, as zlib's crc32). */
uint32_t hakt_crc32(const uint8_t *p, size_t n);

void hakt_block_put(uint8_t out[HAKT_BLOCK_HEAD], const struct hakt_block *b);

/* Parses a block header and checks its magic, its checksum and the limits of its kind. 0 or
 * HAKC_ECORRUPT, with the reason in *why. */
int hakt_block_get(const uint8_t in[HAKT_BLOCK_HEAD], struct hakt_block *b, const char **why);

void hakt_tail_put(uint8_t out[HAKT_TAIL_SIZE], const struct hakt_tail *t);
int hakt_tail_get(const uint8_t in[HAKT_TAIL_SIZE], struct hakt_tail *t); /* 0 or HAKC_ECORRUPT */

/* Bytes, owned; grown by hakt_bytes_reserve, which may move them. HAKC_ENOMEM. */
struct hakt_bytes {
    uint8_t *p;
    size_t cap;
};
int hakt_bytes_reserve(struct hakt_bytes *b, size_t need);

/* A file that is read by position. */
struct hakt_file {
    int fd;
    const char *path;
    uint64_t size;
};

/* Reads exactly n bytes. HAKC_EIO, or HAKC_ETRUNCATED where the file has become shorter. */
int hakt_file_read(const struct hakt_file *f, uint64_t offset, void *buf, size_t n,
                   struct hakc_err *err);

/* Reads and checks the block header at `offset`. HAKC_ETRUNCATED: the header or the frame that it
 * announces passes the end of the file. */
int hakt_file_block(const struct hakt_file *f, uint64_t offset, struct hakt_block *b,
                    struct hakc_err *err);

/* Reads the content of a block whose header stands at `offset`, by way of *packed, into *content,
 * which has HAKT_CONTENT_SLACK bytes more. dctx is a ZSTD_DCtx. */
int hakt_file_content(const struct hakt_file *f, uint64_t offset, const struct hakt_block *b,
                      void *dctx, struct hakt_bytes *packed, struct hakt_bytes *content,
                      struct hakc_err *err);

/* Checks the frame's CRC alone. */
int hakt_file_frame_crc(const struct hakt_file *f, uint64_t offset, const struct hakt_block *b,
                        struct hakc_err *err);

#endif
