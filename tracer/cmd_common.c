#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/units.h"
#include "tracer/commands.h"

int hakt_cmd_fail(const struct hakc_err *err) {
    hakc_err_print("haktrace", err);
    return hakc_exit_code(err->code);
}

int hakt_cmd_end_output(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "haktrace: cannot write to standard output: %s\n", strerror(errno));
    return 1;
}

uint64_t hakt_cmd_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                         uint64_t max) {
    uint64_t v = 0;
    const char *s = text;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            break;
    }
    if (*text == '\0' || *s != '\0' || v < min || v > max)
        argp_error(state, "%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64, name, text,
                   min, max);
    return v;
}

uint64_t hakt_cmd_time(struct argp_state *state, const char *name, const char *text) {
    struct hakc_err err;
    uint64_t ns = 0; /* a number alone is ns, as the tools print times */
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text))
        return hakt_cmd_number(state, name, text, 0, UINT64_MAX);
    if (hakc_parse_duration(text, &ns, &err) != 0)
        argp_error(state, "%s: %s", name, err.msg);
    return ns;
}
