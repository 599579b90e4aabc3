/*
 * libFuzzer: haktrace cut on any trace. 32 bytes say what to cut, the rest is a trace, with the
 * framing made right if the first of them is odd. What comes out must verify; an internal error is
 * a finding.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/fuzz/fuzz_trace.h"
#include "tracer/cut.h"

#define HEAD 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int in = -1, out = -1;
    static char in_path[64], out_path[64];
    static const char *const threads[] = {NULL, "0", "1,3-70", "0-1048575"};
    struct hakt_cut_result result;
    struct hakc_err err;
    if (size < HEAD || size > 1 << 20)
        return 0;
    if (in < 0) {
        in = memfd_create("trace", 0);
        out = memfd_create("part", 0);
        snprintf(in_path, sizeof(in_path), "/proc/self/fd/%d", in);
        snprintf(out_path, sizeof(out_path), "/proc/self/fd/%d", out);
    }
    struct hakt_cut_args args = {.input = in_path,
                                 .output = out_path,
                                 .threads = threads[data[1] % 4],
                                 .from = data[2] & 1 ? hakt_get_u32(data + 4) : data[3],
                                 .count = data[2] & 2 ? hakt_get_u64(data + 8) : UINT64_MAX,
                                 .from_time = data[2] & 4 ? hakt_get_u64(data + 16) : 0,
                                 .to_time = data[2] & 8 ? hakt_get_u64(data + 24) : UINT64_MAX,
                                 .level = 1};
    args.by_time = (data[2] & 12) != 0;
    fuzz_put_trace(in, data + HEAD, size - HEAD, data[0] & 1);
    int rc = hakt_cut(&args, &result, &err);
    if (rc == HAKC_EINTERNAL || (rc == 0 && hakt_verify(out_path, NULL, &err) != 0)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return 0;
}
