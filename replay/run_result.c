#include "replay/run_result.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "common/units.h"

/* Appends "thread 2 at op 17 of 40 (malloc of 64 bytes)". */
static void say_place(const struct hakr_task *task, struct hakr_ctl *c, uint32_t t, uint64_t cursor,
                      char *buf, size_t len) {
    const struct hakr_shm_thread *th = &hakr_threads(c)[t];
    uint64_t op, size, pos = cursor > th->base ? (cursor - th->base) / 8 - 1 : 0;
    unsigned kind;
    size_t n = strlen(buf);
    if (hakr_plan_locate(task->plan, t, pos, &op, &kind, &size) != 0)
        snprintf(buf + n, len - n, "thread %u after its last op", t);
    else
        snprintf(buf + n, len - n, "thread %u at op %llu of %llu (%s, %llu bytes)", t,
                 (unsigned long long)op, (unsigned long long)th->plan_ops, hakr_kind_name(kind),
                 (unsigned long long)size);
}

static void say_where(const struct hakr_task *task, struct hakr_ctl *c, uint32_t t, char *buf,
                      size_t len) {
    say_place(task, c, t, hakr_threads(c)[t].cursor, buf, len);
}

/* The threads whose streams are not done: where a run hangs. */
static void say_unfinished(const struct hakr_task *task, struct hakr_ctl *c, char *buf,
                           size_t len) {
    unsigned said = 0;
    for (uint32_t t = 0; t < c->n_threads && said < 3; t++) {
        const struct hakr_shm_thread *th = &hakr_threads(c)[t];
        if (th->end_ns != 0)
            continue;
        strncat(buf, said++ == 0 ? ": " : ", ", len - strlen(buf) - 1);
        say_where(task, c, t, buf, len);
    }
}

static void explain_signal(const struct hakr_task *task, struct hakr_ctl *c, int sig,
                           struct hakr_result *r) {
    char *e = r->error;
    size_t len = sizeof r->error;
    r->status = HAKR_CRASHED;
    if (sig == SIGSYS && hakr_pass_counts(task->pass)) {
        r->status = HAKR_FAILED;
        r->hidden_call = 1;
        snprintf(e, len,
                 "a thread that blocks SIGSYS made a memory system call: such a run cannot be "
                 "accounted by seccomp (--counting=ptrace can%s)",
                 task->pass == HAKR_PASS_INSIDE ? "; --slowest=0 does without" : "");
        return;
    }
    snprintf(e, len, "signal %d (%s)", sig, strsignal(sig));
    if (c->state < HAKR_STATE_RUNNING) {
        snprintf(e, len, "signal %d (%s) before the replay began", sig, strsignal(sig));
    } else if (c->crash_thread >= 0) {
        size_t n = strlen(e);
        if (c->crash_addr != 0)
            n += (size_t)snprintf(e + n, len - n, " at address 0x%llx",
                                  (unsigned long long)c->crash_addr);
        snprintf(e + n, len - n, " in ");
        say_where(task, c, (uint32_t)c->crash_thread, e, len);
    } else {
        char limit[HAKC_UNIT_LEN];
        size_t n = strlen(e);
        if (c->oom_kills != 0)
            snprintf(e + n, len - n, ": out of memory beyond the limit of %s",
                     hakc_format_bytes(limit, c->memory_limit));
        else if (sig == SIGKILL)
            snprintf(e + n, len - n, ", perhaps out of memory");
        say_unfinished(task, c, e, len);
    }
}

void hakr_explain(const struct hakr_task *task, struct hakr_ctl *c, int wstatus, int timed_out,
                  int stopped, struct hakr_result *r) {
    r->status = HAKR_OK;
    snprintf(r->error, sizeof r->error, "%s", c->message);
    if (c->state == HAKR_STATE_DONE && WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0)
        return;
    if (stopped) {
        r->status = HAKR_INTERRUPTED;
        snprintf(r->error, sizeof r->error, "interrupted");
    } else if (timed_out) {
        r->status = HAKR_TIMEOUT;
        snprintf(r->error, sizeof r->error, "not done after %.3g s",
                 (double)task->timeout_ns / 1e9);
        if (c->state == HAKR_STATE_RUNNING)
            say_unfinished(task, c, r->error, sizeof r->error);
    } else if (c->state == HAKR_STATE_WRONG_LIBRARY) {
        r->status = HAKR_WRONG_LIBRARY;
        snprintf(r->error, sizeof r->error, "%s, asked for: %s", c->message,
                 task->library != NULL ? task->library : "the C library");
    } else if (WIFSIGNALED(wstatus)) {
        explain_signal(task, c, WTERMSIG(wstatus), r);
    } else {
        r->status = HAKR_FAILED;
        if (c->state == HAKR_STATE_NEW)
            snprintf(r->error, sizeof r->error, "the program did not start with %s preloaded",
                     task->library != NULL ? task->library : "nothing");
        else if (c->message[0] == '\0')
            snprintf(r->error, sizeof r->error, "exited with code %d before the replay was done",
                     WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : -1);
    }
}

/* A run counts only if every thread did the whole of its stream. */
static void prove_whole(const struct hakr_task *task, struct hakr_ctl *c, struct hakr_result *r) {
    for (uint32_t t = 0; t < c->n_threads && r->status == HAKR_OK; t++) {
        const struct hakr_shm_thread *th = &hakr_threads(c)[t];
        int counts = hakr_pass_counts(c->pass) || c->pass == HAKR_PASS_LATENCY;
        if (th->cursor == th->base + th->plan_words * 8 && (!counts || th->ops == th->plan_ops))
            continue;
        r->status = HAKR_FAILED;
        snprintf(r->error, sizeof r->error, "ops were skipped: ");
        say_where(task, c, t, r->error, sizeof r->error);
    }
}

/* What the check pass found makes the run a failure. */
static void explain_wrong(const struct hakr_task *task, struct hakr_ctl *c, struct hakr_result *r) {
    static const char *const what[] = {
        "",
        "a block has changed",
        "realloc did not keep the bytes",
        "calloc's block is not zero",
        "the address is not aligned",
        "a block that is never freed has changed",
    };
    uint64_t wrong = 0;
    const struct hakr_shm_thread *first = NULL;
    uint32_t at = 0;
    for (uint32_t t = 0; t < c->n_threads; t++) {
        const struct hakr_shm_thread *th = &hakr_threads(c)[t];
        wrong += th->wrong;
        r->checked_blocks += th->checked_blocks;
        r->checked_bytes += th->checked_bytes;
        if (th->wrong != 0 && first == NULL) {
            first = th;
            at = t;
        }
    }
    if (first == NULL || r->status != HAKR_OK)
        return;
    r->status = HAKR_FAILED;
    char *e = r->error;
    size_t len = sizeof r->error;
    size_t n = (size_t)snprintf(e, len, "user data corrupted: %s: ", what[first->wrong_what]);
    if (first->wrong_what == HAKR_WRONG_ALIGNMENT)
        n += (size_t)snprintf(e + n, len - n, "0x%llx is no multiple of %llu",
                              (unsigned long long)first->wrong_where,
                              (unsigned long long)first->wrong_want);
    else
        n += (size_t)snprintf(e + n, len - n, "byte %llu is 0x%02llx, not 0x%02llx",
                              (unsigned long long)first->wrong_where,
                              (unsigned long long)first->wrong_got,
                              (unsigned long long)first->wrong_want);
    snprintf(e + n, len - n, ", found by ");
    say_place(task, c, at, first->wrong_at, e, len);
    n = strlen(e);
    snprintf(e + n, len - n, "; %llu such findings", (unsigned long long)wrong);
}

static void sum_totals(struct hakr_ctl *c, struct hakr_result *r) {
    for (uint32_t t = 0; t <= c->n_threads; t++) {
        const struct hakr_sys_total *row = hakr_totals(c, t);
        for (unsigned k = 0; k < HAKR_SYS_COUNT; k++) {
            struct hakr_sys_total *sums[2] = {&r->totals[k], &r->foreign};
            for (unsigned i = 0; i < (t == c->n_threads ? 2u : 1u); i++) {
                sums[i]->calls += row[k].calls;
                sums[i]->errors += row[k].errors;
                sums[i]->bytes += row[k].bytes;
                sums[i]->kernel_ns += row[k].kernel_ns;
            }
        }
    }
}

static int by_op(const void *a, const void *b) {
    const struct hakr_sample *x = a, *y = b;
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* The greatest of the values that are known; UINT64_MAX if none is. */
static uint64_t known_max(uint64_t a, uint64_t b) {
    return a == UINT64_MAX || (b != UINT64_MAX && b > a) ? b : a;
}

/* Each sample stands for the recorded time since the one before it. */
static void weigh_by_time(struct hakr_result *r, uint64_t first_time) {
    double sum = 0;
    uint64_t last = first_time;
    for (uint32_t i = 0; i < r->n_samples; i++) {
        const struct hakr_sample *s = &r->samples[i];
        if (s->recorded_ns <= last)
            continue;
        double weight = (double)(s->recorded_ns - last);
        r->mean_resident_time += weight * (double)s->resident;
        r->mean_live_time += weight * (double)s->live;
        sum += weight;
        last = s->recorded_ns;
    }
    r->mean_resident_time = sum > 0 ? r->mean_resident_time / sum : NAN;
    r->mean_live_time = sum > 0 ? r->mean_live_time / sum : NAN;
}

static int copy_samples(struct hakr_ctl *c, struct hakr_result *r, struct hakc_err *err) {
    r->peak_lazy = r->peak_huge = UINT64_MAX;
    r->n_samples = c->n_samples < c->max_samples ? c->n_samples : c->max_samples;
    if (r->n_samples == 0)
        return 0;
    r->samples = malloc(r->n_samples * sizeof *r->samples);
    if (r->samples == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the samples");
    memcpy(r->samples, hakr_samples(c), r->n_samples * sizeof *r->samples);
    qsort(r->samples, r->n_samples, sizeof *r->samples, by_op);
    /* Each sample stands for the ops since the one before it. */
    double ops = 0;
    uint64_t last = 0;
    for (uint32_t i = 0; i < r->n_samples; i++) {
        const struct hakr_sample *s = &r->samples[i];
        double weight = (double)(s->op - last);
        r->mean_resident += weight * (double)s->resident;
        r->mean_live += weight * (double)s->live;
        if (s->live > r->peak_live)
            r->peak_live = s->live;
        r->peak_lazy = known_max(r->peak_lazy, s->lazy);
        r->peak_huge = known_max(r->peak_huge, s->huge);
        ops += weight;
        last = s->op;
    }
    if (ops > 0) {
        r->mean_resident /= ops;
        r->mean_live /= ops;
    }
    weigh_by_time(r, c->first_time);
    return 0;
}

static int copy_inside(struct hakr_ctl *c, struct hakr_result *r, struct hakc_err *err) {
    r->inside = calloc(c->n_inside + 1, sizeof *r->inside);
    if (r->inside == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the slowest ops");
    memcpy(r->inside, hakr_insides(c), c->n_inside * sizeof *r->inside);
    r->n_inside = c->n_inside;
    return 0;
}

static int copy_lag(struct hakr_ctl *c, struct hakr_result *r, struct hakc_err *err) {
    r->lag = malloc(sizeof *r->lag);
    if (r->lag == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the lags");
    hakc_hist_init(r->lag);
    for (uint32_t t = 0; t < c->n_threads; t++)
        hakc_hist_merge(r->lag, hakr_lag(c, t));
    return 0;
}

int hakr_collect(const struct hakr_task *task, struct hakr_ctl *c, int fd, struct hakr_result *r,
                 struct hakc_err *err) {
    snprintf(r->lib_path, sizeof r->lib_path, "%s", c->lib_path);
    snprintf(r->build_id, sizeof r->build_id, "%s", c->build_id);
    snprintf(r->policy, sizeof r->policy, "%s", c->policy);
    snprintf(r->substituted, sizeof r->substituted, "%s", c->substituted);
    if (r->status == HAKR_OK)
        prove_whole(task, c, r);
    if (c->pass == HAKR_PASS_CHECK)
        explain_wrong(task, c, r);
    r->started = c->state == HAKR_STATE_RUNNING || c->state == HAKR_STATE_DONE;
    if (r->status != HAKR_OK)
        return 0;
    r->wall_ns = c->wall_ns;
    r->user_ns = c->user_ns;
    r->sys_ns = c->sys_ns;
    r->minflt = c->minflt;
    r->majflt = c->majflt;
    r->counted = c->counted == 0 ? 0 : c->traced ? HAKR_BY_PTRACE : HAKR_BY_SECCOMP;
    r->baseline = c->baseline;
    r->peak = c->peak;
    r->at_end = c->at_end;
    r->lazy_free = c->lazy_free;
    r->huge = c->huge;
    r->shared = c->shared;
    memcpy(r->rest, c->rest, sizeof r->rest);
    memcpy(r->counters, c->counters, sizeof r->counters);
    r->threads = calloc(c->n_threads, sizeof *r->threads);
    if (r->threads == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the threads' results");
    r->n_threads = c->n_threads;
    for (uint32_t t = 0; t < c->n_threads; t++) {
        const struct hakr_shm_thread *th = &hakr_threads(c)[t];
        struct hakr_thread_result *tr = &r->threads[t];
        *tr = (struct hakr_thread_result){.ops = th->plan_ops,
                                          .minflt = th->minflt,
                                          .majflt = th->majflt,
                                          .blocked = th->blocked,
                                          .end_ns = th->end_ns};
        for (unsigned k = 0; k < HAKR_SYS_COUNT; k++)
            tr->calls += hakr_totals(c, t)[k].calls;
        r->failed += th->failed;
        if (th->failed != 0 && r->first_failed[0] == '\0')
            say_place(task, c, t, th->failed_at, r->first_failed, sizeof r->first_failed);
        r->blocked += th->blocked;
        r->call_faults += th->fault.in_calls;
        r->held_back += th->held_back;
        r->paced_waits += th->paced_waits;
    }
    r->fault_ns = -1;
    if (!c->traced) /* a tracer's stops would be in the times */
        r->fault_ns =
            hakr_fault_price(&hakr_threads(c)->fault, c->n_threads, sizeof(struct hakr_shm_thread));
    sum_totals(c, r);
    int rc = c->pace > 0 ? copy_lag(c, r, err) : 0;
    if (rc != 0)
        return rc;
    if (c->pass == HAKR_PASS_ACCOUNT)
        rc = hakr_why_collect(hakr_causes(c), &r->why, &r->n_why, err);
    if (c->pass == HAKR_PASS_INSIDE)
        rc = copy_inside(c, r, err);
    if (c->pass == HAKR_PASS_LATENCY)
        rc = hakr_latency_collect(c, fd, &r->latency, err);
    return rc != 0 ? rc : copy_samples(c, r, err);
}

void hakr_result_free(struct hakr_result *r) {
    free(r->samples);
    free(r->why);
    free(r->lag);
    free(r->threads);
    free(r->inside);
    r->inside = NULL;
    r->n_inside = 0;
    r->threads = NULL;
    r->lag = NULL;
    hakr_latency_free(r->latency);
    r->latency = NULL;
    r->samples = NULL;
    r->why = NULL;
    r->n_samples = 0;
    r->n_why = 0;
}
