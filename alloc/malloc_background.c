/* See malloc_background.h. */
#include "alloc/malloc_background.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

/* glibc puts the thread's TLS onto it as well, and exit handlers may run on it. */
#define STACK ((size_t)256 << 10)

/* How often to see whether other threads are left, once the main one has ended. */
#define LEFT_ALONE_NS ((uint64_t)20000000)

static _Atomic(bool) main_ended;
static sigset_t programs_mask; /* of the thread that started ours */

/* The main thread has called pthread_exit and no other is left but this one: it is a zombie until
 * the process ends, and counts as a thread. */
static bool left_alone(void) {
    char text[512];
    struct stat tasks;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *name_end = strrchr(text, ')'); /* "12 (name) Z ..." */
    if (!name_end || name_end[1] != ' ' || name_end[2] != 'Z')
        return false;
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 2 + 2;
}

/* Without us the last thread's end would be the process's: libc calls exit(0) in it. */
static uint64_t look_around(void) {
    if (!main_ended)
        return UINT64_MAX;
    if (left_alone()) { /* exit handlers are the program's, and may want its signals */
        pthread_sigmask(SIG_SETMASK, &programs_mask, NULL);
        exit(0);
    }
    return LEFT_ALONE_NS;
}

static void *life(void *arg) {
    (void)arg;
    hak_pool_watch(look_around);
}

void hak_background_thread_ends(void) {
    if (!hak_settings.background_runs || gettid() != getpid())
        return;
    main_ended = true;
    hak_pool_wake();
}

bool hak_background_forked(void) {
    bool had = hak_settings.background_runs;
    hak_settings.background_runs = false;
    return had;
}

void hak_background_start(void) {
    sigset_t all;
    pthread_attr_t attr;
    pthread_t thread;
    bool late;
    if (!hak_settings.background || pthread_attr_init(&attr) != 0)
        return;
    main_ended = false;
    if (hak_thread_heap(&late) && late) /* so that this thread's end is told */
        hak_thread_late_done();
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &programs_mask);
    hak_settings.background_runs = pthread_create(&thread, &attr, life, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &programs_mask, NULL);
    pthread_attr_destroy(&attr);
}
