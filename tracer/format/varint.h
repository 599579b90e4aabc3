/*
 * Variable-length integers (little-endian base 128) and little-endian fixed ones: the numbers of
 * the trace format. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_VARINT_H
#define TRACER_FORMAT_VARINT_H

#include <stdint.h>
#include <string.h>

#define HAKT_VARINT_MAX 10 /* bytes of the longest uint64_t */

/* The longer forms of hakt_put_varint. */
static inline uint8_t *hakt_put_varint_long(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)v | 0x80;
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Writes v at p, which has room for HAKT_VARINT_MAX bytes. Returns the byte after it. Without a
 * branch between one and two bytes: which of them a size or a time takes is what no CPU can
 * foresee. */
static inline uint8_t *hakt_put_varint(uint8_t *p, uint64_t v) {
    if (__builtin_expect(v >= 1u << 14, 0))
        return hakt_put_varint_long(p, v);
    unsigned two = v >= 0x80;
    p[0] = (uint8_t)((v & 0x7f) | two << 7);
    p[1] = (uint8_t)(v >> 7);
    return p + 1 + two;
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
    return hakt_get_varint_long(p, end, v);
}

/* The same where HAKT_VARINT_MAX bytes can be read at p, whether they are numbers or not. Does not
 * branch between one byte and two, as hakt_put_varint. NULL: it is too big. */
static inline const uint8_t *hakt_get_varint_slack(const uint8_t *p, uint64_t *v) {
    unsigned two = p[0] >> 7;
    if (__builtin_expect(two & p[1] >> 7, 0))
        return hakt_get_varint_long(p, p + HAKT_VARINT_MAX, v);
    *v = (p[0] & 0x7fu) | ((unsigned)p[1] << 7 & -two);
    return p + 1 + two;
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
