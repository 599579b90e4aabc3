#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include "tracer/import.h"

#define RAW_BYTES  (1u << 16)
#define TEXT_BYTES (1u << 17)

struct hakt_lines {
    int fd;
    int ended;     /* no more raw bytes */
    int packed;    /* zstd; -1 = not known yet */
    int mid_frame; /* the zstd frame so far is not complete */
    char *path;
    ZSTD_DCtx *dctx;
    uint8_t *raw;
    ZSTD_inBuffer in;
    uint64_t raw_offset; /* of raw[0] in the file */
    char *text;
    size_t first, last;   /* text not yet returned */
    uint64_t text_offset; /* of text[0] */
    uint64_t line_offset; /* of the line last returned */
    uint64_t line_number;
    size_t line_max;
};

void hakt_lines_close(struct hakt_lines *l) {
    if (l == NULL)
        return;
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    ZSTD_freeDCtx(l->dctx);
    free(l->raw);
    free(l->text);
    free(l->path);
    free(l);
}

int hakt_lines_open(struct hakt_lines **out, const char *path, struct hakc_err *err) {
    int is_stdin = strcmp(path, "-") == 0;
    struct hakt_lines *l = calloc(1, sizeof(*l));
    *out = NULL;
    if (l == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for reading %s", path);
    l->packed = -1;
    l->line_max = HAKT_LINE_MAX;
    l->fd = -1;
    l->path = strdup(is_stdin ? "(standard input)" : path);
    l->dctx = ZSTD_createDCtx();
    l->raw = malloc(RAW_BYTES);
    l->text = malloc(TEXT_BYTES + 1);
    l->in.src = l->raw;
    if (l->path == NULL || l->dctx == NULL || l->raw == NULL || l->text == NULL) {
        hakt_lines_close(l);
        return hakc_fail(err, HAKC_ENOMEM, "no memory for reading %s", path);
    }
    l->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0) {
        int rc =
            hakc_fail_errno(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO, "cannot open %s", path);
        hakt_lines_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void hakt_lines_allow(struct hakt_lines *l, size_t line_max) {
    l->line_max = line_max;
}

static int read_raw(struct hakt_lines *l, struct hakc_err *err) {
    ssize_t n;
    l->raw_offset += l->in.size;
    l->in.pos = l->in.size = 0;
    do {
        n = read(l->fd, l->raw, RAW_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return hakc_fail_errno(err, HAKC_EIO, "cannot read %s", l->path);
    if (n == 0)
        l->ended = 1;
    l->in.size = (size_t)n;
    if (l->packed < 0 && n > 0) {
        static const uint8_t magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
        l->packed = n >= 4 && memcmp(l->raw, magic, 4) == 0;
    }
    return 0;
}

/* Adds text behind what is there. Adds nothing only at the end. */
static int fill(struct hakt_lines *l, struct hakc_err *err) {
    memmove(l->text, l->text + l->first, l->last - l->first);
    l->text_offset += l->first;
    l->last -= l->first;
    l->first = 0;
    ZSTD_outBuffer out = {l->text, TEXT_BYTES, l->last};
    while (out.pos == l->last) {
        if (l->in.pos == l->in.size && !l->ended) {
            int rc = read_raw(l, err);
            if (rc != 0)
                return rc;
        }
        if (l->packed != 1) {
            size_t n = l->in.size - l->in.pos;
            if (n > TEXT_BYTES - l->last)
                n = TEXT_BYTES - l->last;
            memcpy(l->text + l->last, l->raw + l->in.pos, n);
            l->in.pos += n;
            out.pos += n;
        } else {
            size_t before = l->in.pos;
            size_t rc = ZSTD_decompressStream(l->dctx, &out, &l->in);
            if (ZSTD_isError(rc))
                return hakc_fail_at(err, HAKC_ECORRUPT, l->path, l->raw_offset + l->in.pos,
                                    "broken zstd data: %s", ZSTD_getErrorName(rc));
            if (l->in.pos > before || out.pos > l->last)
                l->mid_frame = rc != 0;
        }
        if (l->ended && l->in.pos == l->in.size)
            break;
    }
    if (out.pos == l->last && l->ended && l->mid_frame)
        return hakc_fail_at(err, HAKC_ETRUNCATED, l->path, l->raw_offset,
                            "the zstd data end inside a frame");
    l->last = out.pos;
    return 0;
}

static int line_end(struct hakt_lines *l, size_t n, size_t skip, char **line,
                    struct hakc_err *err) {
    char *s = l->text + l->first;
    l->line_offset = l->text_offset + l->first;
    l->line_number++;
    l->first += n + skip;
    if (n > 0 && s[n - 1] == '\r')
        n--;
    if (memchr(s, '\0', n) != NULL)
        return hakt_lines_fail(l, err, "a NUL byte in a text");
    if (n > l->line_max)
        return hakt_lines_fail(l, err, "a line of impossible length");
    s[n] = '\0';
    *line = s;
    return 0;
}

int hakt_lines_next(struct hakt_lines *l, char **line, struct hakc_err *err) {
    *line = NULL;
    for (size_t seen = 0;;) {
        char *s = l->text + l->first;
        size_t n = l->last - l->first;
        char *newline = memchr(s + seen, '\n', n - seen);
        if (newline != NULL)
            return line_end(l, (size_t)(newline - s), 1, line, err);
        seen = n;
        if (n > l->line_max + 1)
            return line_end(l, n, 0, line, err);
        int rc = fill(l, err);
        if (rc != 0)
            return rc;
        if (l->last == seen) /* a last line without an end */
            return seen > 0 ? line_end(l, seen, 0, line, err) : 0;
    }
}

int hakt_lines_fail(const struct hakt_lines *l, struct hakc_err *err, const char *text) {
    return hakc_fail_at(err, HAKC_ECORRUPT, l->path, l->line_offset, "line %" PRIu64 "%s: %s",
                        l->line_number, l->packed == 1 ? " (offset in the decompressed text)" : "",
                        text);
}
