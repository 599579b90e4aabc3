#include "replay/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "replay/child.h"
#include "replay/ptrace.h"
#include "replay/raw.h"

#define SAMPLES     256
#define STACK_BYTES (UINT64_C(256) << 10)
#define ARG_LEN     16

extern char **environ;

const char *hakr_status_name(enum hakr_status s) {
    static const char *const names[] = {"ok",      "failed",        "crashed",
                                        "timeout", "wrong-library", "interrupted"};
    return names[s];
}

const char *hakr_pass_name(enum hakr_pass pass) {
    static const char *const names[] = {"time", "account", "latency", "check", "counters"};
    return names[pass];
}

const char *hakr_counting_name(int counting) {
    return counting == HAKR_BY_SECCOMP ? "seccomp" : counting == HAKR_BY_PTRACE ? "ptrace" : NULL;
}

int hakr_is_allocator_knob(const char *e) {
    static const char *const knobs[] = {
        "LD_PRELOAD=",     "MALLOC_", "_RJEM_MALLOC_CONF=", "MIMALLOC_", "TCMALLOC_",
        "GLIBC_TUNABLES=", "HAKMEM_", "HEAPPROFILE=",       "HEAPCHECK="};
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        if (strncmp(e, knobs[i], strlen(knobs[i])) == 0)
            return 1;
    return 0;
}

/* ---- the control block ------------------------------------------------------------------------
 */

static uint64_t reserve(uint64_t *at, uint64_t bytes) {
    uint64_t off = (*at + 63) & ~UINT64_C(63);
    *at = off + bytes;
    return off;
}

static void fill_ctl(struct hakr_ctl *c, const struct hakr_task *task) {
    const struct hakr_plan *p = task->plan;
    uint64_t before = 0; /* ops of the threads before */
    c->magic = HAKR_CTL_MAGIC;
    c->plan_fd = p->fd;
    c->n_threads = p->n_threads;
    c->n_slots = p->n_slots;
    c->total_ops = p->stats.ops;
    c->pass = task->pass;
    c->touch = task->touch;
    c->memory_limit = task->memory_limit;
    c->keep_drift = (uint32_t)(task->keep_drift && p->n_epochs != 0);
    c->tell_time = (uint32_t)task->tell_time;
    c->pace = task->pace;
    c->first_time = p->first_time;
    for (uint64_t i = 0; c->keep_drift && i < p->n_epochs; i++)
        hakr_epochs(c)[i].needs = p->epoch_needs[i];
    snprintf(c->want_policy, sizeof c->want_policy, "%s", task->policy != NULL ? task->policy : "");
    c->marks = (uint32_t)task->marks;
    c->recorded = (uint32_t)task->recorded;
    c->traced = (uint32_t)(task->traced && task->pass == HAKR_PASS_ACCOUNT);
    c->rest_ns = task->rest_ns;
    for (unsigned i = 0; i < HAKR_RESTS; i++)
        c->rest[i] = (struct hakr_rest){UINT64_MAX, UINT64_MAX};
    c->libc = task->library == NULL;
    c->lib_dev = task->dev;
    c->lib_ino = task->ino;
    c->stack_bytes = STACK_BYTES;
    c->sample_every = p->stats.ops / SAMPLES + 1;
    c->crash_thread = -1;
    for (uint32_t t = 0; t < p->n_threads; t++) {
        struct hakr_shm_thread *th = &hakr_threads(c)[t];
        th->plan_offset = p->threads[t].offset;
        th->plan_words = p->threads[t].n_words;
        th->plan_ops = p->threads[t].ops;
        th->ends = (uint32_t)p->threads[t].ends;
        th->epoch = HAKR_NO_EPOCH;
        if (c->pace > 0)
            hakc_hist_init(hakr_lag(c, t));
        /* As if the threads ran one after the other: so short threads take their share too. */
        th->first_sample = c->sample_every - before % c->sample_every;
        before += p->threads[t].ops;
    }
}

/* Makes the control block of a task: *fd is its memfd. */
static int make_ctl(const struct hakr_task *task, struct hakr_ctl **out, int *fd,
                    struct hakc_err *err) {
    uint64_t n = task->plan->n_threads, at = sizeof(struct hakr_ctl);
    uint64_t causes = task->pass == HAKR_PASS_ACCOUNT ? HAKR_CAUSE_CELLS : 0;
    uint64_t samples = SAMPLES + n + 8;
    struct hakr_ctl head = {.max_samples = (uint32_t)samples};
    head.off_threads = reserve(&at, n * sizeof(struct hakr_shm_thread));
    head.off_samples = reserve(&at, samples * sizeof(struct hakr_sample));
    head.off_totals = reserve(&at, (n + 1) * HAKR_SYS_COUNT * sizeof(struct hakr_sys_total));
    head.off_causes = reserve(&at, causes * sizeof(struct hakr_cause));
    if (task->pass == HAKR_PASS_LATENCY)
        head.slowest = task->slowest;
    head.off_slowest = reserve(&at, n * head.slowest * sizeof(struct hakr_slow));
    head.off_epochs =
        reserve(&at, (uint64_t)task->keep_drift * task->plan->n_epochs * sizeof(struct hakr_epoch));
    head.off_lags = reserve(&at, task->pace > 0 ? n * sizeof(struct hakc_hist) : 0);
    at = head.off_hists = (at + 4095) & ~UINT64_C(4095);
    if (task->pass == HAKR_PASS_LATENCY)
        at += n * HAKR_LATENCY_CELLS * sizeof(struct hakc_hist);
    head.bytes = at;
    *fd = memfd_create("hakreplay-run", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, (off_t)at) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "memory shared with the run");
    void *m = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (m == MAP_FAILED)
        return hakc_fail_errno(err, HAKC_ENOMEM, "memory shared with the run");
    *out = m;
    **out = head;
    fill_ctl(*out, task);
    return 0;
}

/* ---- the child --------------------------------------------------------------------------------
 */

/* The child's environment: ours without other allocators' knobs, plus the task's. The strings
 * are the caller's; *preload is owned. */
static char **make_env(const struct hakr_task *task, char **preload) {
    size_t n = 0, extra = 0, k = 0;
    while (environ[n] != NULL)
        n++;
    while (task->env != NULL && task->env[extra] != NULL)
        extra++;
    char **env = calloc(n + extra + 3, sizeof *env);
    *preload = NULL;
    if (env == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!hakr_is_allocator_knob(environ[i]) && strncmp(environ[i], "LD_BIND_NOW=", 12) != 0)
            env[k++] = environ[i];
    for (size_t i = 0; i < extra; i++)
        env[k++] = (char *)(uintptr_t)task->env[i];
    env[k++] = (char *)(uintptr_t) "LD_BIND_NOW=1"; /* no symbol look-ups in the region */
    if (task->library != NULL) {
        if (asprintf(preload, "LD_PRELOAD=%s", task->library) < 0) {
            free(env);
            *preload = NULL;
            return NULL;
        }
        env[k++] = *preload;
    }
    return env;
}

/* Between fork and exec: system calls only. */
static void become_child(int ctl_fd, int plan_fd, char *const env[], char *fd_text,
                         const sigset_t *mask, int traced) {
    static const char name[] = "hakreplay", mode[] = "--child";
    char *argv[] = {(char *)(uintptr_t)name, (char *)(uintptr_t)mode, fd_text, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* Ctrl-C is for the parent, which then ends the child */
    fcntl(ctl_fd, F_SETFD, 0);
    fcntl(plan_fd, F_SETFD, 0);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for results */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (traced && hakr_ptrace_me() != 0)
        _exit(126);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

static int spawn(const struct hakr_task *task, int ctl_fd, const sigset_t *mask, pid_t *pid,
                 struct hakc_err *err) {
    char fd_text[ARG_LEN], *preload;
    snprintf(fd_text, sizeof fd_text, "%d", ctl_fd);
    char **env = make_env(task, &preload);
    if (env == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the run's environment");
    *pid = fork();
    if (*pid == 0)
        become_child(ctl_fd, task->plan->fd, env, fd_text, mask,
                     task->traced && task->pass == HAKR_PASS_ACCOUNT);
    free(preload);
    free(env);
    if (*pid < 0)
        return hakc_fail_errno(err, HAKC_EIO, "fork");
    return 0;
}

/* Waits for pid; kills it at the time limit or on *stop. */
static int await(pid_t pid, uint64_t timeout_ns, const volatile int *stop, const sigset_t *mask,
                 int *wstatus, int *timed_out, struct hakc_err *err) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        hakc_fail_errno(err, HAKC_EIO, "pidfd_open");
    uint64_t deadline = hakr_now() + timeout_ns;
    while (pidfd >= 0 && !*stop) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        struct timespec left = {0};
        uint64_t now = hakr_now();
        if (timeout_ns != 0 && now >= deadline) {
            *timed_out = 1;
            break;
        }
        if (timeout_ns != 0) {
            left.tv_sec = (time_t)((deadline - now) / 1000000000u);
            left.tv_nsec = (long)((deadline - now) % 1000000000u);
        }
        if (ppoll(&p, 1, timeout_ns != 0 ? &left : NULL, mask) > 0)
            break;
    }
    if (*timed_out || *stop || pidfd < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, wstatus, 0) < 0 && errno == EINTR)
        ;
    if (pidfd < 0)
        return HAKC_EIO;
    close(pidfd);
    return 0;
}

/* ---- the result -------------------------------------------------------------------------------
 */

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
    if (sig == SIGSYS && task->pass == HAKR_PASS_ACCOUNT) {
        r->status = HAKR_FAILED;
        snprintf(e, len,
                 "a thread that blocks SIGSYS made a memory system call: such a run cannot be "
                 "accounted by seccomp");
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
        strncat(e, sig == SIGKILL ? ", perhaps out of memory" : "", len - strlen(e) - 1);
        say_unfinished(task, c, e, len);
    }
}

static void explain(const struct hakr_task *task, struct hakr_ctl *c, int wstatus, int timed_out,
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
        int counts = c->pass == HAKR_PASS_ACCOUNT || c->pass == HAKR_PASS_LATENCY;
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

static int copy_lag(struct hakr_ctl *c, struct hakr_result *r, struct hakc_err *err) {
    r->lag = malloc(sizeof *r->lag);
    if (r->lag == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the lags");
    hakc_hist_init(r->lag);
    for (uint32_t t = 0; t < c->n_threads; t++)
        hakc_hist_merge(r->lag, hakr_lag(c, t));
    return 0;
}

static int collect(const struct hakr_task *task, struct hakr_ctl *c, int fd, struct hakr_result *r,
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
    if (c->pass == HAKR_PASS_LATENCY)
        rc = hakr_latency_collect(c, fd, &r->latency, err);
    return rc != 0 ? rc : copy_samples(c, r, err);
}

int hakr_run(const struct hakr_task *task, const volatile int *stop, struct hakr_result *r,
             struct hakc_err *err) {
    struct hakr_ctl *c = NULL;
    sigset_t block, before;
    int fd = -1, wstatus = 0, timed_out = 0;
    pid_t pid = -1;
    memset(r, 0, sizeof *r);
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &before);
    int rc = make_ctl(task, &c, &fd, err);
    if (rc == 0 && task->recorded) {
        signal(SIGINT, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        wstatus = W_EXITCODE(hakr_child_main(fd), 0);
    } else if (rc == 0) {
        rc = spawn(task, fd, &before, &pid, err);
    }
    if (rc == 0 && c->traced)
        rc = hakr_ptrace_await(pid, c, task->plan,
                               task->timeout_ns != 0 ? hakr_now() + task->timeout_ns : 0, stop,
                               &before, &wstatus, &timed_out, err);
    else if (rc == 0 && !task->recorded)
        rc = await(pid, task->timeout_ns, stop, &before, &wstatus, &timed_out, err);
    if (rc == 0 && c != NULL) {
        explain(task, c, wstatus, timed_out, *stop, r);
        rc = collect(task, c, fd, r, err);
    }
    if (c != NULL)
        munmap(c, c->bytes);
    if (fd >= 0)
        close(fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void hakr_result_free(struct hakr_result *r) {
    free(r->samples);
    free(r->why);
    free(r->lag);
    free(r->threads);
    r->threads = NULL;
    r->lag = NULL;
    hakr_latency_free(r->latency);
    r->latency = NULL;
    r->samples = NULL;
    r->why = NULL;
    r->n_samples = 0;
    r->n_why = 0;
}
