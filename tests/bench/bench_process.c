/* See bench_process.h. */
#include <dlfcn.h>
#include <fcntl.h>
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
