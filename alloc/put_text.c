/* See put_text.h. */
#include "alloc/put_text.h"
#include <stdarg.h>

static void put(struct hak_text *t, char c) {
    if (t->used < t->len)
        t->buf[t->used] = c;
    t->used++;
    if (t->sink && t->used == t->len)
        hak_text_end(t);
}

static void put_string(struct hak_text *t, const char *s) {
    while (*s)
        put(t, *s++);
}

static void put_number(struct hak_text *t, uint64_t v) {
    char digits[20];
    unsigned n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n > 0)
        put(t, digits[--n]);
}

void hak_text(struct hak_text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(t, *format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(t, va_arg(args, const char *));
            break;
        case 'u':
            put_number(t, va_arg(args, uint64_t));
            break;
        default:
            put(t, *format);
        }
    }
    va_end(args);
}

void hak_text_end(struct hak_text *t) {
    if (t->sink && t->used > 0) {
        t->sink(t->ctx, t->buf, t->used);
        t->used = 0;
    }
}
