/*
 * The .rep traces of CMU's malloc lab: four header lines (suggested heap size, number of ids,
 * number of ops, weight), then "a ID SIZE", "r ID SIZE", "f ID". "f -1" frees NULL.
 */
#include <string.h>
#include "tracer/import_plain.h"

static int header(struct hakt_plain *p, uint64_t *ids, uint64_t *ops) {
    uint64_t value[4];
    for (int i = 0; i < 4; i++) {
        char *line;
        int rc = hakt_plain_line(p, &line);
        if (rc != 0)
            return rc;
        if (line == NULL)
            return hakt_plain_fail(p, "the file ends inside its four header lines");
        const char *end = hakt_plain_number(line, 10, &value[i]);
        if (end == NULL || *end != '\0')
            return hakt_plain_fail(p, "not a number: a .rep file begins with four of them, a line "
                                      "each: heap size, ids, ops, weight");
    }
    *ids = value[1];
    *ops = value[2];
    return 0;
}

static int put_op(struct hakt_plain *p, const char *line, uint64_t ids) {
    uint64_t id, size = 0;
    char op = line[0];
    if ((op != 'a' && op != 'r' && op != 'f') || line[1] != ' ')
        return hakt_plain_fail(p, "not an op: \"a ID SIZE\", \"r ID SIZE\" or \"f ID\"");
    const char *s = line + 2;
    while (*s == ' ')
        s++;
    if (op == 'f' && strcmp(s, "-1") == 0)
        return hakt_plain_free(p, 0);
    s = hakt_plain_number(s, 10, &id);
    if (s != NULL && op != 'f')
        s = hakt_plain_number(s, 10, &size);
    if (s == NULL || *s != '\0')
        return hakt_plain_fail(p, "the numbers of the op are missing, too many or too large");
    if (id >= ids)
        return hakt_plain_fail(p, "the id is not below the number of ids in the header");
    id++; /* a name is never 0 */
    if (op == 'a')
        return hakt_plain_is_live(p, id) ? hakt_plain_fail(p, "the id is allocated already")
                                         : hakt_plain_alloc(p, HAKT_MALLOC, 0, id, size);
    if (op == 'f')
        return hakt_plain_is_live(p, id) ? hakt_plain_free(p, id)
                                         : hakt_plain_fail(p, "the id is not allocated");
    uint64_t old = hakt_plain_is_live(p, id) ? id : 0; /* else as realloc(NULL, SIZE) */
    return old != 0 && size == 0 ? hakt_plain_realloc_to_nothing(p, old)
                                 : hakt_plain_alloc(p, HAKT_REALLOC, old, id, size);
}

static int run(struct hakt_plain *p) {
    uint64_t ids = 0, ops = 0, done = 0;
    char *line;
    int rc = header(p, &ids, &ops);
    while (rc == 0 && (rc = hakt_plain_line(p, &line)) == 0 && line != NULL) {
        if (done++ == ops)
            return hakt_plain_fail(p, "more ops than the header says");
        rc = put_op(p, line, ids);
    }
    if (rc == 0 && done < ops)
        return hakt_plain_fail(p, "the file ends here, with fewer ops than the header says");
    return rc;
}

int hakt_import_rep(const char *input, const char *output, int level, int exact_ids,
                    struct hakt_import_result *result, struct hakc_err *err) {
    (void)exact_ids; /* always: an id that is used twice at a time is an error */
    return hakt_plain_import("malloc lab .rep", input, output, level, HAKT_EXACT_IDS, 0, run, NULL,
                             result, err);
}
