/* See malloc_background.h. */
#include "alloc/malloc_background.h"
#include <pthread.h>
#include <signal.h>
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

/* glibc puts the thread's TLS onto it as well. */
#define STACK ((size_t)128 << 10)

static void *life(void *arg) {
    (void)arg;
    hak_pool_watch();
}

void hak_background_start(void) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    if (!hak_settings.background || pthread_attr_init(&attr) != 0)
        return;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    hak_settings.background_runs = pthread_create(&thread, &attr, life, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}
