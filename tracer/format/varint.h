/*
 * Variable-length integers (little-endian base 128) and little-endian fixed ones: the numbers of
 * the trace format. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_VARINT_H
#define TRACER_FORMAT_VARINT_H

#include <stdint.h>
#include <string.h>

#define HAKT_VARINT_MAX 10 /* bytes of the longest uint64_t */

/* Writes v at p, which has room for HAKT_VARINT_MAX bytes. Returns the byte after it. Without a
 * branch on the length below 2^28: lengths of sizes and times are what no CPU can foresee. */
static inline uint8_t *hakt_put_varint(uint8_t *p, uint64_t v) {
    if (__builtin_expect(v < 1u << 28, 1)) {
        uint32_t x = (uint32_t)v, more = (31 - (uint32_t)__builtin_clz(x | 1)) / 7;
        x = (x & 0x7f) | (x << 1 & 0x7f00) | (x << 2 & 0x7f0000) | (x << 3 & 0x7f000000);
        x |= 0x80808080u & ((1u << 8 * more) - 1);
        p[0] = (uint8_t)x;
        p[1] = (uint8_t)(x >> 8);
        p[2] = (uint8_t)(x >> 16);
        p[3] = (uint8_t)(x >> 24);
        return p + 1 + more;
    }
    while (v >= 0x80) {
        *p++ = (uint8_t)v | 0x80;
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* The longer forms of hakt_get_varint. */
static inline const uint8_t *hakt_get_varint_long(const uint8_t *p, const uint8_t *end,
                                                  uint64_t *v) {
    uint64_t x = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            return NULL; /* more than 64 bits */
        x |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = x;
            return p;
        }
    }
    return NULL;
}

/* Reads a number from [p, end). Returns the byte after it, or NULL: it ends early or is too big. */
static inline const uint8_t *hakt_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v) {
    if (__builtin_expect(p < end && *p < 0x80, 1)) {
        *v = *p;
        return p + 1;
    }
    if (__builtin_expect(end - p >= 2 && p[1] < 0x80, 1)) {
        *v = (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
        return p + 2;
    }
    return hakt_get_varint_long(p, end, v);
}

static inline void hakt_put_u32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void hakt_put_u64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t hakt_get_u32(const uint8_t *p) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static inline uint64_t hakt_get_u64(const uint8_t *p) {
    return hakt_get_u32(p) | (uint64_t)hakt_get_u32(p + 4) << 32;
}

#endif
