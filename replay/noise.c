#include "replay/noise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "replay/raw.h"

/* Shorter experiments say nothing of shares: the kernel counts in ticks. */
#define LEAST_NS         UINT64_C(500000000)
#define NEIGHBOURS_LEAST 0.05
#define STOLEN_LEAST     0.01

/* The first line of /proc/stat, in ns. */
static void processors(const char *root, uint64_t *busy, uint64_t *steal) {
    unsigned long long v[8] = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/proc/stat", root);
    FILE *f = fopen(path, "re");
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

static uint64_t throttled(const char *root) {
    uint64_t sum = UINT64_MAX;
    for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
        static const char *const names[] = {"core_throttle_count", "package_throttle_count"};
        for (unsigned i = 0; i < 2; i++) {
            char path[256];
            unsigned long long v;
            snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%ld/thermal_throttle/%s",
                     root, cpu, names[i]);
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

void hakr_noise_begin(struct hakr_noise *n, const char *root) {
    memset(n, 0, sizeof *n);
    processors(root, &n->busy_ns, &n->steal_ns);
    n->throttled = throttled(root);
    n->own_ns = own();
    n->wall_ns = hakr_now();
}

void hakr_noise_end(struct hakr_noise *n, const char *root) {
    uint64_t busy, steal;
    processors(root, &busy, &steal);
    n->busy_ns = since(busy, n->busy_ns);
    n->steal_ns = since(steal, n->steal_ns);
    n->throttled = since(throttled(root), n->throttled);
    n->own_ns = own() - n->own_ns;
    n->wall_ns = hakr_now() - n->wall_ns;
    n->all_ns = n->wall_ns * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

double hakr_noise_neighbours(const struct hakr_noise *n) {
    if (n->busy_ns == UINT64_MAX || n->all_ns == 0)
        return NAN;
    return n->busy_ns <= n->own_ns ? 0 : (double)(n->busy_ns - n->own_ns) / (double)n->all_ns;
}

double hakr_noise_stolen(const struct hakr_noise *n) {
    return n->steal_ns == UINT64_MAX || n->all_ns == 0 ? NAN
                                                       : (double)n->steal_ns / (double)n->all_ns;
}

const char *hakr_noise_sentence(const struct hakr_noise *n, unsigned k, char *buf, unsigned len) {
    double others = hakr_noise_neighbours(n), stolen = hakr_noise_stolen(n);
    int is_long = n->wall_ns >= LEAST_NS;
    if (is_long && others >= NEIGHBOURS_LEAST && k-- == 0)
        snprintf(buf, len,
                 "Noise: other programs used %.0f %% of the processors' time meanwhile: times are "
                 "of a shared machine.",
                 100 * others);
    else if (is_long && stolen >= STOLEN_LEAST && k-- == 0)
        snprintf(buf, len, "Noise: the hypervisor took %.0f %% of the processors' time.",
                 100 * stolen);
    else if (n->throttled != 0 && n->throttled != UINT64_MAX && k-- == 0)
        snprintf(buf, len, "Noise: processors were throttled %llu times.",
                 (unsigned long long)n->throttled);
    else
        return NULL;
    return buf;
}
