/*
 * bench_random_mixed: the loop of the 2025 report, to be run under any preload.
 *
 * A thread has WS slots and an xorshift32 stream. One number r an iteration: slot r % WS, if
 * occupied, is freed; if empty, it gets malloc(16 + (r & 0x3FF)) and its first byte is written.
 * `haktrace gen random_mixed` writes the same stream as a trace.
 *
 * The slots lie in memory of their own (mmap), touched beforehand, so that time, faults and system
 * calls of the loop are those of the allocator. Time is that of the loop alone: warm-up, the
 * release of what is left and the reporting stand outside.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "tests/bench/bench_process.h"

struct options {
    uint64_t iterations, ws, seed, threads, warmup;
    unsigned given;
    bool json;
};

struct worker {
    const struct options *opt;
    pthread_barrier_t *start;
    void **slots;
    uint32_t state;
    uint64_t begin_ns, end_ns;
    long minor, major;
    uint64_t failed_bytes; /* the request that malloc refused; 0 = none */
};

/* Returns 0, or the size that malloc refused. */
static uint64_t run_loop(void **slots, uint32_t ws, uint32_t *state, uint64_t n) {
    uint32_t x = *state;
    for (uint64_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        void **slot = &slots[x % ws];
        if (*slot) {
            free(*slot);
            *slot = NULL;
        } else {
            size_t size = 16 + (x & 0x3FF);
            char *p = malloc(size);
            if (!p)
                return size;
            *p = (char)x;
            *slot = p;
        }
    }
    *state = x;
    return 0;
}

static void *work(void *arg) {
    struct worker *w = arg;
    const struct options *opt = w->opt;
    uint32_t ws = (uint32_t)opt->ws;
    struct rusage before, after;

    w->failed_bytes = run_loop(w->slots, ws, &w->state, opt->warmup);
    pthread_barrier_wait(w->start);
    getrusage(RUSAGE_THREAD, &before);
    w->begin_ns = bench_now_ns();
    if (!w->failed_bytes)
        w->failed_bytes = run_loop(w->slots, ws, &w->state, opt->iterations);
    w->end_ns = bench_now_ns();
    getrusage(RUSAGE_THREAD, &after);
    w->minor = after.ru_minflt - before.ru_minflt;
    w->major = after.ru_majflt - before.ru_majflt;
    for (uint32_t i = 0; i < ws; i++)
        free(w->slots[i]);
    return NULL;
}

static int report(const struct options *opt, const struct worker *w, const char *library) {
    uint64_t begin = UINT64_MAX, end = 0, peak_kib = 0;
    long minor = 0, major = 0;

    for (uint64_t t = 0; t < opt->threads; t++) {
        if (w[t].failed_bytes) {
            fprintf(stderr,
                    "bench_random_mixed: malloc(%" PRIu64 ") returned NULL in thread %" PRIu64
                    " (allocator: %s)\n",
                    w[t].failed_bytes, t, library);
            return 1;
        }
        begin = w[t].begin_ns < begin ? w[t].begin_ns : begin;
        end = w[t].end_ns > end ? w[t].end_ns : end;
        minor += w[t].minor;
        major += w[t].major;
    }
    bool peak_known = bench_peak_kib(&peak_kib);
    uint64_t ns = end > begin ? end - begin : 1;
    double seconds = (double)ns / 1e9;
    double mops = (double)opt->iterations * (double)opt->threads / seconds / 1e6;

    if (opt->json) {
        printf("{\"schema_version\":1,\"iterations\":%" PRIu64 ",\"ws\":%" PRIu64
               ",\"seed\":%" PRIu64 ",\"threads\":%" PRIu64 ",\"warmup\":%" PRIu64,
               opt->iterations, opt->ws, opt->seed, opt->threads, opt->warmup);
        printf(",\"mops_per_s\":%.4f,\"seconds\":%.9f,\"peak_rss_kib\":", mops, seconds);
        if (peak_known)
            printf("%" PRIu64, peak_kib);
        else
            printf("null");
        printf(",\"minor_faults\":%ld,\"major_faults\":%ld,\"malloc_library\":", minor, major);
        bench_print_json_string(library);
        puts("}");
    } else {
        char peak[32] = "unknown";
        if (peak_known)
            snprintf(peak, sizeof(peak), "%" PRIu64 " KiB", peak_kib);
        printf("%.2f Mops/s  %.6f s  peak RSS %s  faults %ld minor %ld major  malloc from %s\n",
               mops, seconds, peak, minor, major, library);
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "bench_random_mixed: writing the result: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}

enum { KEY_WARMUP = 256, KEY_JSON };

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *opt = state->input;
    switch (key) {
    case KEY_WARMUP:
        opt->warmup = bench_parse_count(state, "--warmup", arg, 0, UINT64_MAX / BENCH_MAX_THREADS);
        return 0;
    case KEY_JSON:
        opt->json = true;
        return 0;
    case ARGP_KEY_ARG:
        opt->given = state->arg_num + 1;
        if (state->arg_num == 0)
            opt->iterations =
                bench_parse_count(state, "ITERATIONS", arg, 1, UINT64_MAX / BENCH_MAX_THREADS);
        else if (state->arg_num == 1)
            opt->ws = bench_parse_count(state, "WS", arg, 1, UINT32_MAX);
        else if (state->arg_num == 2)
            opt->seed = bench_parse_count(state, "SEED", arg, 0, UINT32_MAX);
        else if (state->arg_num == 3)
            opt->threads = bench_parse_count(state, "THREADS", arg, 1, BENCH_MAX_THREADS);
        else
            return ARGP_ERR_UNKNOWN;
        return 0;
    case ARGP_KEY_END:
        if (opt->given < 3)
            argp_error(state, "ITERATIONS, WS and SEED are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const char *argp_program_version = "bench_random_mixed " HAK_VERSION;

static const struct argp_option option_table[] = {
    {"warmup", KEY_WARMUP, "N", 0, "First N untimed iterations of the same stream", 0},
    {"json", KEY_JSON, NULL, 0, "Print the result as JSON", 0},
    {0},
};

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "ITERATIONS WS SEED [THREADS]",
    .doc = "Measures the allocator that malloc resolves into: random frees and mallocs of "
           "16 to 1039 bytes over WS slots.\vITERATIONS, WS and --warmup are per thread; each "
           "iteration is one op. Thread t starts from SEED + t (0 becomes 1). Time and faults are "
           "of the loop alone, peak RSS of the whole process, slots included.",
};

int main(int argc, char **argv) {
    struct options opt = {.threads = 1};
    static struct worker workers[BENCH_MAX_THREADS];
    pthread_barrier_t start;

    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &opt);
    const char *library = bench_malloc_library();

    pthread_barrier_init(&start, NULL, (unsigned)opt.threads);
    for (uint64_t t = 0; t < opt.threads; t++) {
        uint32_t seed = (uint32_t)(opt.seed + t);
        size_t bytes = opt.ws * sizeof(void *);
        void *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (slots == MAP_FAILED) {
            fprintf(stderr, "bench_random_mixed: %zu bytes for the slots of a thread: %s\n", bytes,
                    strerror(errno));
            return 1;
        }
        workers[t] =
            (struct worker){.opt = &opt, .start = &start, .slots = slots, .state = seed ? seed : 1};
    }
    if (bench_run_threads(opt.threads, work, workers, sizeof workers[0]) != 0)
        return 1;
    return report(&opt, workers, library);
}
