#include "replay/fault_time.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include "replay/raw.h"

uint64_t hakr_faults_of_thread(void) {
    struct rusage r;
    hakr_raw(SYS_getrusage, RUSAGE_THREAD, (long)&r, 0, 0, 0, 0);
    return (uint64_t)r.ru_minflt;
}

void hakr_fault_time_begin(struct hakr_fault_time *f) {
    f->seen = hakr_faults_of_thread();
}

void hakr_fault_time_look(struct hakr_fault_time *f, const struct hakr_fault_start *start,
                          uint64_t ns) {
    uint64_t now = hakr_faults_of_thread(), more = now - f->seen;
    f->seen = now;
    if (more == 0 || f->trapped != start->trapped || ns / more > HAKR_FAULT_MOST_NS)
        return;
    f->faults += more;
    f->ops++;
    f->ns += ns;
}

double hakr_fault_price(const struct hakr_fault_time *f, unsigned long n, unsigned long stride) {
    struct hakr_fault_time sum = {0};
    for (unsigned long i = 0; i < n; i++) {
        sum.faults += f->faults;
        sum.ops += f->ops;
        sum.ns += f->ns;
        sum.quick_ops += f->quick_ops;
        sum.quick_ns += f->quick_ns;
        f = (const struct hakr_fault_time *)(const void *)((const char *)f + stride);
    }
    if (sum.faults < 16)
        return -1;
    double quick = sum.quick_ops > 0 ? (double)sum.quick_ns / (double)sum.quick_ops : 0;
    double ns = (double)sum.ns - quick * (double)sum.ops;
    return ns > 0 ? ns / (double)sum.faults : 0;
}
