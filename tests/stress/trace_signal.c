/*
 * Allocates in main and in a signal handler that a timer sends all the time.
 *
 *   trace_signal ROUNDS SIGNALS     prints what a trace of it must hold, as trace_check does
 *
 * Runs until both numbers are reached. For an allocator that may be entered from a signal handler
 * (glibc's may not).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

static volatile long handled;

static void handler(int sig) {
    (void)sig;
    void *volatile p = malloc(3101);
    p = realloc(p, 3201);
    free(p);
    handled++;
}

int main(int argc, char **argv) {
    struct sigaction sa = {.sa_handler = handler};
    struct itimerval timer = {{0, 200}, {0, 200}}, off = {{0, 0}, {0, 0}};
    long done = 0;
    if (argc != 3)
        return 2;
    long rounds = atol(argv[1]), signals = atol(argv[2]);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (; done < rounds || handled < signals; done++) {
        void *volatile p = malloc(3001);
        p = realloc(p, 3301);
        free(p);
    }
    setitimer(ITIMER_REAL, &off, NULL);
    raise(SIGALRM); /* one that was pending is merged into this */
    printf("1 malloc 3001 %ld\n1 malloc 3101 %ld\n", done, handled);
    printf("1 realloc 3201 %ld\n1 realloc 3301 %ld\n", handled, done);
    printf("1 free 3201 %ld\n1 free 3301 %ld\n", handled, done);
    return 0;
}
