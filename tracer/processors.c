#include "tracer/processors.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_NS 500000
#define BUSY_FOR_NS   5000000
#define TURN_NS       4000000

void hakt_processors_open(struct hakt_processors *p) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    *p = (struct hakt_processors){.fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC),
                                  .count = n > 0 ? (uint32_t)n : 1};
}

void hakt_processors_close(struct hakt_processors *p) {
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* "0.20 0.18 0.12 RUNNABLE/THREADS LAST_PID" */
static uint32_t runnable(int fd) {
    char line[64], *at = line;
    ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    for (int i = 0; i < 3 && at != NULL; i++)
        at = (at = strchr(at, ' ')) != NULL ? at + 1 : NULL;
    return at != NULL ? (uint32_t)strtoul(at, NULL, 10) : 0;
}

int hakt_processors_busy(struct hakt_processors *p, uint64_t now_ns, uint32_t at_work,
                         uint32_t waiting) {
    if (p->fd >= 0 && at_work >= p->count && now_ns - p->looked_ns >= LOOK_EVERY_NS) {
        p->looked_ns = now_ns;
        if (runnable(p->fd) + waiting > p->count)
            p->busy_ns = now_ns;
    }
    return p->busy_ns != 0 && now_ns - p->busy_ns < BUSY_FOR_NS;
}

void hakt_processors_take_turns(struct hakt_processors *p, uint64_t now_ns) {
    cpu_set_t all, one;
    int cpu = sched_getcpu(), next = cpu;
    if (now_ns - p->moved_ns < TURN_NS)
        return;
    p->moved_ns = now_ns;
    if (cpu < 0 || sched_getaffinity(0, sizeof(all), &all) != 0 || CPU_COUNT(&all) < 2)
        return;
    do
        next = (next + 1) % CPU_SETSIZE;
    while (!CPU_ISSET(next, &all));
    CPU_ZERO(&one);
    CPU_SET(next, &one);
    if (sched_setaffinity(0, sizeof(one), &one) == 0)
        sched_setaffinity(0, sizeof(all), &all);
}
