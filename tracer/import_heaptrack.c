/*
 * What heaptrack_interpret writes. Numbers are hexadecimal: "a SIZE TRACE" defines a class of
 * allocations (the first is class 0), "+ N" allocates one of class N, "- N" frees one. Which one is
 * not said: the latest is taken, and the trace does not claim exact ids. Times ("c MS") come some
 * 10 ms apart, too far for lifetimes, and are left out; so are stacks and strings. Threads,
 * reallocs and alignments are not in there.
 */
#include <stdlib.h>
#include <string.h>
#include "tracer/import_plain.h"

#define TEXT_LINE_MAX 65536 /* names of C++ functions are long */

struct class {
    uint64_t size;
    uint64_t latest; /* id of the latest live one; 0 = none */
};

struct heaptrack {
    struct class *classes;
    uint64_t count, cap;
};

static int add_class(struct hakt_plain *p, uint64_t size) {
    struct heaptrack *h = p->ctx;
    if (size == UINT64_MAX)
        return hakt_plain_fail(p, "an allocation of an impossible size");
    if (h->count == h->cap) {
        uint64_t cap = h->cap == 0 ? 1024 : h->cap * 2;
        struct class *more = realloc(h->classes, cap * sizeof(*more));
        if (more == NULL)
            return hakc_fail(p->err, HAKC_ENOMEM, "no memory for the classes of the recording");
        h->classes = more;
        h->cap = cap;
    }
    h->classes[h->count++] = (struct class){size, 0};
    return 0;
}

/* p->live holds, by the id of a live object, the one of its class before it (0 = none). */
static int put_alloc(struct hakt_plain *p, struct class *c) {
    struct hakt_rec r = {.op = HAKT_MALLOC, .size = c->size, .id = hakt_writer_next_id(p->w)};
    if (hakc_map_put(&p->live, r.id, c->latest) != 0)
        return hakc_fail(p->err, HAKC_ENOMEM, "no memory for the live set of the recording");
    c->latest = r.id;
    return hakt_write(p->w, &r, p->err);
}

static int put_free(struct hakt_plain *p, struct class *c) {
    struct hakt_rec r = {.op = HAKT_FREE, .old_id = c->latest};
    if (c->latest == 0)
        r.flags = HAKT_REC_FOREIGN;
    else
        hakc_map_take(&p->live, c->latest, &c->latest);
    return hakt_write(p->w, &r, p->err);
}

static int put_line(struct hakt_plain *p, const char *line) {
    struct heaptrack *h = p->ctx;
    uint64_t first, second;
    if (strchr("vXIstiSRcA#", line[0]) != NULL &&
        (line[1] == ' ' || line[1] == '\0' || *line == '#'))
        return 0;
    if ((line[0] != 'a' && line[0] != '+' && line[0] != '-') || line[1] != ' ')
        return hakt_plain_fail(p, "not a line of heaptrack's interpreted data");
    const char *s = hakt_plain_number(line + 2, 16, &first);
    if (s != NULL && line[0] == 'a')
        s = hakt_plain_number(s, 16, &second);
    if (s == NULL)
        return hakt_plain_fail(p, "a number is missing or too large");
    if (*s != '\0')
        return hakt_plain_fail(p, "too many numbers: raw data are imported with -f heaptrack-raw");
    if (line[0] == 'a')
        return add_class(p, first);
    if (first >= h->count)
        return hakt_plain_fail(p, "the class was not defined");
    return line[0] == '+' ? put_alloc(p, &h->classes[first]) : put_free(p, &h->classes[first]);
}

static int run(struct hakt_plain *p) {
    char *line;
    int rc;
    while ((rc = hakt_plain_line(p, &line)) == 0 && line != NULL && (rc = put_line(p, line)) == 0)
        ;
    return rc;
}

int hakt_import_heaptrack(const char *input, const char *output, int level, int exact_ids,
                          struct hakt_import_result *result, struct hakc_err *err) {
    struct heaptrack h = {0};
    (void)exact_ids;
    int rc = hakt_plain_import("heaptrack", input, output, level, 0, TEXT_LINE_MAX, run, &h, result,
                               err);
    free(h.classes);
    return rc;
}
