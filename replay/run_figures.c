#include "replay/run_figures.h"

#include <math.h>
#include <stdlib.h>
#include "common/stats.h"

static double known(uint64_t v) {
    return v == UINT64_MAX ? NAN : (double)v;
}

static double account_figure(const struct hakr_result *r, enum hakr_figure f) {
    double calls = 0, ns = 0, releases = 0;
    for (unsigned k = 0; k < HAKR_SYS_COUNT; k++) {
        calls += (double)r->totals[k].calls;
        ns += (double)r->totals[k].kernel_ns;
        if (k == HAKR_SYS_MUNMAP || k == HAKR_SYS_MADV_DONTNEED || k == HAKR_SYS_MADV_FREE ||
            k == HAKR_SYS_BRK_SHRINK || k == HAKR_SYS_MMAP_FIXED_NONE)
            releases += (double)r->totals[k].calls;
    }
    switch (f) {
    case HAKR_F_SYSCALLS:
        return r->counted ? calls : NAN;
    case HAKR_F_SYSCALL_NS:
        return r->counted ? ns : NAN;
    case HAKR_F_RELEASES:
        return r->counted ? releases : NAN;
    case HAKR_F_FAULT_NS:
        return r->fault_ns < 0 ? NAN : r->fault_ns;
    case HAKR_F_CALL_FAULTS:
        return r->counted ? (double)r->call_faults : NAN;
    case HAKR_F_KERNEL_NS:
        return !r->counted || r->fault_ns < 0
                   ? NAN
                   : ns + r->fault_ns * (double)(r->minflt - r->call_faults);
    case HAKR_F_PEAK:
        return (double)r->peak;
    case HAKR_F_MEAN:
        return r->mean_resident;
    case HAKR_F_END:
        return (double)r->at_end;
    case HAKR_F_LAZY:
        return known(r->lazy_free);
    case HAKR_F_PEAK_LIVE:
        return (double)r->peak_live;
    case HAKR_F_MEAN_LIVE:
        return r->mean_live;
    case HAKR_F_BASELINE:
        return (double)r->baseline;
    case HAKR_F_MEAN_TIME:
        return r->mean_resident_time;
    case HAKR_F_MEAN_LIVE_TIME:
        return r->mean_live_time;
    case HAKR_F_HUGE:
        return known(r->huge);
    case HAKR_F_PEAK_HUGE:
        return known(r->peak_huge);
    case HAKR_F_PEAK_LAZY:
        return known(r->peak_lazy);
    case HAKR_F_REST_100MS:
    case HAKR_F_REST_1S:
    case HAKR_F_REST_5S:
        return known(r->rest[f - HAKR_F_REST_100MS].resident);
    case HAKR_F_SHARED:
        return (double)r->shared;
    default: /* HAKR_F_OVERHEAD */
        return r->mean_live > 0 ? r->mean_resident / r->mean_live : NAN;
    }
}

double hakr_figure(const struct hakr_run *run, enum hakr_figure f, uint64_t ops) {
    const struct hakr_result *r = &run->result;
    if (r->status != HAKR_OK)
        return NAN;
    switch (f) {
    case HAKR_F_NS_PER_OP:
        return ops != 0 ? (double)r->wall_ns / (double)ops : NAN;
    case HAKR_F_WALL_NS:
        return (double)r->wall_ns;
    case HAKR_F_USER_NS:
        return (double)r->user_ns;
    case HAKR_F_SYS_NS:
        return (double)r->sys_ns;
    case HAKR_F_MINFLT:
        return (double)r->minflt;
    case HAKR_F_MAJFLT:
        return (double)r->majflt;
    case HAKR_F_BLOCKED:
        return (double)r->blocked;
    case HAKR_F_HELD_BACK:
        return (double)r->held_back;
    case HAKR_F_PACED:
        return r->lag != NULL && ops != 0 ? (double)r->paced_waits / (double)ops : NAN;
    case HAKR_F_LAG_MEDIAN:
        return r->lag != NULL ? (double)hakc_hist_quantile(r->lag, 0.5) : NAN;
    case HAKR_F_LAG_P99:
        return r->lag != NULL ? (double)hakc_hist_quantile(r->lag, 0.99) : NAN;
    case HAKR_F_LAG_MAX:
        return r->lag != NULL ? (double)hakc_hist_quantile(r->lag, 1) : NAN;
    case HAKR_F_FAILED:
        return (double)r->failed;
    default:
        return run->pass == HAKR_PASS_ACCOUNT ? account_figure(r, f) : NAN;
    }
}

double *hakr_figures(const struct hakr_experiment *e, size_t variant, enum hakr_pass pass,
                     enum hakr_figure f, size_t *n) {
    double *v = malloc((e->n_runs + 1) * sizeof *v);
    *n = 0;
    if (hakr_experiment_failure(e, variant, pass) != NULL) {
        free(v);
        return NULL;
    }
    for (size_t i = 0; v != NULL && i < e->n_runs; i++) {
        const struct hakr_run *r = &e->runs[i];
        if (r->variant != variant || r->pass != pass)
            continue;
        double x = hakr_figure(r, f, e->plan->stats.ops);
        if (!isnan(x))
            v[(*n)++] = x;
    }
    if (*n == 0) {
        free(v);
        return NULL;
    }
    return v;
}

double hakr_figure_median(const struct hakr_experiment *e, size_t variant, enum hakr_pass pass,
                          enum hakr_figure f) {
    size_t n;
    double *v = hakr_figures(e, variant, pass, f, &n), m = NAN;
    if (n != 0) {
        hakc_sort(v, n);
        m = hakc_median(v, n);
    }
    free(v);
    return m;
}

struct hakr_latency *hakr_latency_of(const struct hakr_experiment *e, size_t variant) {
    struct hakr_latency *l = NULL;
    if (hakr_experiment_failure(e, variant, HAKR_PASS_LATENCY) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_latency *from = e->runs[i].result.latency;
        if (e->runs[i].variant != variant || from == NULL)
            continue;
        if (l == NULL)
            l = hakr_latency_new(e->slowest);
        if (l == NULL || hakr_latency_add(l, from, NULL) != 0)
            break;
    }
    return l;
}

int hakr_failed_unlike(const struct hakr_experiment *e, size_t a, size_t b, enum hakr_pass pass) {
    double x = hakr_figure_median(e, a, pass, HAKR_F_FAILED),
           y = hakr_figure_median(e, b, pass, HAKR_F_FAILED);
    return x > y || y > x;
}
