#include "replay/run.h"

#include <errno.h>
#include <fcntl.h>
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
#include "replay/cgroup.h"
#include "replay/child.h"
#include "replay/environ.h"
#include "replay/ptrace.h"
#include "replay/raw.h"
#include "replay/run_result.h"

#define SAMPLES     256
#define STACK_BYTES (UINT64_C(256) << 10)
#define ARG_LEN     16

const char *hakr_status_name(enum hakr_status s) {
    static const char *const names[] = {"ok",      "failed",        "crashed",
                                        "timeout", "wrong-library", "interrupted"};
    return names[s];
}

const char *hakr_pass_name(enum hakr_pass pass) {
    static const char *const names[] = {"time",  "account",  "latency",
                                        "check", "counters", "inside"};
    return names[pass];
}

const char *hakr_counting_name(int counting) {
    return counting == HAKR_BY_SECCOMP ? "seccomp" : counting == HAKR_BY_PTRACE ? "ptrace" : NULL;
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
    c->traced = (uint32_t)(task->traced && hakr_pass_counts(task->pass));
    c->rest_ns = task->rest_ns;
    c->tsc = (uint32_t)task->tsc;
    for (unsigned i = 0; i < HAKR_RESTS; i++)
        c->rest[i] = (struct hakr_rest){UINT64_MAX, UINT64_MAX};
    c->libc = task->library == NULL;
    c->lib_dev = task->dev;
    c->lib_ino = task->ino;
    c->stack_bytes = STACK_BYTES;
    c->sample_every = p->stats.ops / SAMPLES + 1;
    c->sample_every_ns =
        p->last_time > p->first_time ? (p->last_time - p->first_time) / SAMPLES : 0;
    c->sampled_ns = p->first_time;
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
    if (task->pass == HAKR_PASS_INSIDE)
        hakr_inside_plan(c, task->slow, task->n_slow);
}

/* Makes the control block of a task: *fd is its memfd. */
static int make_ctl(const struct hakr_task *task, struct hakr_ctl **out, int *fd,
                    struct hakc_err *err) {
    uint64_t n = task->plan->n_threads, at = sizeof(struct hakr_ctl);
    uint64_t causes = hakr_pass_counts(task->pass) ? HAKR_CAUSE_CELLS : 0;
    uint64_t samples = 2 * SAMPLES + n + 8; /* by ops, and by time */
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
    head.off_inside = reserve(&at, task->n_slow * sizeof(struct hakr_inside));
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

/* Between fork and exec: system calls only. */
static void become_child(int ctl_fd, int plan_fd, const struct hakr_cgroup *group,
                         char *const env[], char *fd_text, const sigset_t *mask, int traced) {
    static const char name[] = "hakreplay", mode[] = "--child";
    char *argv[] = {(char *)(uintptr_t)name, (char *)(uintptr_t)mode, fd_text, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* Ctrl-C is for the parent, which then ends the child */
    fcntl(ctl_fd, F_SETFD, 0);
    fcntl(plan_fd, F_SETFD, 0);
    if (group->path[0] != '\0') {
        fcntl(group->usage_fd, F_SETFD, 0);
        fcntl(group->limit_fd, F_SETFD, 0);
        if (hakr_cgroup_join(group->join_fd) != 0)
            _exit(125);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for results */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (traced && hakr_ptrace_me() != 0)
        _exit(126);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

static int spawn(const struct hakr_task *task, const struct hakr_cgroup *group, int ctl_fd,
                 const sigset_t *mask, pid_t *pid, struct hakc_err *err) {
    char fd_text[ARG_LEN], *preload;
    snprintf(fd_text, sizeof fd_text, "%d", ctl_fd);
    char **env = hakr_environment(task->library, task->env, &preload);
    if (env == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the run's environment");
    *pid = fork();
    if (*pid == 0)
        become_child(ctl_fd, task->plan->fd, group, env, fd_text, mask,
                     task->traced && hakr_pass_counts(task->pass));
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

int hakr_run(const struct hakr_task *task, const volatile int *stop, struct hakr_result *r,
             struct hakc_err *err) {
    struct hakr_ctl *c = NULL;
    struct hakr_cgroup group = {.path = ""};
    sigset_t block, before;
    int fd = -1, wstatus = 0, timed_out = 0;
    pid_t pid = -1;
    memset(r, 0, sizeof *r);
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGHUP);
    sigprocmask(SIG_BLOCK, &block, &before);
    int rc = make_ctl(task, &c, &fd, err);
    if (rc == 0 && task->memory_limit != 0 && task->limit_by_cgroup) {
        rc = hakr_cgroup_make(&group, "", err);
        c->in_cgroup = 1;
        c->usage_fd = group.usage_fd;
        c->limit_fd = group.limit_fd;
    }
    if (rc == 0 && task->recorded) {
        signal(SIGINT, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        wstatus = W_EXITCODE(hakr_child_main(fd), 0);
    } else if (rc == 0) {
        rc = spawn(task, &group, fd, &before, &pid, err);
    }
    if (rc == 0 && c->traced)
        rc = hakr_ptrace_await(pid, c, task->plan,
                               task->timeout_ns != 0 ? hakr_now() + task->timeout_ns : 0, stop,
                               &before, &wstatus, &timed_out, err);
    else if (rc == 0 && !task->recorded)
        rc = await(pid, task->timeout_ns, stop, &before, &wstatus, &timed_out, err);
    if (rc == 0 && c != NULL) {
        c->oom_kills = hakr_cgroup_kills(&group);
        hakr_explain(task, c, wstatus, timed_out, *stop, r);
        rc = hakr_collect(task, c, fd, r, err);
    }
    hakr_cgroup_remove(&group);
    if (c != NULL)
        munmap(c, c->bytes);
    if (fd >= 0)
        close(fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}
