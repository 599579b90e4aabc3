#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>
#include "tracer/format/block.h"

int hakt_file_read(const struct hakt_file *f, uint64_t offset, void *buf, size_t n,
                   struct hakc_err *err) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(f->fd, (char *)buf + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int saved = errno;
            hakc_fail_errno(err, HAKC_EIO, "cannot read %s", f->path);
            errno = saved;
            return HAKC_EIO;
        }
        if (got == 0)
            return hakc_fail_at(err, HAKC_ETRUNCATED, f->path, offset + done,
                                "the file ends here, inside a block");
        done += (size_t)got;
    }
    return 0;
}

int hakt_file_block(const struct hakt_file *f, uint64_t offset, struct hakt_block *b,
                    struct hakc_err *err) {
    uint8_t head[HAKT_BLOCK_HEAD];
    const char *why;
    if (offset > f->size || f->size - offset < HAKT_BLOCK_HEAD)
        return hakc_fail_at(err, HAKC_ETRUNCATED, f->path, offset,
                            "the file is cut inside the block header that starts here");
    int rc = hakt_file_read(f, offset, head, sizeof(head), err);
    if (rc != 0)
        return rc;
    rc = hakt_block_get(head, b, &why);
    if (rc != 0)
        return hakc_fail_at(err, rc, f->path, offset, "%s", why);
    if (b->frame_bytes > f->size - offset - HAKT_BLOCK_HEAD)
        return hakc_fail_at(err, HAKC_ETRUNCATED, f->path, offset,
                            "the file is cut inside the block that starts here");
    return 0;
}

static int file_frame(const struct hakt_file *f, uint64_t offset, const struct hakt_block *b,
                      struct hakt_bytes *packed, struct hakc_err *err) {
    if (hakt_bytes_reserve(packed, b->frame_bytes) != 0)
        return hakc_fail_at(err, HAKC_ENOMEM, f->path, offset, "no memory for a block");
    int rc = hakt_file_read(f, offset + HAKT_BLOCK_HEAD, packed->p, b->frame_bytes, err);
    if (rc != 0)
        return rc;
    if (hakt_crc32(packed->p, b->frame_bytes) != b->frame_crc)
        return hakc_fail_at(err, HAKC_ECORRUPT, f->path, offset,
                            "the data of the block that starts here do not match their checksum");
    return 0;
}

int hakt_file_content(const struct hakt_file *f, uint64_t offset, const struct hakt_block *b,
                      void *dctx, struct hakt_bytes *packed, struct hakt_bytes *content,
                      struct hakc_err *err) {
    int rc = file_frame(f, offset, b, packed, err);
    if (rc != 0)
        return rc;
    if (ZSTD_getFrameContentSize(packed->p, b->frame_bytes) != b->content_bytes ||
        ZSTD_findFrameCompressedSize(packed->p, b->frame_bytes) != b->frame_bytes)
        return hakc_fail_at(err, HAKC_ECORRUPT, f->path, offset,
                            "the zstd frame does not have the size that its block header says");
    if (hakt_bytes_reserve(content, b->content_bytes + HAKT_CONTENT_SLACK) != 0)
        return hakc_fail_at(err, HAKC_ENOMEM, f->path, offset, "no memory for a block");
    size_t n = ZSTD_decompressDCtx(dctx, content->p, b->content_bytes, packed->p, b->frame_bytes);
    if (ZSTD_isError(n))
        return hakc_fail_at(err, HAKC_ECORRUPT, f->path, offset + HAKT_BLOCK_HEAD,
                            "the zstd frame is broken: %s", ZSTD_getErrorName(n));
    if (n != b->content_bytes)
        return hakc_fail_at(err, HAKC_ECORRUPT, f->path, offset,
                            "the zstd frame does not have the size that its block header says");
    return 0;
}

int hakt_file_frame_crc(const struct hakt_file *f, uint64_t offset, const struct hakt_block *b,
                        struct hakc_err *err) {
    struct hakt_bytes packed = {0};
    int rc = file_frame(f, offset, b, &packed, err);
    free(packed.p);
    return rc;
}
