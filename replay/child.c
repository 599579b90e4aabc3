#include "replay/child.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "replay/cgroup.h"
#include "replay/counters.h"
#include "replay/drive.h"
#include "replay/plan.h"
#include "replay/proof.h"
#include "replay/raw.h"
#include "replay/resident.h"
#include "replay/tick.h"
#include "replay/trap.h"

#define ALT_STACK     (64u << 10) /* for the crash handler; room for any processor's registers */
#define GUARD         4096u
#define PREFAULT      (48u << 10) /* of each stack: deeper use in the region costs faults */
#define MAIN_PREFAULT (192u << 10)
#define SPINS         5 /* 0.2 us */

/* A thread that is waited for is as a rule about to run, or running: to give way costs less than to
 * sleep, from which a virtual processor takes 50 us to wake. Measured on two of them, ns an op of a
 * trace of 15 threads: 28 with 200 looks and 4 yields, 4 with these. Where hundreds wait, they
 * would take the processors from the one they wait for. */
#define YIELDS                                    1600u /* of all threads together */
#define YIELDS_MOST                               100
#define SEEN_THREADS                              1024u
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED (1 << 4)
#define WARM_LINES                                (1u << 20)

/* libhaknull.so alone has these: from begin to end it hands out memory without keeping books. */
extern void haknull_begin(void) __attribute__((weak));
extern void haknull_end(void) __attribute__((weak));

static struct hakr_ctl *ctl;
static struct hakr_drive drive;
static const uint64_t **words; /* by thread */
static pthread_t *handles;
static char *stacks;
static size_t code_bytes;        /* of the time pass's own copy */
static uint32_t ready, go, done; /* futexes */

static int fail(const char *what) {
    snprintf(ctl->message, sizeof ctl->message, "%s: %m", what);
    ctl->state = HAKR_STATE_FAILED;
    return 1;
}

/* Reads each page once, each line of what fits into a cache. MAP_POPULATE alone fills the page
 * tables, but the first use of each entry still cost about 2 us a page on a virtual machine: 4 ns
 * an op of the plan. */
static void warm(const void *p, size_t bytes) {
    size_t step = bytes <= WARM_LINES ? 64 : 4096;
    for (size_t i = 0; i < bytes; i += step)
        (void)((const volatile char *)p)[i];
}

/* Shared, so that it is in nobody's anonymous memory; populated, so that it faults no more. */
static void *shared(size_t bytes, int populate) {
    void *p =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | (populate ? MAP_POPULATE : 0), -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void wait_until(uint32_t *word, uint32_t least) {
    uint32_t now;
    while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < least)
        hakr_raw(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, now, 0, 0, 0);
}

static void bump(uint32_t *word) {
    __atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
    hakr_raw(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, INT32_MAX, 0, 0, 0);
}

/* ---- crashes ----------------------------------------------------------------------------------
 */

static void on_crash(int sig, siginfo_t *si, void *context) {
    (void)context;
    int32_t none = -1, t = -1;
    if (hakr_self != NULL)
        t = (int32_t)(hakr_self - hakr_threads(ctl));
    /* The first to crash is the one to name. The default action follows (SA_RESETHAND). */
    if (__atomic_compare_exchange_n(&ctl->crash_thread, &none, t, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        ctl->crash_signal = sig;
        ctl->crash_addr = sig == SIGABRT ? 0 : (uint64_t)(uintptr_t)si->si_addr;
    }
}

static void catch_crashes(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_crash;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &sa, NULL);
}

static char *thread_area(uint32_t t) {
    return stacks + (size_t)t * (ALT_STACK + GUARD + ctl->stack_bytes);
}

/* In a run that is recorded: an op by which the reader of the recording knows where he is. */
static void mark(uint64_t size) {
    if (ctl->recorded) {
        void *volatile p = malloc(size);
        free(p);
    }
}

static void enter_thread(uint32_t t) {
    hakr_self = &hakr_threads(ctl)[t];
    hakr_self->tid = (uint32_t)hakr_raw(SYS_gettid, 0, 0, 0, 0, 0, 0);
    stack_t alt = {.ss_sp = thread_area(t), .ss_size = ALT_STACK};
    sigaltstack(&alt, NULL);
    mark(HAKR_MARK_THREAD + t);
}

/* Touches the stack below, so that it does not fault in the region. */
static __attribute__((noinline)) void prefault_stack(size_t bytes) {
    char *below = __builtin_alloca(bytes);
    memset(below, 0, bytes);
    __asm__ volatile("" : : "r"(below) : "memory"); /* or the compiler drops it */
}

/* Of the main stack: half of what it may grow to, under a narrow ulimit -s. */
static size_t main_prefault(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur / 2 > MAIN_PREFAULT)
        return MAIN_PREFAULT;
    return (size_t)limit.rlim_cur / 2;
}

/* ---- the region -------------------------------------------------------------------------------
 */

static void run_stream(uint32_t t) {
    struct hakr_shm_thread *self = &hakr_threads(ctl)[t];
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    hakr_drive(&drive, self, words[t]);
    getrusage(RUSAGE_THREAD, &after);
    self->end_ns = hakr_now() - drive.start_ns;
    mark(HAKR_MARK_DONE + t);
    self->minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
    self->majflt = (uint64_t)(after.ru_majflt - before.ru_majflt);
}

static void *thread_main(void *arg) {
    uint32_t t = (uint32_t)(uintptr_t)arg;
    enter_thread(t);
    prefault_stack(PREFAULT);
    bump(&ready);
    wait_until(&go, 1);
    run_stream(t);
    if (hakr_threads(ctl)[t].ends)
        return NULL; /* joined within the region: its allocator sees a thread exit */
    bump(&done);
    for (;;) /* lives on, as it did when recorded */
        wait_until(&go, 2);
}

static int start_threads(void) {
    size_t area = ALT_STACK + GUARD + ctl->stack_bytes;
    for (uint32_t t = 1; t < ctl->n_threads; t++) {
        pthread_attr_t attr;
        char *a = thread_area(t);
        if (mprotect(a + ALT_STACK, GUARD, PROT_NONE) != 0)
            return fail("guard page of a thread's stack");
        pthread_attr_init(&attr);
        int rc = pthread_attr_setstack(&attr, a + ALT_STACK + GUARD, area - ALT_STACK - GUARD);
        if (rc == 0)
            rc = pthread_create(&handles[t], &attr, thread_main, (void *)(uintptr_t)t);
        pthread_attr_destroy(&attr);
        if (rc != 0) {
            errno = rc;
            snprintf(ctl->message, sizeof ctl->message, "start thread %u of %u: %s", t,
                     ctl->n_threads, strerror(rc));
            ctl->state = HAKR_STATE_FAILED;
            return 1;
        }
    }
    wait_until(&ready, ctl->n_threads - 1);
    return 0;
}

static void finish_threads(void) {
    uint32_t stay = 0;
    for (uint32_t t = 1; t < ctl->n_threads; t++) {
        if (hakr_threads(ctl)[t].ends)
            pthread_join(handles[t], NULL);
        else
            stay++;
    }
    wait_until(&done, stay);
}

static uint64_t tv_ns(struct timeval b, struct timeval a) {
    int64_t us = (int64_t)(b.tv_sec - a.tv_sec) * 1000000 + (b.tv_usec - a.tv_usec);
    return us > 0 ? (uint64_t)us * 1000 : 0;
}

#define STAMPS         511
#define CALIBRATION_NS UINT64_C(20000000)

/* The median of measurements of nothing: what a time stamp adds to each op. (qsort may allocate.)
 */
static uint64_t stamp_cost(const int tsc) {
    uint64_t v[STAMPS];
    for (unsigned i = 0; i < STAMPS; i++) {
        uint64_t t0 = hakr_tick(tsc), t1 = hakr_tick(tsc), x = t1 > t0 ? t1 - t0 : 0;
        unsigned k = i;
        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    ctl->step_ticks = UINT64_MAX;
    for (unsigned i = 1; i < STAMPS; i++)
        if (v[i] != v[i - 1] && v[i] - v[i - 1] < ctl->step_ticks)
            ctl->step_ticks = v[i] - v[i - 1];
    return v[STAMPS / 2];
}

static void prepare_clock(void) {
    ctl->stamp_ticks = ctl->tsc ? stamp_cost(1) : stamp_cost(0);
    ctl->tick_ns = hakr_now();
    ctl->ticks = ctl->tsc ? hakr_tick(1) : 0;
}

/* The counter's rate, over the whole run and 20 ms at least. */
static void calibrate(void) {
    uint64_t ns, start = ctl->tick_ns;
    while ((ns = hakr_now() - start) < CALIBRATION_NS)
        __builtin_ia32_pause();
    ctl->ticks = ctl->tsc ? hakr_tick(1) - ctl->ticks : 0;
    ctl->tick_ns = ns;
}

/* What becomes of the memory when nothing happens any more. */
static void look_on(void) {
    uint64_t end = hakr_now();
    for (unsigned i = 0; i < HAKR_RESTS; i++) {
        struct hakr_rest *r = &ctl->rest[i];
        uint64_t due = end + hakr_rest_ns[i], huge;
        if (hakr_rest_ns[i] > ctl->rest_ns)
            continue;
        struct timespec at = {.tv_sec = (time_t)(due / 1000000000u),
                              .tv_nsec = (long)(due % 1000000000u)};
        while (hakr_now() < due)
            hakr_raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&at, 0, 0, 0);
        uint64_t now = hakr_resident();
        r->resident = now == UINT64_MAX ? now : now > ctl->baseline ? now - ctl->baseline : 0;
        hakr_resident_parts(&r->lazy, &huge);
    }
}

static void run_region(void) {
    struct rusage before, after;
    int account = ctl->pass == HAKR_PASS_ACCOUNT, counts = hakr_pass_counts(ctl->pass);
    if (counts && ctl->traced) {
        ctl->sizes_addr = (uint64_t)(uintptr_t)drive.sizes;
        ctl->brk_now = (uint64_t)hakr_raw(SYS_brk, 0, 0, 0, 0, 0, 0);
        ctl->counted = 1;
    } else if (counts) {
        int rc = hakr_trap_on(ctl, drive.sizes);
        if (rc != 0)
            snprintf(ctl->message, sizeof ctl->message,
                     "system calls are not measured: seccomp: %s", strerror(-rc));
    }
    if (haknull_begin != NULL)
        haknull_begin();
    ctl->state = HAKR_STATE_RUNNING;
    mark(HAKR_MARK_BEGIN);
    ctl->baseline = hakr_resident();
    getrusage(RUSAGE_SELF, &before);
    if (ctl->marks)
        hakr_raw(SYS_close, HAKR_CLOSE_START, 0, 0, 0, 0, 0);
    drive.start_ns = hakr_now();
    if (counts)
        __atomic_store_n(&ctl->counting, 1, __ATOMIC_RELEASE);
    if (ctl->pass == HAKR_PASS_COUNTERS)
        hakr_counters_start();
    bump(&go);
    run_stream(0);
    finish_threads();
    if (ctl->pass == HAKR_PASS_COUNTERS)
        hakr_counters_stop(ctl->counters);
    if (counts)
        __atomic_store_n(&ctl->counting, 0, __ATOMIC_RELEASE);
    ctl->wall_ns = hakr_now() - drive.start_ns;
    if (ctl->marks)
        hakr_raw(SYS_close, HAKR_CLOSE_END, 0, 0, 0, 0, 0);
    getrusage(RUSAGE_SELF, &after);
    ctl->at_end = hakr_resident_note(ctl);
    ctl->user_ns = tv_ns(after.ru_utime, before.ru_utime);
    ctl->sys_ns = tv_ns(after.ru_stime, before.ru_stime);
    ctl->minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
    ctl->majflt = (uint64_t)(after.ru_majflt - before.ru_majflt);
    ctl->lazy_free = ctl->huge = UINT64_MAX;
    if (account) {
        hakr_sample(ctl, drive.start_ns);
        hakr_resident_parts(&ctl->lazy_free, &ctl->huge);
        look_on();
    }
    if (ctl->pass == HAKR_PASS_CHECK)
        hakr_check_rest(&drive, hakr_threads(ctl));
    if (haknull_end != NULL)
        haknull_end();
}

static int limit_memory(void) {
    struct rlimit limit = {ctl->memory_limit, ctl->memory_limit};
    if (ctl->memory_limit == 0)
        return 0;
    int rc = ctl->in_cgroup ? hakr_cgroup_limit(ctl->usage_fd, ctl->limit_fd, ctl->memory_limit)
                            : setrlimit(RLIMIT_DATA, &limit);
    return rc != 0 ? fail("limit the memory") : 0;
}

/* ---- before it --------------------------------------------------------------------------------
 */

/* The histograms stay unpopulated: most of them are never used. */
static int map_control(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof *ctl)
        return -1;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    ctl = p;
    if (ctl->magic != HAKR_CTL_MAGIC)
        return -1;
    p = mmap(ctl, ctl->off_hists, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd,
             0);
    return p == MAP_FAILED ? -1 : 0;
}

static int map_streams(void) {
    uint32_t n = ctl->n_threads;
    words = shared(n * sizeof *words, 1);
    handles = shared(n * sizeof *handles, 1);
    if (words == NULL || handles == NULL)
        return fail("memory for the threads");
    for (uint32_t t = 0; t < n; t++) {
        struct hakr_shm_thread *th = &hakr_threads(ctl)[t];
        size_t bytes = (th->plan_words + HAKR_TAIL_WORDS) * 8;
        void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, ctl->plan_fd,
                       (off_t)th->plan_offset);
        if (p == MAP_FAILED)
            return fail("map the plan");
        warm(p, bytes);
        words[t] = p;
        ctl->shared += bytes;
        th->base = th->cursor = (uint64_t)(uintptr_t)p;
        th->wanted = UINT64_MAX;
    }
    return 0;
}

static int map_tables(void) {
    size_t slots = (ctl->n_slots + 1) * sizeof(void *);
    int sized = ctl->pass != HAKR_PASS_TIME && ctl->pass != HAKR_PASS_COUNTERS;
    drive.slots = shared(slots, 1);
    if (sized)
        drive.sizes = shared(slots, 1);
    stacks = shared((size_t)ctl->n_threads * (ALT_STACK + GUARD + ctl->stack_bytes), 0);
    ctl->shared += ctl->bytes + code_bytes + slots * (1u + (unsigned)sized) +
                   (uint64_t)ctl->n_threads * (ALT_STACK + GUARD + ctl->stack_bytes);
    if (ctl->pass == HAKR_PASS_CHECK)
        drive.seeds = shared(slots, 1);
    if (ctl->n_threads > 1 && ctl->n_threads <= SEEN_THREADS) {
        drive.seen_stride = (ctl->n_threads + 15u) & ~15u; /* two lines: nobody else's */
        drive.seen = shared(ctl->n_threads * drive.seen_stride * 8, 1);
        ctl->shared += ctl->n_threads * drive.seen_stride * 8;
    }
    if (drive.slots == NULL || stacks == NULL || (sized && drive.sizes == NULL) ||
        (ctl->pass == HAKR_PASS_CHECK && drive.seeds == NULL))
        return fail("memory for slots and stacks");
    return 0;
}

int hakr_child_main(int fd) {
    if (map_control(fd) != 0) {
        fprintf(stderr, "hakreplay: --child is for hakreplay's own use\n");
        return 2;
    }
    ctl->state = HAKR_STATE_STARTED;
    if (hakr_prove(ctl, &drive.rare) != 0) {
        ctl->state = HAKR_STATE_WRONG_LIBRARY;
        return 1;
    }
    drive.hakmem = hakr_find_hakmem(ctl);
    ctl->state = HAKR_STATE_PROVEN;
    drive.ctl = ctl;
    drive.spins = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPINS : 0;
    drive.yields =
        ctl->n_threads < YIELDS / YIELDS_MOST ? YIELDS_MOST : (int)(YIELDS / ctl->n_threads);
    drive.fences =
        hakr_raw(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) == 0;
    if (hakr_resident_open() != 0)
        return fail("open /proc/self/statm");
    if (ctl->pass == HAKR_PASS_TIME || ctl->pass == HAKR_PASS_COUNTERS)
        code_bytes = hakr_time_place(&drive);
    if (map_streams() != 0 || map_tables() != 0)
        return 1;
    prefault_stack(main_prefault());
    enter_thread(0);
    catch_crashes();
    if (ctl->pass == HAKR_PASS_COUNTERS)
        hakr_counters_open(ctl->counters);
    if (start_threads() != 0)
        return 1;
    if (ctl->pass == HAKR_PASS_LATENCY)
        prepare_clock();
    if (code_bytes != 0)
        hakr_time_warm();
    if (limit_memory() != 0)
        return 1;
    run_region();
    if (ctl->pass == HAKR_PASS_LATENCY)
        calibrate();
    if (hakr_prove_policy(ctl, drive.hakmem) != 0) {
        ctl->state = HAKR_STATE_FAILED;
        return 1;
    }
    __atomic_store_n(&ctl->state, HAKR_STATE_DONE, __ATOMIC_RELEASE);
    return 0;
}
