/* Texts of the emitter: UTF-8, widths, escaping. */
#include "common/out_int.h"

#include <math.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

unsigned utf8_next(const char *text, uint32_t *cp) {
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* shorter forms are invalid */
    unsigned n = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    uint32_t c = n == 1 ? s[0] : n ? s[0] & (0x7fu >> n) : 0;
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            n = 0;
            break;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        *cp = 0xfffd;
        return 1;
    }
    *cp = c;
    return n;
}

struct range {
    uint32_t low, high;
};

static int in_ranges(uint32_t c, const struct range *r, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].low && c <= r[i].high)
            return 1;
    return 0;
}

/* Coarse ranges of Unicode's East Asian Width and of combining marks: a table only has to line
 * up for what stands in commands and paths. wcwidth() is not used: it depends on the locale. */
unsigned utf8_columns(uint32_t c) {
    static const struct range zero[] = {
        {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},  {0x1ab0, 0x1aff},
        {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},  {0x20d0, 0x20ff},
        {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};
    static const struct range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                        {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
                                        {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                        {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff},
                                        {0x20000, 0x3fffd}};
    if (c < 0x300)
        return 1;
    if (in_ranges(c, zero, sizeof zero / sizeof *zero))
        return 0;
    return in_ranges(c, wide, sizeof wide / sizeof *wide) ? 2 : 1;
}

unsigned hakc_text_width(const char *text) {
    unsigned w = 0;
    uint32_t c;
    while (*text) {
        text += utf8_next(text, &c);
        w += utf8_columns(c);
    }
    return w;
}

char *text_for_terminal(const char *text) {
    char *copy = malloc(4 * strlen(text) + 1), *at = copy; /* "\x1b" is the longest: 4 for 1 */
    uint32_t c;
    if (!copy)
        return NULL;
    while (*text) {
        unsigned n = utf8_next(text, &c);
        if (c == 0xfffd && n == 1)
            at += sprintf(at, "\xef\xbf\xbd");
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            at += sprintf(at, "\\x%02x", c);
        else {
            memcpy(at, text, n);
            at += n;
        }
        text += n;
    }
    *at = '\0';
    return copy;
}

unsigned out_put_cut(struct hakc_out *o, const char *text, unsigned columns) {
    unsigned w = hakc_text_width(text), room = w > columns && columns ? columns - 1 : columns;
    unsigned used = 0;
    uint32_t c;
    const char *end = text;
    while (*end) {
        unsigned n = utf8_next(end, &c);
        if (used + utf8_columns(c) > room)
            break;
        used += utf8_columns(c);
        end += n;
    }
    if (end > text && fwrite(text, 1, (size_t)(end - text), o->f) != (size_t)(end - text))
        out_fail(o, HAKC_EIO);
    if (*end && columns) {
        out_put(o, "\xe2\x80\xa6"); /* … */
        used++;
    }
    return used;
}

void out_json_string(struct hakc_out *o, const char *text) {
    char buf[16];
    uint32_t c;
    out_put(o, "\"");
    while (*text) {
        unsigned n = utf8_next(text, &c);
        if (c == '"' || c == '\\')
            snprintf(buf, sizeof buf, "\\%c", (char)c);
        else if (c == '\n')
            snprintf(buf, sizeof buf, "\\n");
        else if (c == '\t')
            snprintf(buf, sizeof buf, "\\t");
        else if (c < 0x20 || c == 0x7f || (c == 0xfffd && n == 1))
            snprintf(buf, sizeof buf, "\\u%04x", c);
        else
            snprintf(buf, sizeof buf, "%.*s", (int)n, text);
        out_put(o, buf);
        text += n;
    }
    out_put(o, "\"");
}

/* The shortest text that reads back as the same number. */
static void put_double(struct hakc_out *o, double v) {
    char buf[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    out_put(o, buf);
}

static void put_number(struct hakc_out *o, const struct cell *c) {
    char buf[32];
    if (c->kind == CELL_FLOAT) {
        put_double(o, c->v.d);
        return;
    }
    if (c->kind == CELL_UINT)
        snprintf(buf, sizeof buf, "%" PRIu64, c->v.u);
    else
        snprintf(buf, sizeof buf, "%" PRId64, c->v.i);
    out_put(o, c->kind == CELL_BOOL ? c->v.i ? "true" : "false" : buf);
}

void out_json_cell(struct hakc_out *o, const struct cell *c) {
    if (c->kind == CELL_NULL)
        out_put(o, "null");
    else if (c->kind == CELL_STR)
        out_json_string(o, c->v.s);
    else
        put_number(o, c);
}

void out_csv_string(struct hakc_out *o, const char *text) {
    char buf[8];
    uint32_t c;
    size_t len = strlen(text);
    int quote = len == 0 || strpbrk(text, ",\"\r\n") || text[0] == ' ' || text[len - 1] == ' ';
    if (quote)
        out_put(o, "\"");
    while (*text) {
        unsigned n = utf8_next(text, &c);
        if (c == 0xfffd && n == 1)
            out_put(o, "\xef\xbf\xbd");
        else {
            snprintf(buf, sizeof buf, "%.*s", (int)n, text);
            out_put(o, buf);
            if (c == '"')
                out_put(o, "\"");
        }
        text += n;
    }
    if (quote)
        out_put(o, "\"");
}

void out_csv_cell(struct hakc_out *o, const struct cell *c) {
    if (c->kind == CELL_STR)
        out_csv_string(o, c->v.s);
    else if (c->kind != CELL_NULL) /* an empty field without quotes: not measured */
        put_number(o, c);
}
