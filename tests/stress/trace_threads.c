/*
 * Many short-lived threads, some at a time, that free in their last destructors.
 *
 *   trace_threads THREADS AT_A_TIME     prints what a trace of it must hold, as trace_check does
 *
 * A thread allocates 3001 and 3101; the first is freed by a destructor of thread-specific data,
 * after the thread's function has returned.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define AT_A_TIME_MAX 64

static pthread_key_t key;

static void *work(void *arg) {
    void *volatile p = malloc(3101);
    pthread_setspecific(key, malloc(3001));
    free(p);
    return arg;
}

int main(int argc, char **argv) {
    pthread_t thread[AT_A_TIME_MAX];
    long threads = argc == 3 ? atol(argv[1]) : 0, at_a_time = argc == 3 ? atol(argv[2]) : 0;
    if (threads < 1 || at_a_time < 1 || at_a_time > AT_A_TIME_MAX || threads % at_a_time != 0)
        return 2;
    pthread_key_create(&key, free);
    for (long i = 0; i < threads; i += at_a_time) {
        for (long j = 0; j < at_a_time; j++)
            if (pthread_create(&thread[j], NULL, work, NULL) != 0)
                return 1;
        for (long j = 0; j < at_a_time; j++)
            pthread_join(thread[j], NULL);
    }
    printf("1 malloc 3001 %ld\n1 malloc 3101 %ld\n", threads, threads);
    printf("1 free 3001 %ld\n1 free 3101 %ld\n", threads, threads);
    return 0;
}
