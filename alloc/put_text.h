/*
 * Text without stdio and without allocating: into a buffer that counts what does not fit, or
 * through a small buffer into a sink.
 */
#ifndef ALLOC_PUT_TEXT_H
#define ALLOC_PUT_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct hak_text {
    char *buf;
    size_t len, used; /* without a sink, used counts what did not fit as well */
    void (*sink)(void *ctx, const char *buf,
                 size_t n); /* NULL: none; else called where buf is full */
    void *ctx;
};

/* The format knows %s (const char *), %u (uint64_t) and %%; all else stands for itself. */
void hak_text(struct hak_text *t, const char *format, ...);

/* What is left in the buffer goes into the sink. */
void hak_text_end(struct hak_text *t);

#endif
