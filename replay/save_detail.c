/* What a run leaves in the database beside its figures. */
#include "replay/save.h"

static int put_calls(struct hakr_save *s, int64_t id, const struct hakr_result *r,
                     struct hakc_err *err) {
    int rc = 0;
    for (unsigned k = 0; rc == 0 && r->counted && k < HAKR_SYS_COUNT; k++) {
        const struct hakr_sys_total *t = &r->totals[k];
        struct hakd_syscall row = {hakr_sys_call(k), hakr_sys_detail(k), t->calls,
                                   t->errors,        t->bytes,           t->kernel_ns};
        if (t->calls != 0)
            rc = hakd_put_syscall(s->db, id, &row, err);
    }
    return rc;
}

static int put_samples(struct hakr_save *s, int64_t id, const struct hakr_result *r,
                       struct hakc_err *err) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < r->n_samples; i++) {
        const struct hakr_sample *x = &r->samples[i];
        /* 0 is what a trace without times tells */
        struct hakd_sample row = {x->op,
                                  x->time_ns,
                                  x->resident,
                                  x->live,
                                  x->recorded_ns != 0 ? x->recorded_ns : UINT64_MAX,
                                  x->lazy,
                                  x->huge};
        rc = hakd_put_sample(s->db, id, &row, err);
    }
    return rc;
}

static int put_threads(struct hakr_save *s, int64_t id, const struct hakr_run *run,
                       struct hakc_err *err) {
    const struct hakr_result *r = &run->result;
    int rc = 0, counted = run->pass == HAKR_PASS_ACCOUNT && r->counted;
    for (uint32_t t = 0; rc == 0 && t < r->n_threads; t++) {
        const struct hakr_thread_result *x = &r->threads[t];
        struct hakd_thread row = {.thread = t,
                                  .ops = x->ops,
                                  .minor_faults = x->minflt,
                                  .major_faults = x->majflt,
                                  .syscalls = counted ? x->calls : UINT64_MAX,
                                  .blocked_waits = x->blocked,
                                  .end_ns = x->end_ns};
        rc = hakd_put_thread(s->db, id, &row, err);
    }
    return rc;
}

/* A class without an upper end has the greatest number that a database holds. */
static uint64_t size_max(unsigned size_class) {
    uint64_t max = hakr_size_class_max(size_class);
    return max < INT64_MAX ? max : INT64_MAX;
}

static int put_causes(struct hakr_save *s, int64_t id, const struct hakr_result *r,
                      struct hakc_err *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n_why; i++) {
        const struct hakr_why *w = &r->why[i];
        struct hakd_cause row = {
            .op = hakr_why_name(w->kind),
            .size_max_bytes = hakr_why_has_size(w->kind) ? size_max(w->size_class) : 0,
            .call = {hakr_sys_call(w->class_), hakr_sys_detail(w->class_), w->sum.calls,
                     w->sum.errors, w->sum.bytes, w->sum.kernel_ns},
            .first_thread = w->sum.thread,
        };
        unsigned kind;
        uint64_t size;
        if (w->kind == HAKR_CAUSE_FOREIGN)
            row.first_thread = UINT64_MAX;
        if (w->kind == HAKR_CAUSE_FOREIGN ||
            hakr_plan_locate(s->plan, w->sum.thread, w->sum.word - 1, &row.first_op, &kind,
                             &size) != 0)
            row.first_op = UINT64_MAX;
        rc = hakd_put_cause(s->db, id, &row, err);
    }
    return rc;
}

static int put_latencies(struct hakr_save *s, int64_t id, const struct hakr_latency *l,
                         struct hakc_err *err) {
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < HAKR_LATENCY_CELLS; i++) {
        const struct hakc_hist *h = l->cells[i];
        if (h == NULL)
            continue;
        struct hakd_latency row = {.op = hakr_latency_name(i / HAKR_SIZE_CLASSES),
                                   .size_max_bytes = size_max(i % HAKR_SIZE_CLASSES),
                                   .ops = h->count,
                                   .p50_ns = (double)hakc_hist_quantile(h, 0.5) / 1e3,
                                   .p90_ns = (double)hakc_hist_quantile(h, 0.9) / 1e3,
                                   .p99_ns = (double)hakc_hist_quantile(h, 0.99) / 1e3,
                                   .p999_ns = (double)hakc_hist_quantile(h, 0.999) / 1e3,
                                   .max_ns = (double)hakc_hist_quantile(h, 1) / 1e3,
                                   .mean_ns = hakc_hist_mean(h) / 1e3};
        rc = hakd_put_latency(s->db, id, &row, err);
    }
    return rc;
}

static int put_slow_op(struct hakr_save *s, int64_t id, const struct hakr_inside *in, int counted,
                       struct hakc_err *err) {
    struct hakr_sys_total sum = hakr_inside_sum(in);
    struct hakd_slow_op row = {
        .thread = in->slow.thread,
        .op = in->slow.op,
        .kind = hakr_kind_name(in->slow.kind),
        .size_bytes = in->slow.size,
        .latency_ns = (double)in->slow.ticks / 1e3,
        .minor_faults = in->done ? in->minflt : UINT64_MAX,
        .major_faults = in->done ? in->majflt : UINT64_MAX,
        .syscalls = in->done && counted ? sum.calls : UINT64_MAX,
        .syscall_ns = in->done && counted ? sum.kernel_ns : UINT64_MAX,
    };
    int rc = hakd_put_slow_op(s->db, id, &row, err);
    for (unsigned k = 0; rc == 0 && counted && k < HAKR_SYS_COUNT; k++) {
        const struct hakr_sys_total *t = &in->calls[k];
        struct hakd_syscall call = {hakr_sys_call(k), hakr_sys_detail(k), t->calls,
                                    t->errors,        t->bytes,           t->kernel_ns};
        if (t->calls != 0)
            rc = hakd_put_slow_call(s->db, id, &row, &call, err);
    }
    return rc;
}

int hakr_save_detail(struct hakr_save *s, int64_t id, const struct hakr_run *run,
                     struct hakc_err *err) {
    const struct hakr_result *r = &run->result;
    int rc = 0;
    if (run->pass == HAKR_PASS_TIME || run->pass == HAKR_PASS_ACCOUNT)
        rc = put_threads(s, id, run, err);
    if (rc == 0 && run->pass == HAKR_PASS_ACCOUNT)
        rc = put_calls(s, id, r, err);
    if (rc == 0 && run->pass == HAKR_PASS_ACCOUNT)
        rc = put_causes(s, id, r, err);
    if (rc == 0 && run->pass == HAKR_PASS_ACCOUNT)
        rc = put_samples(s, id, r, err);
    if (rc == 0 && r->latency != NULL)
        rc = put_latencies(s, id, r->latency, err);
    for (uint32_t i = 0; rc == 0 && i < r->n_inside; i++)
        rc = put_slow_op(s, id, &r->inside[i], r->counted, err);
    return rc;
}
