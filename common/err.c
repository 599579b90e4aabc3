#include "common/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void err_start(struct hakc_err *err, int code) {
    err->code = code;
    err->sys_errno = 0;
    err->offset = 0;
    err->has_offset = 0;
    err->file[0] = '\0';
}

int hakc_fail(struct hakc_err *err, int code, const char *fmt, ...) {
    if (err != NULL) {
        va_list ap;
        err_start(err, code);
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
    }
    return code;
}

int hakc_fail_errno(struct hakc_err *err, int code, const char *fmt, ...) {
    int saved = errno;
    if (err != NULL) {
        char buf[128];
        va_list ap;
        err_start(err, code);
        err->sys_errno = saved;
        va_start(ap, fmt);
        int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        size_t used = n < 0 ? 0 : (size_t)n;
        if (used < sizeof(err->msg)) /* the GNU strerror_r: may return a text of its own */
            snprintf(err->msg + used, sizeof(err->msg) - used, ": %s",
                     strerror_r(saved, buf, sizeof(buf)));
    }
    errno = saved;
    return code;
}

int hakc_fail_at(struct hakc_err *err, int code, const char *file, uint64_t offset, const char *fmt,
                 ...) {
    if (err != NULL) {
        va_list ap;
        err_start(err, code);
        err->offset = offset;
        err->has_offset = 1;
        snprintf(err->file, sizeof(err->file), "%s", file != NULL ? file : "");
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
    }
    return code;
}

void hakc_err_print(const char *tool, const struct hakc_err *err) {
    char place[sizeof(err->file) + 40] = "";
    if (err->file[0] != '\0' && err->has_offset)
        snprintf(place, sizeof(place), "%s: byte %" PRIu64 ": ", err->file, err->offset);
    else if (err->file[0] != '\0')
        snprintf(place, sizeof(place), "%s: ", err->file);
    else if (err->has_offset)
        snprintf(place, sizeof(place), "byte %" PRIu64 ": ", err->offset);
    fprintf(stderr, "%s: %s%s\n", tool, place, err->msg);
}

int hakc_exit_code(int code) {
    switch (code) {
    case HAKC_OK:
        return 0;
    case HAKC_EUSAGE:
        return 2;
    case HAKC_ECORRUPT:
    case HAKC_ETRUNCATED:
        return 4;
    default:
        return 1;
    }
}
