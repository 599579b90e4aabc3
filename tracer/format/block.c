#include "tracer/format/block.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "tracer/format/varint.h"

#define BLOCK_MAGIC "HAKT"
#define TAIL_MAGIC  "HAKTTAIL"

void hakt_block_put(uint8_t out[HAKT_BLOCK_HEAD], const struct hakt_block *b) {
    memset(out, 0, HAKT_BLOCK_HEAD);
    hakt_put_u32(out, HAKT_SKIPPABLE_MAGIC);
    hakt_put_u32(out + 4, HAKT_BLOCK_HEAD - 8);
    memcpy(out + 8, BLOCK_MAGIC, 4);
    out[12] = b->kind;
    out[13] = b->flags;
    hakt_put_u32(out + 16, b->sequence);
    hakt_put_u32(out + 20, b->threads);
    hakt_put_u64(out + 24, b->frame_bytes);
    hakt_put_u64(out + 32, b->content_bytes);
    hakt_put_u64(out + 40, b->first_record);
    hakt_put_u64(out + 48, b->records);
    hakt_put_u64(out + 56, b->first_id);
    hakt_put_u64(out + 64, b->ids);
    hakt_put_u64(out + 72, b->first_time);
    hakt_put_u64(out + 80, b->last_time);
    hakt_put_u32(out + 96, b->frame_crc);
    hakt_put_u32(out + 100, hakt_crc32(out, 100));
}

/* The limits that bound what a reader allocates and counts before it has read the content. */
static const char *block_limits(const struct hakt_block *b) {
    uint64_t content_max = HAKT_FRAME_MAX;
    if (b->kind == HAKT_BLOCK_CHUNK)
        content_max = HAKT_CHUNK_BYTES;
    else if (b->kind == HAKT_BLOCK_HEADER || b->kind == HAKT_BLOCK_TRAILER ||
             b->kind == HAKT_BLOCK_EVENTS)
        content_max = HAKT_TEXT_MAX;
    if (b->content_bytes > content_max)
        return "the block's content is larger than its kind allows";
    if (b->frame_bytes > ZSTD_compressBound(content_max))
        return "the block's frame is larger than its kind allows";
    if (b->threads > HAKT_THREAD_LIMIT)
        return "too many threads";
    if (b->first_record > UINT64_MAX / 4 || b->first_id > UINT64_MAX / 4)
        return "record number or id out of range";
    if (b->kind == HAKT_BLOCK_CHUNK) {
        if (b->records == 0 || b->records > HAKT_CHUNK_MAX)
            return "a chunk with a wrong number of records";
        if (b->ids > b->records)
            return "a chunk with more allocations than records";
        if (b->first_id == 0)
            return "a chunk that starts at id 0";
        if (b->last_time < b->first_time)
            return "a chunk that ends before it starts";
    }
    return NULL;
}

int hakt_block_get(const uint8_t in[HAKT_BLOCK_HEAD], struct hakt_block *b, const char **why) {
    if (hakt_get_u32(in) != HAKT_SKIPPABLE_MAGIC || memcmp(in + 8, BLOCK_MAGIC, 4) != 0) {
        *why = "no block starts here";
        return HAKC_ECORRUPT;
    }
    if (hakt_get_u32(in + 4) != HAKT_BLOCK_HEAD - 8 ||
        hakt_get_u32(in + 100) != hakt_crc32(in, 100)) {
        *why = "the block header's checksum is wrong";
        return HAKC_ECORRUPT;
    }
    b->kind = in[12];
    b->flags = in[13];
    b->sequence = hakt_get_u32(in + 16);
    b->threads = hakt_get_u32(in + 20);
    b->frame_bytes = hakt_get_u64(in + 24);
    b->content_bytes = hakt_get_u64(in + 32);
    b->first_record = hakt_get_u64(in + 40);
    b->records = hakt_get_u64(in + 48);
    b->first_id = hakt_get_u64(in + 56);
    b->ids = hakt_get_u64(in + 64);
    b->first_time = hakt_get_u64(in + 72);
    b->last_time = hakt_get_u64(in + 80);
    b->frame_crc = hakt_get_u32(in + 96);
    *why = block_limits(b);
    return *why == NULL ? 0 : HAKC_ECORRUPT;
}

void hakt_tail_put(uint8_t out[HAKT_TAIL_SIZE], const struct hakt_tail *t) {
    memset(out, 0, HAKT_TAIL_SIZE);
    hakt_put_u32(out, HAKT_SKIPPABLE_MAGIC);
    hakt_put_u32(out + 4, HAKT_TAIL_SIZE - 8);
    memcpy(out + 8, TAIL_MAGIC, 8);
    hakt_put_u64(out + 16, t->index_offset);
    hakt_put_u64(out + 24, t->trailer_offset);
    hakt_put_u64(out + 32, t->tail_offset);
    hakt_put_u32(out + 44, hakt_crc32(out, 44));
}

int hakt_tail_get(const uint8_t in[HAKT_TAIL_SIZE], struct hakt_tail *t) {
    if (hakt_get_u32(in) != HAKT_SKIPPABLE_MAGIC || hakt_get_u32(in + 4) != HAKT_TAIL_SIZE - 8 ||
        memcmp(in + 8, TAIL_MAGIC, 8) != 0 || hakt_get_u32(in + 44) != hakt_crc32(in, 44))
        return HAKC_ECORRUPT;
    t->index_offset = hakt_get_u64(in + 16);
    t->trailer_offset = hakt_get_u64(in + 24);
    t->tail_offset = hakt_get_u64(in + 32);
    return 0;
}

int hakt_bytes_reserve(struct hakt_bytes *b, size_t need) {
    if (need <= b->cap)
        return 0;
    size_t cap = need + need / 4 + 256;
    uint8_t *p = realloc(b->p, cap);
    if (p == NULL)
        return HAKC_ENOMEM;
    b->p = p;
    b->cap = cap;
    return 0;
}
