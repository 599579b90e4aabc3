/*
 * A program that allocates steadily until it is told to end:
 *
 *   trace_beat THREADS FILE     each thread makes malloc(3000 + THREAD) and free a thousand times,
 *                               sleeps 1 ms, and so on until FILE exists; one object is made at the
 *                               start and freed at the end. Prints how many pairs it made.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int stop;
static atomic_long pairs;

static void *work(void *arg) {
    size_t mark = 3000 + (size_t)(uintptr_t)arg;
    void *kept = malloc(2000);
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 1000; i++)
            free(malloc(mark));
        atomic_fetch_add(&pairs, 1000);
        usleep(1000);
    }
    free(kept);
    return NULL;
}

int main(int argc, char **argv) {
    int threads = argc == 3 ? atoi(argv[1]) : 0;
    pthread_t t[64];
    if (threads < 1 || threads > 64)
        return 2;
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&t[i], NULL, work, (void *)(uintptr_t)(i + 1)) != 0)
            return 1;
    }
    while (access(argv[2], F_OK) != 0)
        usleep(2000);
    atomic_store(&stop, 1);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    printf("%ld\n", atomic_load(&pairs));
    return 0;
}
