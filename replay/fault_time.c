#include "replay/fault_time.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include "replay/raw.h"

/* Sets *preempted as well. */
static uint64_t faults_until_now(uint64_t *preempted) {
    struct rusage r;
    hakr_raw(SYS_getrusage, RUSAGE_THREAD, (long)&r, 0, 0, 0, 0);
    *preempted = (uint64_t)r.ru_nivcsw;
    return (uint64_t)r.ru_minflt;
}

uint64_t hakr_faults_of_thread(void) {
    uint64_t preempted;
    return faults_until_now(&preempted);
}

void hakr_fault_time_begin(struct hakr_fault_time *f) {
    f->seen = faults_until_now(&f->preempted);
}

void hakr_fault_time_restart(struct hakr_fault_time *f, struct hakr_fault_start *start) {
    hakr_fault_time_begin(f);
    start->trapped = f->trapped;
    start->ns = hakr_now();
}

void hakr_fault_time_look(struct hakr_fault_time *f, const struct hakr_fault_start *start,
                          uint64_t ns) {
    uint64_t preempted, now = faults_until_now(&preempted), more = now - f->seen;
    int alone = preempted == f->preempted;
    f->seen = now;
    f->preempted = preempted;
    if (more == 0 || !alone || f->trapped != start->trapped || ns / more > HAKR_FAULT_MOST_NS)
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
