#include "tracer/import_plain.h"

#include <stdio.h>
#include <string.h>

static int no_memory(struct hakt_plain *p) {
    return hakc_fail(p->err, HAKC_ENOMEM, "no memory for the live set of the recording");
}

int hakt_plain_line(struct hakt_plain *p, char **line) {
    int rc;
    do {
        rc = hakt_lines_next(p->lines, line, p->err);
        if (rc != 0 || *line == NULL)
            return rc;
        for (size_t n = strlen(*line); n > 0 && (*line)[n - 1] == ' ';)
            (*line)[--n] = '\0';
    } while (**line == '\0');
    return 0;
}

int hakt_plain_fail(const struct hakt_plain *p, const char *text) {
    return hakt_lines_fail(p->lines, p->err, text);
}

int hakt_plain_is_live(const struct hakt_plain *p, uint64_t name) {
    return hakc_map_find(&p->live, name) != NULL;
}

/* Takes the object out of the live set, if it is in. */
static void consume(struct hakt_plain *p, struct hakt_rec *r, uint64_t name) {
    if (name != 0 && !hakc_map_take(&p->live, name, &r->old_id))
        r->flags |= HAKT_REC_FOREIGN;
}

int hakt_plain_free(struct hakt_plain *p, uint64_t name) {
    struct hakt_rec r = {.op = HAKT_FREE};
    consume(p, &r, name);
    return hakt_write(p->w, &r, p->err);
}

int hakt_plain_realloc_to_nothing(struct hakt_plain *p, uint64_t old) {
    struct hakt_rec r = {.op = HAKT_REALLOC};
    consume(p, &r, old);
    return hakt_write(p->w, &r, p->err);
}

static int put_failed(struct hakt_plain *p, struct hakt_rec *r, uint64_t old) {
    uint64_t *id = hakc_map_find(&p->live, old);
    r->flags = HAKT_REC_FAILED;
    if (id != NULL)
        r->old_id = *id;
    else if (old != 0)
        r->flags |= HAKT_REC_FOREIGN;
    return hakt_write(p->w, r, p->err);
}

int hakt_plain_alloc(struct hakt_plain *p, unsigned op, uint64_t old, uint64_t name,
                     uint64_t size) {
    struct hakt_rec r = {.op = (uint8_t)op, .size = size};
    uint64_t other;
    int rc;
    if (name == 0 && size == 0 && op == HAKT_MALLOC) /* nothing asked for, nothing given */
        return hakt_write(p->w, &r, p->err);
    if (name == 0)
        return put_failed(p, &r, old);
    if (size == UINT64_MAX)
        return hakt_plain_fail(p, "an allocation of an impossible size succeeded");
    consume(p, &r, old);
    if (hakc_map_take(&p->live, name, &other)) {
        struct hakt_rec gone = {.op = HAKT_FREE, .flags = HAKT_REC_IMPLIED, .old_id = other};
        p->implied++;
        if ((rc = hakt_write(p->w, &gone, p->err)) != 0)
            return rc;
    }
    r.id = hakt_writer_next_id(p->w);
    if (hakc_map_put(&p->live, name, r.id) != 0)
        return no_memory(p);
    return hakt_write(p->w, &r, p->err);
}

static unsigned digit(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 99;
}

const char *hakt_plain_number(const char *s, unsigned base, uint64_t *v) {
    uint64_t x = 0;
    if (base == 16 && s[0] == '0' && (s[1] | 0x20) == 'x')
        s += 2;
    const char *first = s;
    for (; digit(*s) < base; s++) {
        if (__builtin_mul_overflow(x, (uint64_t)base, &x) ||
            __builtin_add_overflow(x, (uint64_t)digit(*s), &x))
            return NULL;
    }
    if (s == first || (*s != ' ' && *s != '\0'))
        return NULL;
    while (*s == ' ')
        s++;
    *v = x;
    return s;
}

static int import(struct hakt_plain *p, const char *format, const char *input, const char *output,
                  int level, unsigned fidelity, int (*run)(struct hakt_plain *p),
                  struct hakt_import_result *result) {
    char source[512];
    snprintf(source, sizeof(source), "%s: %s", format, input);
    struct hakt_info info = {.fidelity = fidelity | HAKT_EXACT_SIZES | HAKT_IMPORTED,
                             .clock = "none",
                             .tool = "haktrace " HAK_VERSION,
                             .source = source};
    int rc = hakt_writer_open(&p->w, output, &info, level, p->err);
    if (rc != 0)
        return rc;
    rc = run(p);
    result->implied = p->implied;
    return hakt_import_close(p->w, rc, &result->totals, p->err);
}

int hakt_plain_import(const char *format, const char *input, const char *output, int level,
                      unsigned fidelity, size_t line_max, int (*run)(struct hakt_plain *p),
                      void *ctx, struct hakt_import_result *result, struct hakc_err *err) {
    struct hakt_plain p = {.err = err, .ctx = ctx};
    memset(result, 0, sizeof(*result));
    int rc = hakt_lines_open(&p.lines, input, err);
    if (rc != 0)
        return rc;
    if (line_max != 0)
        hakt_lines_allow(p.lines, line_max);
    if (hakc_map_init(&p.live, 0) != 0)
        rc = no_memory(&p);
    else
        rc = import(&p, format, input, output, level, fidelity, run, result);
    hakc_map_fini(&p.live);
    hakt_lines_close(p.lines);
    return rc;
}
