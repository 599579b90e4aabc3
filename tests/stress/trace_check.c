/*
 * Reads a trace of one of the trace_*.c programs, verifies it, and counts what they marked.
 *
 *   trace_check FILE          prints what the trace has, in lines for scripts to compare
 *
 * A marked op is one whose size is 3000 + 100 * KIND + THREAD (THREAD 1 to 99, KIND 0 to 9), or
 * that frees such an object: libc and the compiler's run-time ask for no such sizes. A trace's
 * thread takes its THREAD from its first marked allocation. Lines, sorted: total
 * dropped|foreign|implied|unfinished|failed N       end REASON THREAD OP SIZE N ops with a size
 *   THREAD free SIZE N                objects of that size freed by that thread
 * Exit code 4 when the trace does not verify.
 */
#include "tracer/format/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MARK_MIN 3000
#define MARK_MAX 4000
#define THREADS  4096

static int mark_of[THREADS]; /* trace's thread -> THREAD */
static uint16_t *size_of;    /* by id: the marked size, or 0 */
static uint64_t counts[100][HAKT_OP_COUNT][MARK_MAX - MARK_MIN];
static uint64_t implied, unfinished, failed;

static void count(const struct hakt_rec *r) {
    unsigned t = r->thread < THREADS ? r->thread : THREADS - 1;
    implied += (r->flags & HAKT_REC_IMPLIED) != 0;
    unfinished += (r->flags & HAKT_REC_UNFINISHED) != 0;
    failed += (r->flags & HAKT_REC_FAILED) != 0;
    if (r->size > MARK_MIN && r->size < MARK_MAX) {
        if (mark_of[t] == 0)
            mark_of[t] = (int)(r->size % 100);
        if (r->id != 0)
            size_of[r->id] = (uint16_t)r->size;
        counts[mark_of[t]][r->op][r->size - MARK_MIN]++;
    } else if (r->op == HAKT_FREE && r->old_id != 0 && size_of[r->old_id] != 0) {
        counts[mark_of[t]][HAKT_FREE][size_of[r->old_id] - MARK_MIN]++;
    }
}

static int fail(const struct hakc_err *err) {
    hakc_err_print("trace_check", err);
    return hakc_exit_code(err->code);
}

int main(int argc, char **argv) {
    struct hakt_reader *reader;
    struct hakt_totals totals;
    struct hakc_err err;
    const struct hakt_rec *recs;
    size_t n;

    if (argc != 2)
        return 2;
    if (hakt_verify(argv[1], &totals, &err) != 0 || hakt_reader_open(&reader, argv[1], &err) != 0)
        return fail(&err);
    totals.dropped = hakt_reader_totals(reader, NULL)->dropped;
    size_of = calloc(totals.allocs + 1, sizeof(*size_of));
    if (size_of == NULL)
        return 1;
    while (hakt_reader_next(reader, &recs, &n, &err) == 0 && n > 0) {
        for (size_t i = 0; i < n; i++)
            count(&recs[i]);
    }
    printf("total dropped %" PRIu64 "\ntotal foreign %" PRIu64 "\ntotal implied %" PRIu64 "\n",
           totals.dropped, totals.foreign, implied);
    printf("total unfinished %" PRIu64 "\ntotal failed %" PRIu64 "\n", unfinished, failed);
    printf("end %u\n", (unsigned)hakt_reader_totals(reader, NULL)->end_reason);
    for (int t = 0; t < 100; t++) {
        for (int op = 0; op < HAKT_OP_COUNT; op++) {
            for (int s = 0; s < MARK_MAX - MARK_MIN; s++) {
                if (counts[t][op][s] != 0)
                    printf("%d %s %d %" PRIu64 "\n", t, hakt_op_name((unsigned)op), MARK_MIN + s,
                           counts[t][op][s]);
            }
        }
    }
    hakt_reader_close(reader);
    free(size_of);
    return 0;
}
