/*
 * Whether free pages follow the curve that a policy promises, in the real allocator: two bursts of
 * large objects are freed, the second half a time later, and the clock is set by hand, so nothing
 * depends on the machine. Usage: alloc_curve decay|delay MS, under HAKMEM_POLICY=decay:ms=MS or
 * delay:ms=MS. Each look compares the allocator's count of dirty bytes, and what the kernel counts
 * as resident, with the promise: within 5 % of what was freed. Prints the greatest difference.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "alloc/hakmem.h"

enum { OBJECTS = 200, LOOKS = 80 };
#define BYTES ((size_t)256 << 10)
#define START ((uint64_t)1000000000)

static int (*ctl)(const char *, void *, size_t *, const void *, size_t);

static double resident(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        abort();
    fclose(f);
    return (double)pages * (double)getpagesize();
}

/* Comes to the slow path, so that the allocator looks at the clock. */
static double dirty_at(uint64_t ns) {
    struct hakmem_stats s;
    size_t n = sizeof s;
    if (ctl("clock", NULL, NULL, &ns, sizeof ns) != 0)
        abort();
    free(malloc(70000));
    if (ctl("stats", &s, &n, NULL, 0) != 0)
        abort();
    return (double)s.dirty_bytes;
}

/* The share of what became free at one time that may be dirty at an age in units of MS. */
static double share(const char *policy, double age) {
    double x = 1 - age;
    if (age >= 1)
        return 0;
    return strcmp(policy, "delay") == 0 ? 1 : x * x * (3 - 2 * x);
}

static void burst(char **p) {
    for (int i = 0; i < OBJECTS; i++)
        memset(p[i] = malloc(BYTES), 1, BYTES);
}

static void drop(char **p) {
    for (int i = 0; i < OBJECTS; i++)
        free(p[i]);
}

static double gap(double a, double b) {
    return a > b ? a - b : b - a;
}

int main(int argc, char **argv) {
    static char *first[OBJECTS], *second[OBJECTS];
    *(void **)&ctl = dlsym(RTLD_DEFAULT, "hakmem_ctl");
    if (argc != 3 || ctl == NULL)
        return 2;
    uint64_t ms = strtoull(argv[2], NULL, 10) * 1000000;
    double freed = (double)OBJECTS * BYTES, worst = 0, worst_resident = 0;
    dirty_at(START);
    burst(first);
    burst(second);
    double rest = resident() - 2 * freed;
    drop(first);
    for (int i = 1; i <= LOOKS; i++) {
        if (i == LOOKS / 4) { /* half of the time that the looks are about */
            dirty_at(START + ms / 2);
            drop(second);
        }
        uint64_t now = START + ms * 2 * (uint64_t)i / LOOKS;
        double age = 2.0 * i / LOOKS, promised = freed * share(argv[1], age), out = 0;
        double got = dirty_at(now);
        if (i >= LOOKS / 4)
            promised += freed * share(argv[1], age - 0.5);
        else
            out = freed;                                  /* of the second burst, in use */
        if (gap(age, 1) > 0.03 && gap(age, 1.5) > 0.03) { /* MS is kept to 2 % */
            worst = gap(got, promised) > worst ? gap(got, promised) : worst;
            double is = gap(resident() - rest, promised + out);
            worst_resident = is > worst_resident ? is : worst_resident;
        }
    }
    printf("%s: at most %.1f %% of a burst from the curve, %.1f %% by resident memory\n", argv[1],
           100 * worst / freed, 100 * worst_resident / freed);
    return worst > 0.05 * freed || worst_resident > 0.05 * freed;
}
