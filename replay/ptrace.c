#include "replay/ptrace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/map.h"
#include "replay/book.h"
#include "replay/raw.h"
#include "replay/resident.h"

#define LOOK_NS 100000000 /* how often a wait looks at the deadline and at *stop */

/* A traced task that is inside a system call. */
struct inside {
    long nr;
    enum hakr_sysclass class_;
    uint64_t bytes, t0, wanted_brk;
    int counts;
};

struct tracer {
    struct hakr_ctl *ctl;
    const struct hakr_plan *plan;
    pid_t pid;
    struct hakc_map by_tid; /* tid -> index + 1 of `calls` */
    struct inside *calls;
    size_t n, cap;
};

int hakr_ptrace_me(void) {
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : -1;
}

static struct inside *state_of(struct tracer *tr, pid_t tid) {
    uint64_t *at = hakc_map_find(&tr->by_tid, (uint64_t)tid);
    if (at != NULL)
        return &tr->calls[*at];
    if (tr->n == tr->cap) {
        size_t cap = tr->cap ? 2 * tr->cap : 64;
        void *a = realloc(tr->calls, cap * sizeof *tr->calls);
        if (a == NULL)
            return NULL;
        tr->calls = a;
        tr->cap = cap;
    }
    if (hakc_map_put(&tr->by_tid, (uint64_t)tid, tr->n) != 0)
        return NULL;
    memset(&tr->calls[tr->n], 0, sizeof *tr->calls);
    tr->calls[tr->n].nr = -1;
    return &tr->calls[tr->n++];
}

static int is_counted(long nr) {
    for (const int *k = hakr_sys_numbers; *k >= 0; k++)
        if (*k == nr)
            return 1;
    return 0;
}

/* The thread of the trace that runs as this task; n_threads = none of them. */
static uint32_t thread_of(struct hakr_ctl *c, pid_t tid) {
    for (uint32_t t = 0; t < c->n_threads; t++)
        if (hakr_threads(c)[t].tid == (uint32_t)tid)
            return t;
    return c->n_threads;
}

/* What the thread is doing, from its place in the stream. */
static struct hakr_doing doing(struct tracer *tr, uint32_t t) {
    struct hakr_ctl *c = tr->ctl;
    const struct hakr_shm_thread *th = &hakr_threads(c)[t];
    if (t >= c->n_threads || th->cursor <= th->base)
        return (struct hakr_doing){.kind = HAKR_CAUSE_FOREIGN};
    uint64_t word = (th->cursor - th->base) / 8, size = 0;
    const uint64_t *w = &tr->plan->threads[t].words[word - 1];
    if (hakr_consumes(*w)) {
        struct iovec to = {&size, sizeof size};
        struct iovec from = {(void *)(uintptr_t)(c->sizes_addr + 8 * (uint64_t)hakr_word_slot(*w)),
                             sizeof size};
        if (process_vm_readv(tr->pid, &to, 1, &from, 1, 0) != (ssize_t)sizeof size)
            size = 0;
    }
    return hakr_doing_of(w, word, size);
}

static void note_resident(struct tracer *tr) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", tr->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    hakr_resident_note_of(tr->ctl, fd);
    close(fd);
}

static void enter(struct tracer *tr, struct inside *in, const struct user_regs_struct *r) {
    const uint64_t a[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    in->nr = (long)r->orig_rax;
    in->counts = is_counted(in->nr);
    if (!in->counts)
        return;
    in->class_ = hakr_sys_classify(in->nr, a, tr->ctl->brk_now, &in->bytes);
    in->wanted_brk = a[0];
    if (__atomic_load_n(&tr->ctl->counting, __ATOMIC_ACQUIRE) && hakr_sys_releases(in->class_))
        note_resident(tr);
    in->t0 = hakr_now();
}

static void leave(struct tracer *tr, struct inside *in, pid_t tid,
                  const struct user_regs_struct *r) {
    struct hakr_ctl *c = tr->ctl;
    uint64_t ns = hakr_now() - in->t0;
    long ret = (long)r->rax;
    if (in->nr == SYS_brk) {
        long booked =
            in->class_ == HAKR_SYS_BRK_GROW && (uint64_t)ret < in->wanted_brk ? -ENOMEM : 0;
        c->brk_now = (uint64_t)ret;
        ret = booked;
    }
    if (in->counts && __atomic_load_n(&c->counting, __ATOMIC_ACQUIRE)) {
        uint32_t t = thread_of(c, tid);
        struct hakr_doing what = doing(tr, t);
        hakr_book(c, t, &what, in->class_, in->bytes, ret, ns);
    }
    in->nr = -1;
}

/* One stop of a task; returns the signal to deliver. */
static int at_stop(struct tracer *tr, pid_t tid, int status) {
    int sig = WSTOPSIG(status);
    struct inside *in = state_of(tr, tid);
    struct user_regs_struct r;
    if (sig == (SIGTRAP | 0x80)) {
        if (in == NULL || ptrace(PTRACE_GETREGS, tid, NULL, &r) != 0)
            return 0;
        if (in->nr < 0)
            enter(tr, in, &r);
        else
            leave(tr, in, tid, &r);
        return 0;
    }
    if (status >> 16 != 0 || sig == SIGTRAP || sig == SIGSTOP) /* clone, exec, a new thread */
        return 0;
    return sig;
}

static int set_options(pid_t pid) {
    return (int)ptrace(PTRACE_SETOPTIONS, pid, NULL,
                       (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                                           PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL));
}

static void do_nothing(int sig) {
    (void)sig;
}

/* So that a wait ends now and then. */
static void tick_on(struct sigaction *before) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = do_nothing;
    sigaction(SIGALRM, &sa, before);
    struct itimerval t = {{0, LOOK_NS / 1000}, {0, LOOK_NS / 1000}};
    setitimer(ITIMER_REAL, &t, NULL);
}

static void tick_off(const struct sigaction *before) {
    struct itimerval t = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &t, NULL);
    sigaction(SIGALRM, before, NULL);
}

static void lead(struct tracer *tr, uint64_t deadline_ns, const volatile int *stop, int *wstatus,
                 int *timed_out) {
    int known = 0, killed = 0;
    for (;;) {
        int status;
        if (!killed && (*stop || (deadline_ns != 0 && hakr_now() >= deadline_ns))) {
            *timed_out = !*stop;
            kill(tr->pid, SIGKILL);
            killed = 1;
        }
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            return;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (tid == tr->pid) {
                *wstatus = status;
                return;
            }
            continue;
        }
        if (!known && tid == tr->pid)
            known = set_options(tid) == 0;
        int sig = at_stop(tr, tid, status);
        ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(uintptr_t)(unsigned)sig);
    }
}

int hakr_ptrace_await(pid_t pid, struct hakr_ctl *c, const struct hakr_plan *plan,
                      uint64_t deadline_ns, const volatile int *stop, const sigset_t *mask,
                      int *wstatus, int *timed_out, struct hakc_err *err) {
    struct tracer tr = {.ctl = c, .plan = plan, .pid = pid};
    struct sigaction before;
    sigset_t now;
    if (hakc_map_init(&tr.by_tid, 64) != 0) {
        kill(pid, SIGKILL);
        waitpid(pid, wstatus, 0);
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for tracing the run");
    }
    sigprocmask(SIG_SETMASK, mask, &now);
    tick_on(&before);
    lead(&tr, deadline_ns, stop, wstatus, timed_out);
    tick_off(&before);
    sigprocmask(SIG_SETMASK, &now, NULL);
    hakc_map_fini(&tr.by_tid);
    free(tr.calls);
    return 0;
}
