/*
 * bench_workloads: the allocator that malloc resolves into, under the workloads of workloads.h.
 * compare-workloads runs it under several allocators in turn.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "tests/bench/bench_process.h"
#include "tests/bench/workloads.h"

#define MAX_THREADS 64 /* as many as the workloads share memory for */

struct options {
    const struct workload *what;
    uint64_t threads, rounds, seed;
    bool json, list;
};

struct worker {
    struct workload_thread t;
    const struct workload *what;
    pthread_barrier_t *start;
    uint64_t begin_ns, end_ns, calls;
};

static void *work(void *arg) {
    struct worker *w = arg;
    pthread_barrier_wait(w->start);
    w->begin_ns = bench_now_ns();
    w->calls = w->what->run(&w->t);
    w->end_ns = bench_now_ns();
    return NULL;
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int report(const struct options *o, const struct worker *w) {
    uint64_t begin = UINT64_MAX, end = 0, calls = 0, peak = 0;
    struct rusage use;
    for (uint64_t i = 0; i < o->threads; i++) {
        begin = w[i].begin_ns < begin ? w[i].begin_ns : begin;
        end = w[i].end_ns > end ? w[i].end_ns : end;
        calls += w[i].calls;
    }
    getrusage(RUSAGE_SELF, &use);
    bench_peak_kib(&peak);
    double wall = (double)(end - begin) / 1e9, cpu = seconds(use.ru_utime) + seconds(use.ru_stime);
    if (o->json) {
        printf("{\"schema_version\":1,\"workload\":\"%s\",\"threads\":%" PRIu64
               ",\"rounds\":%" PRIu64 ",\"seed\":%" PRIu64 ",\"calls\":%" PRIu64,
               o->what->name, o->threads, o->rounds, o->seed, calls);
        printf(",\"seconds\":%.9f,\"cpu_seconds\":%.6f,\"peak_rss_kib\":%" PRIu64
               ",\"minor_faults\":%ld,\"malloc_library\":",
               wall, cpu, peak, use.ru_minflt);
        bench_print_json_string(bench_malloc_library());
        puts("}");
    } else {
        printf("%s  %.6f s  %.6f s CPU  %" PRIu64 " calls  peak RSS %" PRIu64
               " KiB  faults %ld  malloc from %s\n",
               o->what->name, wall, cpu, calls, peak, use.ru_minflt, bench_malloc_library());
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "bench_workloads: writing the result: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}

static void find_workload(struct argp_state *state, struct options *o, const char *name) {
    const struct workload *w;
    for (unsigned i = 0; (w = workload_at(i)); i++)
        if (strcmp(w->name, name) == 0)
            o->what = w;
    if (!o->what)
        argp_error(state, "'%s' is no workload; --list names them", name);
}

enum { KEY_LIST = 256, KEY_JSON, KEY_SEED };

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case 't':
        o->threads = bench_parse_count(state, "--threads", arg, 1, MAX_THREADS);
        return 0;
    case 'n':
        o->rounds = bench_parse_count(state, "--rounds", arg, 1, 1000000000);
        return 0;
    case KEY_SEED:
        o->seed = bench_parse_count(state, "--seed", arg, 0, UINT32_MAX);
        return 0;
    case KEY_LIST:
        o->list = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->what)
            return ARGP_ERR_UNKNOWN;
        find_workload(state, o, arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->what && !o->list)
            argp_error(state, "a WORKLOAD is needed; --list names them");
        if (o->what && o->threads < o->what->least_threads)
            argp_error(state, "%s needs %u threads", o->what->name, o->what->least_threads);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const char *argp_program_version = "bench_workloads " HAK_VERSION;

static const struct argp_option option_table[] = {
    {"threads", 't', "N", 0, "Threads that run the workload at once (default 2)", 0},
    {"rounds", 'n', "N", 0, "How much each of them does (default 50)", 0},
    {"seed", KEY_SEED, "N", 0, "Of sizes and order (default 1)", 0},
    {"list", KEY_LIST, NULL, 0, "List the workloads", 0},
    {"json", KEY_JSON, NULL, 0, "Print the result as JSON", 0},
    {0},
};

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "WORKLOAD",
    .doc = "Measures the allocator that malloc resolves into under one of several workloads.\vThe "
           "work is the same under every allocator. Seconds are from the first thread's start to "
           "the last one's end; CPU, faults and peak RSS are of the whole process.",
};

int main(int argc, char **argv) {
    struct options o = {.threads = 2, .rounds = 50, .seed = 1};
    static struct worker workers[MAX_THREADS];
    const struct workload *listed;
    pthread_barrier_t start;
    void *shared;

    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    for (unsigned i = 0; o.list && (listed = workload_at(i)); i++)
        printf("%-8s  %s\n", listed->name, listed->help);
    if (o.list)
        return 0;
    shared = mmap(NULL, o.what->shared_bytes + 1, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fprintf(stderr, "bench_workloads: mmap: %s\n", strerror(errno));
        return 1;
    }
    pthread_barrier_init(&start, NULL, (unsigned)o.threads);
    for (uint64_t i = 0; i < o.threads; i++)
        workers[i] = (struct worker){
            .t = {.number = (unsigned)i,
                  .threads = (unsigned)o.threads,
                  .rounds = o.rounds,
                  .rng = (uint32_t)((o.seed + i) * 2654435761u) | 1,
                  .shared = shared},
            .what = o.what,
            .start = &start,
        };
    if (bench_run_threads(o.threads, work, workers, sizeof workers[0]) != 0)
        return 1;
    return report(&o, workers);
}
