/* See bench_process.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/bench/bench_process.h"

uint64_t bench_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_parse_count(struct argp_state *state, const char *name, const char *text,
                           uint64_t min, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || v < min || v > max)
        argp_error(state, "%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64, name, text,
                   min, max);
    return v;
}

int bench_run_threads(uint64_t n, void *(*work)(void *), void *workers, size_t size) {
    static pthread_t handles[BENCH_MAX_THREADS];
    if (n == 1) {
        work(workers);
        return 0;
    }
    for (uint64_t i = 0; i < n; i++) {
        int e = pthread_create(&handles[i], NULL, work, (char *)workers + i * size);
        if (e) {
            fprintf(stderr, "%s: thread %" PRIu64 ": %s\n", program_invocation_short_name, i,
                    strerror(e));
            return -1;
        }
    }
    for (uint64_t i = 0; i < n; i++)
        pthread_join(handles[i], NULL);
    return 0;
}

bool bench_peak_kib(uint64_t *kib) {
    char buf[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0)
        return false;
    buf[n] = '\0';
    const char *p = strstr(buf, "VmHWM:");
    if (!p)
        return false;
    char *end;
    *kib = strtoull(p + 6, &end, 10);
    return end != p + 6;
}

const char *bench_malloc_library(void) {
    Dl_info info;
    void *p = dlsym(RTLD_DEFAULT, "malloc");
    if (!p || !dladdr(p, &info) || !info.dli_fname)
        return "unknown";
    return info.dli_fname;
}

void bench_print_json_string(const char *s) {
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            printf("\\u%04x", (unsigned)*s);
        else
            putchar(*s);
    }
    putchar('"');
}
