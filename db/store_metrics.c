#include "db/metrics.h"

#include <stddef.h>
#include <string.h>

const struct hakd_metric_def hakd_metric_defs[] = {
    {HAKD_M_WALL_NS, HAKD_UNIT_NS, "time", "wall time of the stream, start barrier to last op"},
    {HAKD_M_CPU_USER_NS, HAKD_UNIT_NS, "time", "CPU time in user mode, all threads"},
    {HAKD_M_CPU_SYSTEM_NS, HAKD_UNIT_NS, "time", "CPU time in the kernel, all threads"},
    {HAKD_M_OPS, HAKD_UNIT_OPS, "time", "ops of the stream that were executed"},
    {HAKD_M_NS_PER_OP, HAKD_UNIT_NS_PER_OP, "time", "wall_ns / ops"},
    {HAKD_M_MINOR_FAULTS, HAKD_UNIT_FAULTS, "time, account", "page faults without input"},
    {HAKD_M_MAJOR_FAULTS, HAKD_UNIT_FAULTS, "time, account", "page faults with input"},
    {HAKD_M_BLOCKED_WAITS, HAKD_UNIT_OPS, "time, account",
     "ops that had to wait for another thread to hand an allocation over"},
    {HAKD_M_FAILED_ALLOCATIONS, HAKD_UNIT_OPS, "time, account",
     "allocations that the allocator refused"},
    {HAKD_M_SYSCALLS, HAKD_UNIT_CALLS, "account", "memory system calls of the allocator"},
    {HAKD_M_SYSCALL_NS, HAKD_UNIT_NS, "account", "time in those calls"},
    {HAKD_M_RELEASE_CALLS, HAKD_UNIT_CALLS, "account",
     "calls that give memory back: madvise DONTNEED, FREE; munmap; shrinking brk"},
    {HAKD_M_PEAK_RESIDENT_BYTES, HAKD_UNIT_BYTES, "account",
     "highest sampled resident anonymous memory of the allocator alone"},
    {HAKD_M_MEAN_RESIDENT_BYTES, HAKD_UNIT_BYTES, "account",
     "mean of the same over the stream, weighted by ops"},
    {HAKD_M_END_RESIDENT_BYTES, HAKD_UNIT_BYTES, "account", "the same after the last op"},
    {HAKD_M_END_LAZY_FREE_BYTES, HAKD_UNIT_BYTES, "account",
     "of the memory after the last op, what MADV_FREE has marked and the kernel may take"},
    {HAKD_M_MEAN_LIVE_BYTES, HAKD_UNIT_BYTES, "account",
     "mean of requested and not freed bytes, weighted by ops"},
    {HAKD_M_PEAK_LIVE_BYTES, HAKD_UNIT_BYTES, "account",
     "highest sum of requested and not freed bytes"},
    {HAKD_M_BASELINE_RESIDENT_BYTES, HAKD_UNIT_BYTES, "account",
     "resident anonymous memory before the first op, already taken off the others"},
    {HAKD_M_DRIVER_NS_PER_OP, HAKD_UNIT_NS_PER_OP, "control",
     "cost of the driver itself with an allocator that does nothing"},
    {HAKD_M_PREDICTED_RELEASE_CALLS, HAKD_UNIT_CALLS, "sim",
     "predicted calls that give memory back"},
    {HAKD_M_PREDICTED_MAP_CALLS, HAKD_UNIT_CALLS, "sim", "predicted mmap calls"},
    {HAKD_M_PREDICTED_UNMAP_CALLS, HAKD_UNIT_CALLS, "sim", "predicted munmap calls"},
    {HAKD_M_PREDICTED_POPULATE_CALLS, HAKD_UNIT_CALLS, "sim",
     "predicted MADV_POPULATE_WRITE calls"},
    {HAKD_M_PREDICTED_RELEASED_BYTES, HAKD_UNIT_BYTES, "sim", "bytes those release calls cover"},
    {HAKD_M_PREDICTED_FAULTS, HAKD_UNIT_FAULTS, "sim", "predicted minor faults"},
    {HAKD_M_PREDICTED_PEAK_RESIDENT_BYTES, HAKD_UNIT_BYTES, "sim",
     "predicted highest resident memory"},
    {HAKD_M_PREDICTED_MEAN_RESIDENT_BYTES, HAKD_UNIT_BYTES, "sim",
     "predicted mean resident memory, weighted by ops"},
    {HAKD_M_PREDICTED_MEAN_RESIDENT_TIME_BYTES, HAKD_UNIT_BYTES, "sim",
     "predicted mean resident memory, weighted by recorded time"},
    {HAKD_M_PREDICTED_END_RESIDENT_BYTES, HAKD_UNIT_BYTES, "sim",
     "predicted resident memory after the last op"},
    {HAKD_M_PREDICTED_RELEASED_RESIDENT_BYTES, HAKD_UNIT_BYTES, "sim",
     "of predicted_released_bytes, what was resident"},
    {HAKD_M_PREDICTED_PEAK_LAZY_BYTES, HAKD_UNIT_BYTES, "sim",
     "predicted highest memory that MADV_FREE has marked and nobody took"},
    {HAKD_M_PREDICTED_COST_NS, HAKD_UNIT_NS, "sim",
     "predicted kernel time of calls and faults, by the cost model in use"},
    {HAKD_M_SIM_NS, HAKD_UNIT_NS, "sim", "time the simulation of this policy took"},
    {NULL, NULL, NULL, NULL},
};

const char *hakd_metric_unit(const char *name) {
    for (const struct hakd_metric_def *d = hakd_metric_defs; d->name; d++)
        if (strcmp(d->name, name) == 0)
            return d->unit;
    return NULL;
}
