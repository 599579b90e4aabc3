/* Storing what a run leaves beside its figures: tables that hang on it. */
#include "db/store_int.h"

#include <stddef.h>

/* The columns that all tables of calls end with. */
static void bind_call(struct hakd_bind *b, const struct hakd_syscall *s) {
    hakd_bind_text(b, s->call);
    hakd_bind_text(b, s->detail ? s->detail : "");
    hakd_bind_uint(b, "calls", s->calls);
    hakd_bind_uint(b, "errors", s->errors);
    hakd_bind_uint(b, "bytes", s->bytes);
    hakd_bind_known(b, "kernel_ns", s->kernel_ns);
}

int hakd_put_syscall(struct hakd *db, int64_t run, const struct hakd_syscall *s,
                     struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_SYSCALL, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    bind_call(&b, s);
    return hakd_run_bound(db, &b, "storing a system call count", NULL, err);
}

int hakd_put_sample(struct hakd *db, int64_t run, const struct hakd_sample *s,
                    struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_SAMPLE, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_uint(&b, "op", s->op);
    hakd_bind_known(&b, "time_ns", s->time_ns);
    hakd_bind_uint(&b, "resident_bytes", s->resident_bytes);
    hakd_bind_known(&b, "live_bytes", s->live_bytes);
    hakd_bind_known(&b, "recorded_ns", s->recorded_ns);
    hakd_bind_known(&b, "lazy_free_bytes", s->lazy_free_bytes);
    hakd_bind_known(&b, "huge_bytes", s->huge_bytes);
    return hakd_run_bound(db, &b, "storing a memory sample", NULL, err);
}

int hakd_put_thread(struct hakd *db, int64_t run, const struct hakd_thread *t,
                    struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_THREAD, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_int(&b, t->thread);
    hakd_bind_uint(&b, "ops", t->ops);
    hakd_bind_uint(&b, "minor_faults", t->minor_faults);
    hakd_bind_uint(&b, "major_faults", t->major_faults);
    hakd_bind_known(&b, "syscalls", t->syscalls);
    hakd_bind_uint(&b, "blocked_waits", t->blocked_waits);
    hakd_bind_uint(&b, "end_ns", t->end_ns);
    return hakd_run_bound(db, &b, "storing a thread of a run", NULL, err);
}

int hakd_put_latency(struct hakd *db, int64_t run, const struct hakd_latency *l,
                     struct hakc_err *err) {
    const double times[] = {l->p50_ns, l->p90_ns, l->p99_ns, l->p999_ns, l->max_ns, l->mean_ns};
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_LATENCY, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_text(&b, l->op);
    hakd_bind_uint(&b, "size_max_bytes", l->size_max_bytes);
    hakd_bind_uint(&b, "ops", l->ops);
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        hakd_bind_real(&b, times[i]);
    return hakd_run_bound(db, &b, "storing latencies", NULL, err);
}

int hakd_put_cause(struct hakd *db, int64_t run, const struct hakd_cause *c, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_CAUSE, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_text(&b, c->op);
    hakd_bind_uint(&b, "size_max_bytes", c->size_max_bytes);
    bind_call(&b, &c->call);
    hakd_bind_known(&b, "first_thread", c->first_thread);
    hakd_bind_known(&b, "first_op", c->first_op);
    return hakd_run_bound(db, &b, "storing a cause of system calls", NULL, err);
}

int hakd_put_slow_op(struct hakd *db, int64_t run, const struct hakd_slow_op *s,
                     struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_SLOW_OP, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_int(&b, s->thread);
    hakd_bind_uint(&b, "op", s->op);
    hakd_bind_text(&b, s->kind);
    hakd_bind_uint(&b, "size_bytes", s->size_bytes);
    hakd_bind_real(&b, s->latency_ns);
    hakd_bind_known(&b, "minor_faults", s->minor_faults);
    hakd_bind_known(&b, "major_faults", s->major_faults);
    hakd_bind_known(&b, "syscalls", s->syscalls);
    hakd_bind_known(&b, "syscall_ns", s->syscall_ns);
    return hakd_run_bound(db, &b, "storing a slow op", NULL, err);
}

int hakd_put_slow_call(struct hakd *db, int64_t run, const struct hakd_slow_op *s,
                       const struct hakd_syscall *call, struct hakc_err *err) {
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_SLOW_CALL, &b.st, err);
    if (rc)
        return rc;
    hakd_bind_id(&b, run);
    hakd_bind_int(&b, s->thread);
    hakd_bind_uint(&b, "op", s->op);
    bind_call(&b, call);
    return hakd_run_bound(db, &b, "storing the calls of a slow op", NULL, err);
}
