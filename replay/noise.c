#include "replay/noise.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "replay/raw.h"

/* The first line of /proc/stat, in ns. */
static void processors(uint64_t *busy, uint64_t *steal) {
    unsigned long long v[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    *busy = *steal = UINT64_MAX;
    if (f == NULL)
        return;
    /* user, nice, system, idle, iowait, irq, softirq, steal */
    if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
               &v[5], &v[6], &v[7]) == 8) {
        uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
        *busy = (v[0] + v[1] + v[2] + v[5] + v[6]) * tick_ns;
        *steal = v[7] * tick_ns;
    }
    fclose(f);
}

static uint64_t throttled(void) {
    uint64_t sum = UINT64_MAX;
    for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
        static const char *const names[] = {"core_throttle_count", "package_throttle_count"};
        for (unsigned i = 0; i < 2; i++) {
            char path[128];
            unsigned long long v;
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%ld/thermal_throttle/%s", cpu,
                     names[i]);
            FILE *f = fopen(path, "re");
            if (f == NULL)
                continue;
            if (fscanf(f, "%llu", &v) == 1)
                sum = (sum == UINT64_MAX ? 0 : sum) + v;
            fclose(f);
        }
    }
    return sum;
}

static uint64_t own(void) {
    uint64_t sum = 0;
    static const int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (unsigned i = 0; i < 2; i++) {
        struct rusage u;
        if (getrusage(who[i], &u) == 0)
            sum += (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
                   (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
    }
    return sum;
}

static uint64_t since(uint64_t now, uint64_t before) {
    return now == UINT64_MAX || before == UINT64_MAX ? UINT64_MAX : now > before ? now - before : 0;
}

void hakr_noise_begin(struct hakr_noise *n) {
    memset(n, 0, sizeof *n);
    processors(&n->busy_ns, &n->steal_ns);
    n->throttled = throttled();
    n->own_ns = own();
    n->wall_ns = hakr_now();
}

void hakr_noise_end(struct hakr_noise *n) {
    uint64_t busy, steal;
    processors(&busy, &steal);
    n->busy_ns = since(busy, n->busy_ns);
    n->steal_ns = since(steal, n->steal_ns);
    n->throttled = since(throttled(), n->throttled);
    n->own_ns = own() - n->own_ns;
    n->wall_ns = hakr_now() - n->wall_ns;
    n->all_ns = n->wall_ns * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

double hakr_noise_neighbours(const struct hakr_noise *n) {
    if (n->busy_ns == UINT64_MAX || n->all_ns == 0 || n->busy_ns <= n->own_ns)
        return 0;
    return (double)(n->busy_ns - n->own_ns) / (double)n->all_ns;
}

double hakr_noise_stolen(const struct hakr_noise *n) {
    return n->steal_ns == UINT64_MAX || n->all_ns == 0 ? 0
                                                       : (double)n->steal_ns / (double)n->all_ns;
}
