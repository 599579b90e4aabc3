/*
 * Where an allocator's locks meet fork, signals and cancellation. alloc_fork CASE; exit code 0 if
 * it comes to its end, SIGALRM if it hangs.
 *
 *   threads     forks while threads allocate
 *   late        forks while threads reallocate in destructors of their thread-local data
 *   signal      a signal handler that forks, in a program of one thread
 *   lock        the same, but nearly all it does is to take and drop the allocator's lock; each
 *               child goes on with what the handler broke into. With HAKMEM_BACKGROUND=1 it must
 *               have a background thread of its own soon, and none before it allocates
 *   stacks      the first that a child does is to end a thread, upon which libc, locked, frees what
 *               belongs to the stacks of its parent's threads
 *   cancel      cancels a thread that does nothing but malloc and free: neither is a cancellation
 *               point, so it runs to its end
 *   stderr      the same, where the thread has replaced standard error, which HAKMEM_STATS=1 keeps
 *   quarantine  frees much more than a quarantine may hold; its resident memory must stay small
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANGS_AFTER 100 /* s: also on a loaded machine */

static volatile sig_atomic_t stop, forks;
static pthread_key_t key;

static void fork_once(void) {
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100));
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void *allocate(void *arg) {
    while (!stop)
        free(malloc(100));
    return arg;
}

static int fork_among_threads(void) {
    pthread_t t[8];
    for (int i = 0; i < 8; i++)
        if (pthread_create(&t[i], NULL, allocate, NULL) != 0)
            return 1;
    for (int i = 0; i < 1000; i++)
        fork_once();
    stop = 1;
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    return 0;
}

static void reallocate(void *arg) {
    void *p = malloc(20);
    (void)arg;
    for (size_t i = 0; i < 20000; i++) {
        void *q = realloc(p, 20 + i % 100);
        p = q ? q : p;
    }
    free(p);
}

static void *leave_value(void *arg) {
    free(malloc(10)); /* the allocator's own destructor comes first */
    pthread_setspecific(key, &key);
    return arg;
}

static int fork_beside_late_threads(void) {
    free(malloc(1));
    if (pthread_key_create(&key, reallocate) != 0)
        return 1;
    for (int round = 0; round < 5; round++) {
        pthread_t t[4];
        for (int i = 0; i < 4; i++)
            if (pthread_create(&t[i], NULL, leave_value, NULL) != 0)
                return 1;
        for (int i = 0; i < 100; i++)
            fork_once();
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
    }
    return 0;
}

static void on_signal(int number) {
    (void)number;
    pid_t child = fork();
    if (child == 0) /* and no more: it may not allocate */
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    forks++;
}

static int fork_in_handler(void) {
    struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    signal(SIGPROF, on_signal);
    setitimer(ITIMER_PROF, &often, NULL);
    while (forks < 400) {
        char *p = malloc(300000);
        if (p == NULL)
            return 1;
        memset(p, 1, 300000);
        free(p);
    }
    setitimer(ITIMER_PROF, &off, NULL);
    return 0;
}

static unsigned background(void) {
    int (*ctl)(const char *, void *, size_t *, const void *, size_t);
    unsigned runs = 0;
    size_t len = sizeof runs;
    *(void **)&ctl = dlsym(RTLD_DEFAULT, "hakmem_ctl");
    return ctl != NULL && ctl("background", &runs, &len, NULL, 0) == 0 && runs;
}

static volatile sig_atomic_t is_child, was_early;
static unsigned (*volatile started)(void);

static void on_signal_go_on(int number) {
    (void)number;
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        is_child = 1;
        was_early = started != NULL && started();
        return;
    }
    if (child > 0 && (waitpid(child, &status, 0) != child || status != 0))
        _exit(3);
    forks++;
}

/* Blocks of a child and of the frame that it was born over; none may be another's. */
static int allocate_in_child(void) {
    char *p[200];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 200; i++) {
            size_t size = i % 10 == 0 ? 300000 : 20 + (size_t)i;
            if ((p[i] = malloc(size)) == NULL)
                return 4;
            p[i][0] = p[i][19] = (char)i;
        }
        for (int i = 0; i < 200; i++) {
            if (p[i][0] != (char)i || p[i][19] != (char)i)
                return 5;
            free(p[i]);
        }
    }
    return was_early || (started != NULL && !started()) ? 6 : 0;
}

static int fork_over_lock(void) {
    struct itimerval often = {{0, 300}, {0, 300}};
    char *small[30];
    if (background())
        started = background;
    signal(SIGALRM, SIG_DFL);
    signal(SIGPROF, on_signal_go_on);
    setitimer(ITIMER_PROF, &often, NULL);
    while (forks < 200 && !is_child) {
        for (int i = 0; i < 30; i++)
            small[i] = malloc(100);
        for (int i = 0; i < 100; i++)
            free(malloc(300000));
        for (int i = 0; i < 30; i++)
            free(small[i]);
    }
    if (is_child)
        _exit(allocate_in_child());
    return 0;
}

static void *rest(void *arg) {
    free(malloc(100));
    pause();
    return arg;
}

static void *end_at_once(void *arg) {
    return arg;
}

static int free_stacks_in_child(void) {
    enum { THREADS = 12 }; /* libc keeps stacks of 40 MiB */
    pthread_t t;
    pthread_attr_t attr;
    int status;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)8 << 20);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&t, &attr, rest, NULL) != 0)
            return 1;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* where it hangs, with all signals blocked */
        for (int i = 0; i < 3; i++)
            if (pthread_create(&t, &attr, end_at_once, NULL) != 0 || pthread_join(t, NULL) != 0)
                _exit(1);
        _exit(0);
    }
    return waitpid(child, &status, 0) != child || status != 0;
}

static void *large_ones(void *arg) {
    for (size_t i = 0; i < 2000; i++) {
        char *p = malloc(100000 + i % 7 * 70000);
        if (p != NULL)
            *p = 1;
        free(p);
    }
    return arg;
}

static int cancel_allocating_threads(void) {
    for (int i = 0; i < 100; i++) {
        pthread_t t;
        void *result;
        if (pthread_create(&t, NULL, large_ones, NULL) != 0)
            return 1;
        usleep(200);
        pthread_cancel(t);
        pthread_join(t, &result);
        if (result == PTHREAD_CANCELED) {
            fprintf(stderr, "cancelled inside malloc or free\n");
            return 1;
        }
    }
    return 0;
}

static void *large_ones_and_stderr(void *null) {
    pthread_cancel(pthread_self());
    dup2(*(int *)null, STDERR_FILENO);
    return large_ones(null);
}

static int cancel_thread_with_stderr(void) {
    pthread_t t;
    void *result;
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || pthread_create(&t, NULL, large_ones_and_stderr, &null) != 0)
        return 1;
    pthread_join(t, &result);
    return result == PTHREAD_CANCELED;
}

static long resident_mib(void) {
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = -1;
    if (f != NULL)
        fclose(f);
    return resident * (getpagesize() / 1024) / 1024;
}

static int fill_quarantine(void) {
    for (int i = 0; i < 60; i++) {
        char *p = malloc((size_t)16 << 20);
        if (p == NULL)
            return 1;
        memset(p, 1, (size_t)16 << 20);
        free(p);
    }
    long mib = resident_mib();
    if (mib < 0 || mib > 64)
        fprintf(stderr, "%ld MiB resident, nothing alive\n", mib);
    return mib < 0 || mib > 64;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"threads", fork_among_threads},       {"late", fork_beside_late_threads},
        {"signal", fork_in_handler},           {"lock", fork_over_lock},
        {"stacks", free_stacks_in_child},      {"cancel", cancel_allocating_threads},
        {"stderr", cancel_thread_with_stderr}, {"quarantine", fill_quarantine},
    };
    alarm(HANGS_AFTER);
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run();
    fprintf(stderr, "usage: alloc_fork threads|late|signal|lock|stacks|cancel|stderr|quarantine\n");
    return 2;
}
