/*
 * Allocation where programs do it at odd times: before main, in constructors, at exit, in the
 * destructors of thread-local data, under a storm of signals, in libraries that come and go, in a
 * thousand threads at once. Usage: alloc_life CASE [LIBRARY]. Exits 0, or says what failed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

enum { EARLY = 200 };
static unsigned char *early[EARLY], *in_constructor[EARLY];

static unsigned char *made(size_t n, int v) {
    unsigned char *p = malloc(n);
    CHECK(p);
    return memset(p, v, n);
}

static void checked_free(unsigned char *p, size_t n, int v) {
    for (size_t i = 0; i < n; i++)
        CHECK(p[i] == (unsigned char)v);
    free(p);
}

static size_t size_of(int i) {
    return (size_t)i * i * 3 + 1;
}

/* Before any constructor, and before libraries that the preloaded one does not know. */
static void before_all(void) {
    for (int i = 0; i < EARLY; i++)
        early[i] = made(size_of(i), i);
}
__attribute__((section(".preinit_array"), used)) static void (*const run_early)(void) = before_all;

__attribute__((constructor)) static void constructor(void) {
    for (int i = 0; i < EARLY; i++) {
        in_constructor[i] = made(size_of(i), i + 1);
        if (i % 2)
            checked_free(early[i], size_of(i), i);
    }
}

static void at_exit(void) {
    for (int i = 0; i < EARLY; i += 2)
        checked_free(early[i], size_of(i), i);
}

__attribute__((destructor)) static void destructor(void) {
    for (int i = 0; i < EARLY; i++)
        checked_free(in_constructor[i], size_of(i), i + 1);
    free(malloc(1 << 20));
}

/* ---- thread-local data, destroyed in any order, which allocates and frees as it goes ---- */

enum { KEYS = 24 };
static pthread_key_t keys[KEYS];
static _Atomic(unsigned char *) left_behind[64];

static void destroy(void *value) {
    static __thread int rounds;
    int i = *(int *)value;
    free(value);
    free(calloc(3, 100));
    if (rounds++ < 60) { /* as long as the C library asks again */
        int *again = malloc(sizeof *again);
        *again = i;
        pthread_setspecific(keys[i], again);
    }
    unsigned char *old = atomic_exchange(&left_behind[i], made(300, i));
    if (old)
        checked_free(old, 300, i);
}

static void *with_data(void *arg) {
    int n = (int)(intptr_t)arg;
    for (int k = 0; k < KEYS; k++) {
        int i = (k * 7 + n) % KEYS;
        int *value = malloc(sizeof *value);
        *value = i;
        pthread_setspecific(keys[i], value);
    }
    return made(500, n); /* freed by who joins */
}

static void thread_data(void) {
    for (int k = 0; k < KEYS; k++)
        CHECK(pthread_key_create(&keys[k], destroy) == 0);
    for (int round = 0; round < 20; round++) {
        pthread_t t[16];
        for (int i = 0; i < 16; i++)
            CHECK(pthread_create(&t[i], NULL, with_data, (void *)(intptr_t)i) == 0);
        for (int i = 0; i < 16; i++) {
            void *block;
            CHECK(pthread_join(t[i], &block) == 0);
            checked_free(block, 500, i);
        }
    }
    for (int i = 0; i < 64; i++)
        if (left_behind[i])
            checked_free(left_behind[i], 300, i);
}

/* ---- a thousand threads at once ---- */

static pthread_barrier_t barrier;
static unsigned char *given[1000];

static void *one_of_many(void *arg) {
    int n = (int)(intptr_t)arg;
    given[n] = made(1000 + (size_t)n * 7, n);
    pthread_barrier_wait(&barrier);
    int from = (n + 501) % 1000; /* another's, while all are alive */
    checked_free(given[from], 1000 + (size_t)from * 7, from);
    for (int i = 0; i < 200; i++)
        checked_free(made(size_of(i) % 3000 + 1, i), size_of(i) % 3000 + 1, i);
    return NULL;
}

static void thousand(void) {
    static pthread_t t[1000];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    CHECK(pthread_barrier_init(&barrier, NULL, 1000) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(pthread_create(&t[i], &attr, one_of_many, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
}

/* ---- signals that come at any instruction, and whose handler changes errno ---- */

static atomic_uint signals;

static void handler(int sig) {
    (void)sig;
    atomic_fetch_add(&signals, 1);
    errno = 77;
}

static void signal_storm(void) {
    struct itimerval often = {{0, 150}, {0, 150}};
    struct sigaction action = {.sa_handler = handler}; /* without SA_RESTART */
    static unsigned char *p[500];
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    uint32_t x = 1;
    for (int i = 0; i < 400000 || signals < 100; i++) {
        x = x * 1664525 + 1013904223;
        int k = (int)(x >> 8) % 500;
        size_t n = 1 + (size_t)k * (k % 50 == 0 ? 1000 : 3);
        if (p[k])
            checked_free(p[k], n, k);
        p[k] = p[k] ? NULL : made(n, k);
        if (i % 20000 == 0)
            malloc_trim(0);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    for (int k = 0; k < 500; k++)
        free(p[k]);
}

/* ---- a library that allocates when it comes and frees when it goes ---- */

static void library(const char *path) {
    for (int i = 0; i < 200; i++) {
        void *lib = dlopen(path, RTLD_NOW);
        CHECK(lib);
        void *(*make)(size_t) = (void *(*)(size_t))dlsym(lib, "make");
        CHECK(make);
        unsigned char *p = make(1000); /* outlives the library */
        CHECK(dlclose(lib) == 0);
        checked_free(p, 1000, 'm');
    }
}

/* The process ends with its last thread, which is not the main one. */
static void *last(void *arg) {
    usleep(100000);
    checked_free(made(100000, 7), 100000, 7);
    puts("ok");
    return arg;
}

static void last_thread(bool in_child) {
    pthread_t t;
    int status;
    pid_t pid = in_child ? fork() : 0;
    if (pid != 0) {
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        return;
    }
    alarm(30);
    CHECK(pthread_create(&t, NULL, last, NULL) == 0 && pthread_detach(t) == 0);
    pthread_exit(NULL);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    atexit(at_exit);
    if (!strcmp(name, "threads"))
        thread_data();
    else if (!strcmp(name, "thousand"))
        thousand();
    else if (!strcmp(name, "signals"))
        signal_storm();
    else if (!strcmp(name, "library") && argc == 3)
        library(argv[2]);
    else if (!strcmp(name, "last"))
        last_thread(false);
    else if (!strcmp(name, "child"))
        last_thread(true);
    else if (strcmp(name, "nothing") != 0)
        return 2;
    puts("ok");
    return 0;
}
