#include "replay/counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CACHE(id, op, result)                                                                      \
    ((uint64_t)(id) | (uint64_t)(op) << 8 | (uint64_t)PERF_COUNT_HW_CACHE_RESULT_##result << 16)

static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
} events[HAKR_C_COUNT] = {
    [HAKR_C_CYCLES] = {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [HAKR_C_INSTRUCTIONS] = {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [HAKR_C_CACHE_MISSES] = {"cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    [HAKR_C_DTLB_MISSES] = {"dtlb_misses", PERF_TYPE_HW_CACHE,
                            CACHE(PERF_COUNT_HW_CACHE_DTLB, PERF_COUNT_HW_CACHE_OP_READ, MISS)},
    [HAKR_C_BRANCH_MISSES] = {"branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    [HAKR_C_PAGE_FAULTS] = {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    [HAKR_C_CONTEXT_SWITCHES] = {"context_switches", PERF_TYPE_SOFTWARE,
                                 PERF_COUNT_SW_CONTEXT_SWITCHES},
    [HAKR_C_MIGRATIONS] = {"migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
};

static int fds[HAKR_C_COUNT];

void hakr_counters_open(struct hakr_counted out[HAKR_C_COUNT]) {
    for (unsigned i = 0; i < HAKR_C_COUNT; i++) {
        struct perf_event_attr a;
        memset(&a, 0, sizeof a);
        a.size = sizeof a;
        a.type = events[i].type;
        a.config = events[i].config;
        a.disabled = 1;
        a.inherit = 1;
        /* Faults and switches happen in the kernel on behalf of user code. */
        a.exclude_kernel = events[i].type != PERF_TYPE_SOFTWARE;
        a.exclude_hv = 1;
        a.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
        fds[i] = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
        if (fds[i] < 0 && errno == EACCES && !a.exclude_kernel) { /* perf_event_paranoid 2 */
            a.exclude_kernel = 1;
            fds[i] = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
        }
        out[i] = (struct hakr_counted){.error = fds[i] < 0 ? errno : 0};
    }
}

void hakr_counters_start(void) {
    for (unsigned i = 0; i < HAKR_C_COUNT; i++)
        if (fds[i] >= 0)
            ioctl(fds[i], PERF_EVENT_IOC_ENABLE, 0);
}

void hakr_counters_stop(struct hakr_counted out[HAKR_C_COUNT]) {
    for (unsigned i = 0; i < HAKR_C_COUNT; i++)
        if (fds[i] >= 0)
            ioctl(fds[i], PERF_EVENT_IOC_DISABLE, 0);
    for (unsigned i = 0; i < HAKR_C_COUNT; i++) {
        uint64_t v[3] = {0}; /* value, enabled, running */
        if (fds[i] < 0)
            continue;
        if (read(fds[i], v, sizeof v) != (ssize_t)sizeof v)
            out[i].error = EIO;
        else if (v[1] != 0 && v[2] == 0)
            out[i].error = EBUSY; /* others held the counter all the time */
        out[i].scaled = v[2] < v[1];
        out[i].value = out[i].scaled && v[2] != 0
                           ? (uint64_t)((double)v[0] * (double)v[1] / (double)v[2])
                           : v[0];
        close(fds[i]);
    }
}

const char *hakr_counter_name(unsigned c) {
    return events[c].name;
}
