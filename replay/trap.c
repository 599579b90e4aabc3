#include "replay/trap.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include "replay/book.h"
#include "replay/raw.h"
#include "replay/resident.h"

#define FILTER_MAX 64
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of a trap by seccomp; glibc does not name it */
#endif

__thread struct hakr_shm_thread *hakr_self;

static struct hakr_ctl *ctl;
static const uint64_t *sizes_by_slot;
static uint64_t stamp_ns; /* what taking a call's time adds to it */

static struct hakr_doing doing(const struct hakr_shm_thread *self) {
    if (self == NULL || self->cursor <= self->base)
        return (struct hakr_doing){.kind = HAKR_CAUSE_FOREIGN};
    const uint64_t *w = (const uint64_t *)(uintptr_t)self->cursor - 1;
    uint64_t old = hakr_consumes(*w) ? sizes_by_slot[hakr_word_slot(*w)] : 0;
    return hakr_doing_of(w, (self->cursor - self->base) / 8, old);
}

static void book(enum hakr_sysclass class_, uint64_t bytes, long ret, uint64_t ns) {
    struct hakr_shm_thread *self = hakr_self;
    struct hakr_doing what = doing(self);
    uint32_t t = self != NULL ? (uint32_t)(self - hakr_threads(ctl)) : ctl->n_threads;
    if (self != NULL)
        self->fault.trapped++;
    hakr_book(ctl, t, &what, class_, bytes, ret, ns);
}

static void on_sigsys(int sig, siginfo_t *si, void *context) {
    (void)sig;
    if (si->si_code != SYS_SECCOMP)
        return;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t a[6] = {(uint64_t)r[REG_RDI], (uint64_t)r[REG_RSI], (uint64_t)r[REG_RDX],
                     (uint64_t)r[REG_R10], (uint64_t)r[REG_R8],  (uint64_t)r[REG_R9]};
    long nr = si->si_syscall;
    uint64_t brk_now = __atomic_load_n(&ctl->brk_now, __ATOMIC_RELAXED), bytes;
    enum hakr_sysclass c = hakr_sys_classify(nr, a, brk_now, &bytes);
    int count = __atomic_load_n(&ctl->counting, __ATOMIC_ACQUIRE);
    if (count && hakr_sys_releases(c))
        hakr_resident_note(ctl);
    uint64_t faults = c == HAKR_SYS_MADV_POPULATE_WRITE ? hakr_faults_of_thread() : 0;
    uint64_t t0 = hakr_cpu_now();
    long ret = hakr_raw(nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
    uint64_t t1 = hakr_cpu_now();
    if (c == HAKR_SYS_MADV_POPULATE_WRITE && count && hakr_self != NULL)
        hakr_self->fault.in_calls += hakr_faults_of_thread() - faults;
    r[REG_RAX] = ret;
    long booked = ret;
    if (nr == SYS_brk) { /* it answers with the break, not with an errno */
        booked = c == HAKR_SYS_BRK_GROW && (uint64_t)ret < a[0] ? -ENOMEM : 0;
        __atomic_store_n(&ctl->brk_now, (uint64_t)ret, __ATOMIC_RELAXED);
    }
    if (count)
        book(c, bytes, booked, t1 - t0 > stamp_ns ? t1 - t0 - stamp_ns : 0);
}

/* These two stand before the C library's, for a preloaded allocator too: whoever blocks all signals
 * (jemalloc does, for its background threads) must leave SIGSYS open, or the kernel kills the
 * process at the thread's first trapped call. From the program's start, because threads inherit the
 * mask. The C library's own two signals are kept open as it does itself. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    const unsigned long internal = 3ul << 31; /* 32 and 33 */
    unsigned long mask;
    if (set != NULL) {
        memcpy(&mask, set, sizeof mask);
        mask &= ~internal;
        if (how != SIG_UNBLOCK)
            mask &= ~(1ul << (SIGSYS - 1));
    }
    return -(int)hakr_raw(SYS_rt_sigprocmask, how, set != NULL ? (long)&mask : 0, (long)old,
                          sizeof mask, 0, 0);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    int rc = pthread_sigmask(how, set, old);
    if (rc == 0)
        return 0;
    errno = rc;
    return -1;
}

/* CPU time: a call in which another thread had the processor took no longer. */
static void time_the_clock(void) {
    stamp_ns = UINT64_MAX;
    for (int i = 0; i < 100; i++) {
        uint64_t t0 = hakr_cpu_now(), ns = hakr_cpu_now() - t0;
        stamp_ns = ns < stamp_ns ? ns : stamp_ns;
    }
}

static int install_handler(void) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_sigsys;
    sa.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
    return sigaction(SIGSYS, &sa, NULL) != 0 ? -errno : 0;
}

/* Allow, unless it is one of our calls from elsewhere than hakr_raw. */
static unsigned build_filter(struct sock_filter *f) {
    uint64_t ip = (uint64_t)(uintptr_t)hakr_raw_ip;
    unsigned n = 0, calls = 0;
    while (hakr_sys_numbers[calls] >= 0)
        calls++;
    f[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    /* to the "allow" that follows the list */
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0,
                                          (uint8_t)(calls + 1));
    f[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < calls; i++) /* to what follows that "allow" */
        f[n++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)hakr_sys_numbers[i], (uint8_t)(calls - i), 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    size_t at = offsetof(struct seccomp_data, instruction_pointer);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ip, 0, 3);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at + 4);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(ip >> 32), 0, 1);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    return n;
}

int hakr_trap_on(struct hakr_ctl *c, const uint64_t *sizes) {
    struct sock_filter f[FILTER_MAX];
    ctl = c;
    sizes_by_slot = sizes;
    int rc = install_handler();
    if (rc != 0)
        return rc;
    time_the_clock();
    struct sock_fprog prog = {.len = (unsigned short)build_filter(f), .filter = f};
    c->brk_now = (uint64_t)hakr_raw(SYS_brk, 0, 0, 0, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    /* All threads at once; and without the slowdown of speculation that the filter would bring. */
    long ret =
        hakr_raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                 SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long)&prog, 0, 0, 0);
    if (ret != 0)
        return ret > 0 ? -ESRCH : (int)ret;
    c->counted = 1;
    return 0;
}
