/* What the fuzz targets that read traces share. */
#ifndef TESTS_FUZZ_TRACE_H
#define TESTS_FUZZ_TRACE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tracer/format/block.h"
#include "tracer/format/varint.h"

/* Makes the framing of the bytes right as far as they reach. */
static inline void fuzz_repair(uint8_t *p, size_t n) {
    size_t at = 0;
    for (uint32_t sequence = 0; at + HAKT_BLOCK_HEAD <= n; sequence++) {
        uint8_t *h = p + at;
        uint64_t room = n - at - HAKT_BLOCK_HEAD, frame = hakt_get_u64(h + 24);
        if (frame > room)
            frame = room;
        hakt_put_u32(h, HAKT_SKIPPABLE_MAGIC);
        hakt_put_u32(h + 4, HAKT_BLOCK_HEAD - 8);
        memcpy(h + 8, "HAKT", 4);
        hakt_put_u32(h + 16, sequence);
        hakt_put_u64(h + 24, frame);
        hakt_put_u32(h + 96, hakt_crc32(h + HAKT_BLOCK_HEAD, frame));
        hakt_put_u32(h + 100, hakt_crc32(h, 100));
        at += HAKT_BLOCK_HEAD + frame;
    }
}

/* The bytes become the content of the file fd, as they are or repaired. */
static inline void fuzz_put_trace(int fd, const uint8_t *data, size_t size, int repaired) {
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (repaired)
        fuzz_repair(copy, size);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, copy, size, 0) != (ssize_t)size)
        abort();
    free(copy);
}

#endif
