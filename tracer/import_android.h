/* One line of Android's memory_replay text. Private to the importer; its fuzzer uses it too. */
#ifndef TRACER_IMPORT_ANDROID_H
#define TRACER_IMPORT_ANDROID_H

#include <stdint.h>

enum hakt_android_op {
    HAKT_ANDROID_MALLOC,
    HAKT_ANDROID_CALLOC,
    HAKT_ANDROID_REALLOC,
    HAKT_ANDROID_MEMALIGN,
    HAKT_ANDROID_FREE,
    HAKT_ANDROID_THREAD_DONE,
};

struct hakt_android_line {
    uint64_t tid;
    uint64_t pointer; /* what the call returned, or what was freed */
    uint64_t old;     /* realloc */
    uint64_t size;    /* calloc: of an element; UINT64_MAX after an overflow of the product */
    uint64_t align;   /* memalign */
    uint64_t start, end;
    int op;       /* enum hakt_android_op */
    int overflow; /* calloc's product passes 64 bits */
    int has_times;
};

/* Parses a line. NULL, or the reason why it is none. */
const char *hakt_android_parse(const char *line, struct hakt_android_line *out);

#endif
