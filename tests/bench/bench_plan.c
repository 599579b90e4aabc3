/*
 * How fast hakreplay starts up: from the trace file to a plan that is ready to run.
 *
 *   bench_plan TRACE [ROUNDS]
 *
 * Prints for each round million ops a second of wall time, and CPU ns an op; at the end the plan's
 * bytes an op, and the most memory the process had, in bytes an op.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "replay/load.h"

static uint64_t now_ns(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* VmHWM in bytes; 0 = not known. */
static double peak_memory(void) {
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (f != NULL)
        fclose(f);
    return kib * 1024;
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    if (argc < 2 || argc > 3 || rounds < 1) {
        fprintf(stderr, "usage: bench_plan TRACE [ROUNDS]\n");
        return 2;
    }
    double plan_bytes = 0, ops = 1;
    for (int i = 0; i < rounds; i++) {
        struct hakr_load_options options = {.drift = HAKR_NO_DRIFT};
        struct hakr_plan plan;
        struct hakt_reader *r = NULL;
        struct hakc_err err = {0};
        uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        int rc = hakr_load(argv[1], &options, &plan, &r, &err);
        if (rc != 0) {
            hakc_err_print("bench_plan", &err);
            return hakc_exit_code(rc);
        }
        wall = now_ns(CLOCK_MONOTONIC) - wall;
        cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        ops = (double)plan.stats.ops;
        plan_bytes = (double)plan.stats.bytes;
        printf("%.1f Mops/s, %.1f CPU ns/op\n", ops / (double)wall * 1e3, (double)cpu / ops);
        hakr_plan_free(&plan);
        hakt_reader_close(r);
    }
    printf("plan %.2f bytes/op, peak memory %.2f bytes/op\n", plan_bytes / ops,
           peak_memory() / ops);
    return 0;
}
