/*
 * The words of a stream, 64 bits each.
 *
 * An op:       bits 0-3 kind, bit 4 HAKR_PUBLISH, bit 5 HAKR_WIDE, bits 16-31 size, bits 32-63
 *              slot. With HAKR_WIDE a second word follows: bits 0-55 size, bits 56-63 log2 of the
 *              alignment. So an op costs 8 bytes; 16 with an alignment, or with 64 KiB and more.
 *              Where it begins a bundle, bits 4-15 are the bundle instead, 4 or more.
 *
 * HAKR_CONTROL is no call. Its bits 4-5 say what it is, and its value stands in bits 16-63:
 *   HAKR_WAIT      a hand-over: the producer's thread (14 bits) and the position to wait for
 *   HAKR_EPOCH     the epoch that the thread enters
 *   HAKR_TIME      the recorded time, in ns: told to an allocator that takes it, waited for in a
 *                  replay at recorded times
 *   HAKR_TIME_FAR  the same from 3 days on, in units of 256 ns
 *
 * A bundle is up to HAKR_BUNDLE_MAX ops in a row that are simple: a malloc of 1 to HAKR_SIMPLE_MAX
 * bytes or a free, nothing published. Its first word says which they are, by their pattern: a 1 bit
 * followed by one bit an op, the first one highest: 1 = malloc, 0 = free. So the driver takes one
 * unpredictable branch a bundle, not one an op (drive_time.c). Of the 4,096 values of the field the
 * flags of other words take the first four, so the last two patterns are none: a bundle ends with
 * the tenth malloc in a row from its start.
 */
#ifndef REPLAY_PLAN_WORDS_H
#define REPLAY_PLAN_WORDS_H

#include <stdint.h>

enum hakr_kind {
    HAKR_END = 0,
    HAKR_MALLOC = 1,
    HAKR_CALLOC = 2,
    HAKR_REALLOC = 3,
    HAKR_FREE = 4,
    HAKR_CONTROL = 5,
    HAKR_MEMALIGN = 6,
    HAKR_ALIGNED_ALLOC = 7,
    HAKR_POSIX_MEMALIGN = 8,
    HAKR_VALLOC = 9,
    HAKR_PVALLOC = 10,
    HAKR_REALLOCARRAY = 11,
    HAKR_FREE_NULL = 12,
    HAKR_REALLOC_NEW = 13,      /* realloc(NULL, size) */
    HAKR_REALLOC_ZERO = 14,     /* realloc(p, 0) that gave no object */
    HAKR_REALLOCARRAY_NEW = 15, /* reallocarray(NULL, 1, size) */
};

#define HAKR_KIND_MASK    15u
#define HAKR_PUBLISH      16u
#define HAKR_WIDE         32u
#define HAKR_SIZE_SHIFT   16
#define HAKR_SIZE_MAX     ((1u << 16) - 1) /* in the word itself */
#define HAKR_WIDE_MAX     ((UINT64_C(1) << 56) - 1)
#define HAKR_BUNDLE_SHIFT 4
#define HAKR_BUNDLE_LEAST 4u /* of the field; less are flags */
#define HAKR_BUNDLE_MAX   11u
#define HAKR_PATTERN_FULL 2047u /* from this pattern on no op is added */
#define HAKR_PATTERN_MAX  4093u
#define HAKR_BUNDLE_MASK  UINT64_C(0xfff0)
#define HAKR_TAIL_WORDS   32u /* that may be read behind a stream: of no meaning */
#define HAKR_SIMPLE_MAX   4096u

#define HAKR_CONTROL_MASK (HAKR_PUBLISH | HAKR_WIDE)
#define HAKR_WAIT         0u
#define HAKR_EPOCH        HAKR_PUBLISH
#define HAKR_TIME         HAKR_WIDE
#define HAKR_TIME_FAR     (HAKR_PUBLISH | HAKR_WIDE)
#define HAKR_CONTROL_MAX  ((UINT64_C(1) << 48) - 1)
#define HAKR_FAR_SHIFT    8 /* of HAKR_TIME_FAR */
#define HAKR_THREAD_BITS  14
#define HAKR_POSITION_MAX ((UINT64_C(1) << 34) - 1)

static inline unsigned hakr_word_kind(uint64_t w) {
    return (unsigned)w & HAKR_KIND_MASK;
}
static inline uint32_t hakr_word_slot(uint64_t w) {
    return (uint32_t)(w >> 32);
}
static inline uint64_t hakr_word_size(uint64_t w) {
    return (uint32_t)w >> HAKR_SIZE_SHIFT;
}
/* The field of a bundle with that pattern (2 and more), and the pattern of the bundle that a word
 * begins; 0 = it begins none. */
static inline uint64_t hakr_bundle_field(unsigned pattern) {
    return (uint64_t)(pattern - 2 + HAKR_BUNDLE_LEAST) << HAKR_BUNDLE_SHIFT;
}
static inline unsigned hakr_word_bundle(uint64_t w) {
    unsigned field = (uint16_t)w >> HAKR_BUNDLE_SHIFT;
    return field >= HAKR_BUNDLE_LEAST ? field - HAKR_BUNDLE_LEAST + 2 : 0;
}
/* The word without the bundle that it begins: an op by itself, with its flags. */
static inline uint64_t hakr_word_alone(uint64_t w) {
    return hakr_word_bundle(w) != 0 ? w & ~HAKR_BUNDLE_MASK : w;
}
static inline uint64_t hakr_wide_size(uint64_t w) {
    return w & HAKR_WIDE_MAX;
}
static inline unsigned hakr_wide_align(uint64_t w) {
    return (unsigned)(w >> 56);
}

/* A control word: of which sort, and what it holds. */
static inline unsigned hakr_control_sort(uint64_t w) {
    return (unsigned)w & HAKR_CONTROL_MASK;
}
static inline uint64_t hakr_control_value(uint64_t w) {
    return w >> HAKR_SIZE_SHIFT;
}
static inline uint64_t hakr_control_word(unsigned sort, uint64_t value) {
    return HAKR_CONTROL | sort | value << HAKR_SIZE_SHIFT;
}
static inline uint64_t hakr_time_word(uint64_t ns) {
    if (ns <= HAKR_CONTROL_MAX)
        return hakr_control_word(HAKR_TIME, ns);
    ns >>= HAKR_FAR_SHIFT;
    return hakr_control_word(HAKR_TIME_FAR, ns < HAKR_CONTROL_MAX ? ns : HAKR_CONTROL_MAX);
}
static inline uint64_t hakr_wait_word(uint32_t thread, uint64_t position) {
    return hakr_control_word(HAKR_WAIT, thread | position << HAKR_THREAD_BITS);
}
static inline uint32_t hakr_wait_thread(uint64_t w) {
    return (uint32_t)hakr_control_value(w) & ((1u << HAKR_THREAD_BITS) - 1);
}
static inline uint64_t hakr_wait_position(uint64_t w) {
    return hakr_control_value(w) >> HAKR_THREAD_BITS;
}

/* Words that the op (or control) starting with w takes. */
static inline unsigned hakr_word_length(uint64_t w) {
    return hakr_word_kind(w) != HAKR_CONTROL && (hakr_word_alone(w) & HAKR_WIDE) != 0 ? 2 : 1;
}

/* Whether the op of word w, which begins no bundle, may stand in one, and as what (0 or 1); -1 =
 * no. */
static inline int hakr_simple_bit(uint64_t w) {
    if ((w & (HAKR_KIND_MASK | HAKR_PUBLISH)) == HAKR_FREE)
        return 0;
    if ((w & (HAKR_KIND_MASK | HAKR_PUBLISH | HAKR_WIDE)) != HAKR_MALLOC)
        return -1;
    return hakr_word_size(w) - 1 < HAKR_SIMPLE_MAX ? 1 : -1;
}

#endif
