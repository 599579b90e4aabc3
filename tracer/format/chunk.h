/*
 * The content of a chunk: records as columns. docs/trace-format.md has the layout; the encoder and
 * the decoder are each other's inverse. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_CHUNK_H
#define TRACER_FORMAT_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include "tracer/format/block.h"
#include "tracer/format/trace.h"

/* Pinned: the numbers in the file, in the order in which the columns stand. A reader may skip a
 * column that it does not know if its number has the top bit; any other it must refuse. */
enum hakt_column {
    HAKT_COL_THREADS = 1,  /* thread directory */
    HAKT_COL_SCHEDULE = 2, /* (place in the directory, run length) */
    HAKT_COL_OP = 3,       /* by thread: op and flags */
    HAKT_COL_SIZE = 4,     /* by thread: size + 1 */
    HAKT_COL_OWN = 5,      /* by thread: distance to an allocation of the same thread and chunk */
    HAKT_COL_FAR = 6,      /* in order: distance to any other allocation */
    HAKT_COL_ALIGN = 7,    /* in order: log2 */
    HAKT_COL_TIME = 8,     /* in order: ns since the record before */
    HAKT_COL_COUNT
};
#define HAKT_COL_SKIPPABLE 0x80u

enum hakt_encoding {
    HAKT_ENC_BYTES = 0,  /* one byte a value */
    HAKT_ENC_VARINT = 1, /* LEB128 */
};

#define HAKT_CODE_FLAGS_SHIFT 4 /* op | flags << 4 */

struct hakt_encoder;

/* The encoder takes records one by one and keeps columns, not records: what it knows of a chunk is
 * what it will write. NULL: no memory. */
struct hakt_encoder *hakt_encoder_new(void);
void hakt_encoder_free(struct hakt_encoder *e);

/* Adds the next record, which passes hakt_rec_check, to the chunk: at most HAKT_CHUNK_MAX. Its id,
 * if any, is the next one (from 1), its old id below that. HAKC_ENOMEM: no more can come of this
 * chunk. */
int hakt_encoder_add(struct hakt_encoder *e, const struct hakt_rec *r);

/* Bytes of content that the chunk has so far, at the most. */
size_t hakt_encoder_bytes(const struct hakt_encoder *e);

/* Writes the content of the chunk, of at least one record, into *out and begins the next. Returns
 * the size, or 0: no memory. */
size_t hakt_encoder_finish(struct hakt_encoder *e, struct hakt_bytes *out);

struct hakt_decoder;

struct hakt_decoder *hakt_decoder_new(void);
void hakt_decoder_free(struct hakt_decoder *d);

/* Decodes the content of chunk b, behind which HAKT_CONTENT_SLACK bytes can be read, into recs,
 * which has room for b->records. 0, HAKC_ENOMEM,
 * HAKC_EUNSUPPORTED or HAKC_ECORRUPT with the reason in *why. Trusts nothing in the content; what
 * comes out passes hakt_rec_check, has threads, ids and times in range, and the counts of *b. */
int hakt_decode_chunk(struct hakt_decoder *d, const struct hakt_block *b, const uint8_t *content,
                      struct hakt_rec *recs, const char **why);

/* The same in parts: begin, then some until *n = 0 or b->records have come. The content stays in
 * place meanwhile; the chunk as a whole is checked with its last part. */
int hakt_decode_begin(struct hakt_decoder *d, const struct hakt_block *b, const uint8_t *content,
                      const char **why);
int hakt_decode_some(struct hakt_decoder *d, struct hakt_rec *recs, size_t most, size_t *n,
                     const char **why);

#endif
