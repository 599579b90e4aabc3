/*
 * How fast the trace library reads and writes: a trace is decoded, and its records are written
 * again, to /dev/null, in CPU time of this one thread. Reading is everything from the open file to
 * records in memory; writing is everything from records to bytes, without the decoding before it.
 *
 *   bench_format TRACE [ROUNDS [LEVEL]]
 *
 * Prints for each round ns of CPU a record, both ways, and the bytes a record that were written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/err.h"
#include "tracer/format/trace.h"

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const struct hakc_err *err) {
    hakc_err_print("bench_format", err);
    exit(hakc_exit_code(err->code));
}

static double read_ns(const char *path, uint64_t *records) {
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_rec *recs;
    size_t n;
    uint64_t ids = 0, from = cpu_ns();
    *records = 0;
    if (hakt_reader_open(&r, path, &err) != 0)
        die(&err);
    for (;;) {
        if (hakt_reader_next(r, &recs, &n, &err) != 0)
            die(&err);
        if (n == 0)
            break;
        ids += recs[n - 1].id; /* they are wanted */
        *records += n;
    }
    hakt_reader_close(r);
    return (double)(cpu_ns() - from) / (double)*records + (ids == UINT64_MAX);
}

static double write_ns(const char *path, int level, double *bytes) {
    struct hakt_reader *r;
    struct hakt_writer *w;
    struct hakc_err err;
    struct hakt_totals totals;
    const struct hakt_rec *recs;
    size_t n;
    uint64_t spent = 0, from;
    if (hakt_reader_open(&r, path, &err) != 0)
        die(&err);
    if (hakt_writer_open(&w, "/dev/null", hakt_reader_info(r), level, &err) != 0)
        die(&err);
    for (;;) {
        if (hakt_reader_next(r, &recs, &n, &err) != 0)
            die(&err);
        from = cpu_ns();
        for (size_t i = 0; i < n; i++) {
            if (hakt_write_sized(w, &recs[i], 0, &err) != 0)
                die(&err);
        }
        spent += cpu_ns() - from;
        if (n == 0)
            break;
    }
    from = cpu_ns();
    hakt_writer_flush(w, NULL);
    *bytes = (double)hakt_writer_bytes(w);
    if (hakt_writer_close(w, NULL, &totals, &err) != 0)
        die(&err);
    spent += cpu_ns() - from;
    hakt_reader_close(r);
    *bytes /= (double)totals.records;
    return (double)spent / (double)totals.records;
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? atoi(argv[2]) : 3, level = argc > 3 ? atoi(argv[3]) : 0;
    uint64_t records;
    double bytes;
    if (argc < 2) {
        fprintf(stderr, "bench_format TRACE [ROUNDS [LEVEL]]\n");
        return 2;
    }
    while (rounds-- > 0) {
        double in = read_ns(argv[1], &records), out = write_ns(argv[1], level, &bytes);
        printf("%" PRIu64 " records: read %.1f ns (%.1f M/s), write %.1f ns (%.1f M/s), "
               "%.3f bytes a record\n",
               records, in, 1e3 / in, out, 1e3 / out, bytes);
    }
    return 0;
}
