#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <nettle/sha2.h>
#include "tracer/format/trace.h"

#define HASH_BUFFER (1u << 16)

int hakt_file_hash(const char *path, char hex[65], struct hakc_err *err) {
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    ssize_t n;
    uint8_t *buf = malloc(HASH_BUFFER);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;
    struct stat st;
    if (buf == NULL)
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for reading %s", path);
    else if (fd < 0)
        rc = hakc_fail_errno(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO, "cannot open %s", path);
    else if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        rc = hakc_fail(err, HAKC_EUSAGE, "%s is not a regular file", path);
    if (rc != 0)
        goto out;
    sha256_init(&ctx);
    while ((n = read(fd, buf, HASH_BUFFER)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = hakc_fail_errno(err, HAKC_EIO, "cannot read %s", path);
            goto out;
        }
        sha256_update(&ctx, (size_t)n, buf);
    }
    sha256_digest(&ctx, sizeof(digest), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
out:
    if (fd >= 0)
        close(fd);
    free(buf);
    return rc;
}
