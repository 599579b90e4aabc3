#include "tracer/collect_clock.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATE_NS 10000000u
#define AGREE_NS     1000
#define CPUS_TRIED   64

static uint64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Fenced: what the program stamped is compared with it. */
static uint64_t ticks(void) {
#if defined(__x86_64__)
    __asm__ volatile("lfence" : : : "memory");
    uint64_t t = __builtin_ia32_rdtsc();
    __asm__ volatile("lfence" : : : "memory");
    return t;
#else
    return 0;
#endif
}

static int cpu_says_invariant(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
#else
    return 0;
#endif
}

/* One moment on both clocks: the try with the least time between two readings of the TSC. */
static void sample(uint64_t *raw, uint64_t *ns) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        uint64_t t0 = ticks(), m = monotonic(), t1 = ticks();
        if (t1 - t0 < best) {
            best = t1 - t0;
            *raw = t0 + (t1 - t0) / 2;
            *ns = m;
        }
    }
}

static uint64_t slope(uint64_t raw, uint64_t ns) {
    return (uint64_t)(((unsigned __int128)ns << 32) / (raw != 0 ? raw : 1));
}

/* Reads the TSC on each CPU that this process may use and holds it against CLOCK_MONOTONIC, which
 * the kernel keeps equal on all of them. */
static int cpus_agree(const struct hakt_clock *c) {
    cpu_set_t before, one;
    int agree = 1, tried = 0;
    if (sched_getaffinity(0, sizeof(before), &before) != 0)
        return CPU_COUNT(&before) <= 1;
    for (int cpu = 0; cpu < CPU_SETSIZE && agree && tried < CPUS_TRIED; cpu++) {
        uint64_t raw = 0, ns = 0;
        if (!CPU_ISSET(cpu, &before))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one) != 0)
            continue;
        tried++;
        sample(&raw, &ns);
        agree = llabs((long long)(hakt_clock_ns(c, raw) - (ns - c->ns0))) < AGREE_NS;
    }
    sched_setaffinity(0, sizeof(before), &before);
    return agree;
}

static int start_tsc(struct hakt_clock *c) {
    uint64_t raw = 0, ns = 0;
    if (!cpu_says_invariant())
        return -1;
    c->kind = HAKT_SHM_TSC;
    sample(&c->raw0, &c->ns0);
    while (monotonic() - c->ns0 < CALIBRATE_NS)
        continue;
    sample(&raw, &ns);
    c->mult = slope(raw - c->raw0, ns - c->ns0);
    c->raw = c->raw0;
    if (!cpus_agree(c))
        return -1;
    sample(&c->raw0, &c->ns0); /* time 0 is now */
    c->raw = c->raw0;
    return 0;
}

int hakt_clock_start(struct hakt_clock *c, enum hakt_clock_choice choice) {
    struct timespec ts;
    *c = (struct hakt_clock){0};
    if (choice == HAKT_CLOCK_MONOTONIC || start_tsc(c) != 0) {
        if (choice == HAKT_CLOCK_TSC)
            return -1;
        c->kind = HAKT_SHM_MONOTONIC;
        c->ns0 = c->raw0 = monotonic();
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    c->start_unix_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    c->start_unix_ns -= monotonic() - c->ns0;
    return 0;
}

void hakt_clock_update(struct hakt_clock *c) {
    uint64_t raw = 0, ns = 0;
    if (c->kind != HAKT_SHM_TSC)
        return;
    sample(&raw, &ns);
    if (raw <= c->raw || ns - c->ns0 < CALIBRATE_NS)
        return;
    /* The true slope is the one over the whole recording. What the line is off now is spread over
     * as long as it took to come about, at most a thousandth faster or slower than true. */
    uint64_t here = hakt_clock_ns(c, raw), span = raw - c->raw;
    uint64_t truth = slope(raw - c->raw0, ns - c->ns0);
    int64_t off = (int64_t)(ns - c->ns0 - here);
    int64_t bend = (int64_t)((__int128)off * (1ll << 32) / (int64_t)span);
    int64_t most = (int64_t)(truth / 1000);
    c->mult = truth + (uint64_t)(bend > most ? most : bend < -most ? -most : bend);
    c->raw = raw;
    c->ns = here;
}

uint64_t hakt_clock_now(const struct hakt_clock *c) {
    return c->kind == HAKT_SHM_TSC ? ticks() : monotonic();
}

const char *hakt_clock_name(const struct hakt_clock *c) {
    return c->kind == HAKT_SHM_TSC ? "tsc" : "monotonic";
}
