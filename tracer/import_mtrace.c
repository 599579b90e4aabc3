/*
 * The log of glibc's mtrace(3): "@ CALLER + PTR SIZE", "@ CALLER - PTR", a realloc as
 * "@ CALLER < OLD" and then "@ CALLER > NEW SIZE", one that failed as "@ CALLER ! OLD SIZE", and
 * "= Start", "= End". "@ CALLER" may be missing. calloc and the aligned ones look like malloc.
 */
#include <string.h>
#include "tracer/import_plain.h"

struct op {
    char kind;
    uint64_t pointer, size;
};

/* The word that ends at `end` (not included) in line: where it begins. */
static char *word_before(char *line, char *end) {
    while (end > line && end[-1] != ' ')
        end--;
    return end;
}

static const char *pointer_or_nil(const char *s, uint64_t *v) {
    *v = 0;
    return strcmp(s, "(nil)") == 0 ? s + 5 : hakt_plain_number(s, 16, v);
}

/* Sizes and pointers are written by %#lx and %p: 0 without 0x. */
static const char *parse(char *line, struct op *op) {
    char *end = line + strlen(line), *words[3];
    int n = 0;
    /* From the end, as the caller is a path and may have spaces. */
    while (n < 3 && end > line) {
        words[n] = word_before(line, end);
        end = words[n++];
        while (end > line && end[-1] == ' ')
            *--end = '\0';
    }
    op->size = 0;
    if (n >= 2 && (strcmp(words[1], "-") == 0 || strcmp(words[1], "<") == 0)) {
        op->kind = *words[1];
        return pointer_or_nil(words[0], &op->pointer) != NULL ? NULL : "not a pointer";
    }
    if (n < 3 || words[2][1] != '\0' || strchr("+>!", *words[2]) == NULL)
        return "not a line of an mtrace log";
    op->kind = *words[2];
    if (pointer_or_nil(words[1], &op->pointer) == NULL)
        return "not a pointer";
    return hakt_plain_number(words[0], 16, &op->size) != NULL ? NULL : "not a size";
}

static int next_op(struct hakt_plain *p, struct op *op, int *more) {
    char *line;
    int rc;
    do {
        rc = hakt_plain_line(p, &line);
        *more = line != NULL;
        if (rc != 0 || line == NULL)
            return rc;
    } while (line[0] == '=');
    const char *why = parse(line, op);
    return why != NULL ? hakt_plain_fail(p, why) : 0;
}

static int put_realloc(struct hakt_plain *p, uint64_t old) {
    struct op op;
    int more, rc = next_op(p, &op, &more);
    if (rc != 0)
        return rc;
    if (!more || op.kind != '>')
        return hakt_plain_fail(p, "\"< OLD\" without \"> NEW SIZE\" behind it");
    if (op.pointer == 0 && op.size == 0)
        return hakt_plain_realloc_to_nothing(p, old);
    return hakt_plain_alloc(p, HAKT_REALLOC, old, op.pointer, op.size);
}

static int put_op(struct hakt_plain *p, const struct op *op) {
    switch (op->kind) {
    case '-':
        return hakt_plain_free(p, op->pointer);
    case '<':
        return put_realloc(p, op->pointer);
    case '!':
        return hakt_plain_alloc(p, HAKT_REALLOC, op->pointer, 0, op->size);
    case '+':
        return hakt_plain_alloc(p, HAKT_MALLOC, 0, op->pointer, op->size);
    default:
        return hakt_plain_fail(p, "\"> NEW SIZE\" without \"< OLD\" before it");
    }
}

static int run(struct hakt_plain *p) {
    struct op op;
    int more, rc;
    while ((rc = next_op(p, &op, &more)) == 0 && more && (rc = put_op(p, &op)) == 0)
        ;
    return rc;
}

int hakt_import_mtrace(const char *input, const char *output, int level, int exact_ids,
                       struct hakt_import_result *result, struct hakc_err *err) {
    return hakt_plain_import("mtrace(3)", input, output, level, exact_ids ? HAKT_EXACT_IDS : 0, 0,
                             run, NULL, result, err);
}
