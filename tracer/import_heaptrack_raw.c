/*
 * What heaptrack records, before heaptrack_interpret: "+ SIZE TRACE PTR" and "- PTR", hexadecimal,
 * with the very addresses, so that each free is matched to its object. A realloc is a "-" and a "+"
 * in it, an aligned allocation a "+". Times ("c MS") come some 10 ms apart, too far for lifetimes,
 * and are left out; so are stacks and modules. Threads are not in there.
 */
#include <string.h>
#include "tracer/import_plain.h"

#define TEXT_LINE_MAX 65536 /* a module has a line with all its parts */

static int put_line(struct hakt_plain *p, const char *line) {
    uint64_t size, trace, pointer;
    if (strchr("vxXImtcRAS#", line[0]) != NULL &&
        (line[1] == ' ' || line[1] == '\0' || *line == '#'))
        return 0;
    if ((line[0] != '+' && line[0] != '-') || line[1] != ' ')
        return hakt_plain_fail(p, "not a line of heaptrack's raw data");
    const char *s = line + 2;
    if (line[0] == '-') {
        s = hakt_plain_number(s, 16, &pointer);
        return s != NULL && *s == '\0'
                   ? hakt_plain_free(p, pointer)
                   : hakt_plain_fail(p, "\"- PTR\" has another number of numbers");
    }
    s = hakt_plain_number(s, 16, &size);
    s = s != NULL ? hakt_plain_number(s, 16, &trace) : NULL;
    s = s != NULL ? hakt_plain_number(s, 16, &pointer) : NULL;
    if (s == NULL || *s != '\0')
        return hakt_plain_fail(p, "\"+ SIZE TRACE PTR\" has another number of numbers: data that "
                                  "heaptrack_interpret made are imported with -f heaptrack");
    return pointer != 0 ? hakt_plain_alloc(p, HAKT_MALLOC, 0, pointer, size)
                        : hakt_plain_fail(p, "an allocation without an address");
}

static int run(struct hakt_plain *p) {
    char *line;
    int rc;
    while ((rc = hakt_plain_line(p, &line)) == 0 && line != NULL && (rc = put_line(p, line)) == 0)
        ;
    return rc;
}

int hakt_import_heaptrack_raw(const char *input, const char *output, int level, int exact_ids,
                              struct hakt_import_result *result, struct hakc_err *err) {
    return hakt_plain_import("heaptrack, raw", input, output, level, exact_ids ? HAKT_EXACT_IDS : 0,
                             TEXT_LINE_MAX, run, NULL, result, err);
}
