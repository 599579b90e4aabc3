/* What the fuzz targets of the importers share: any bytes are imported, and what comes of them must
 * verify. */
#ifndef TESTS_FUZZ_IMPORT_H
#define TESTS_FUZZ_IMPORT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tracer/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline int fuzz_import(hakt_import_fn *import, const uint8_t *data, size_t size) {
    static int in = -1, out = -1;
    static char in_path[64], out_path[64];
    const struct hakt_import_format *detected;
    struct hakt_import_result result;
    struct hakc_err err;
    if (in < 0) {
        in = memfd_create("text", 0);
        out = memfd_create("trace", 0);
        snprintf(in_path, sizeof(in_path), "/proc/self/fd/%d", in);
        snprintf(out_path, sizeof(out_path), "/proc/self/fd/%d", out);
    }
    if (ftruncate(in, 0) != 0 || pwrite(in, data, size, 0) != (ssize_t)size)
        return 0;
    hakt_import_detect(in_path, &detected, &err);
    int rc = import(in_path, out_path, 1, 1, &result, &err);
    if (rc == HAKC_EINTERNAL || (rc == 0 && hakt_verify(out_path, NULL, &err) != 0)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return 0;
}

#endif
