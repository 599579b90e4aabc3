/*
 * A known number of every op of the malloc family in each of T threads, with frees across threads:
 *
 *   trace_known THREADS ROUNDS      prints what a trace of it must hold, as trace_check does
 *
 * Sizes are marks (see trace_check.c). Each round, a thread hands an object to its neighbour, which
 * frees it.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE       64
#define THREADS_MAX 90

struct worker {
    _Alignas(64) _Atomic(void *) queue[QUEUE]; /* what others hand to this thread */
    pthread_t thread;
    int number, from; /* marks of this thread and of the one it frees for */
};

static struct worker workers[THREADS_MAX + 1];
static int threads;
static long rounds;

static void hand_over(struct worker *to, long i, void *p) {
    while (atomic_load_explicit(&to->queue[i % QUEUE], memory_order_acquire) != NULL)
        sched_yield();
    atomic_store_explicit(&to->queue[i % QUEUE], p, memory_order_release);
}

static void free_one(struct worker *w, long i) {
    void *p;
    while ((p = atomic_load_explicit(&w->queue[i % QUEUE], memory_order_acquire)) == NULL)
        sched_yield();
    atomic_store_explicit(&w->queue[i % QUEUE], NULL, memory_order_release);
    free(p);
}

static void *must(void *p) {
    if (p == NULL)
        abort();
    return p;
}

static void every_op(size_t t) {
    void *p = must(calloc(1, 3100 + t));
    p = must(realloc(p, 3200 + t));
    p = must(reallocarray(p, 1, 3300 + t));
    free(p);
    free(must(realloc(NULL, 3200 + t)));
    free(must(memalign(64, 3400 + t)));
    free(must(aligned_alloc(128, 3500 + t)));
    if (posix_memalign(&p, 256, 3600 + t) != 0)
        abort();
    free(p);
    free(must(valloc(3700 + t)));
    free(must(pvalloc(3800 + t)));
}

static void *work(void *arg) {
    struct worker *w = arg;
    struct worker *next = &workers[w->number % threads + 1];
    for (long i = 0; i < rounds; i++) {
        hand_over(next, i, must(malloc(3000 + (size_t)w->number)));
        every_op((size_t)w->number);
        if (i >= QUEUE / 2)
            free_one(w, i - QUEUE / 2);
    }
    for (long i = rounds > QUEUE / 2 ? rounds - QUEUE / 2 : 0; i < rounds; i++)
        free_one(w, i);
    return NULL;
}

static void expect(int t, int from) {
    printf("%d malloc %d %ld\n%d calloc %d %ld\n", t, 3000 + t, rounds, t, 3100 + t, rounds);
    printf("%d realloc %d %ld\n%d reallocarray %d %ld\n", t, 3200 + t, 2 * rounds, t, 3300 + t,
           rounds);
    printf("%d free %d %ld\n", t, 3000 + from, rounds);
    for (int kind = 2; kind <= 8; kind++)
        printf("%d free %d %ld\n", t, 3000 + 100 * kind + t, rounds);
    printf("%d memalign %d %ld\n%d aligned_alloc %d %ld\n", t, 3400 + t, rounds, t, 3500 + t,
           rounds);
    printf("%d posix_memalign %d %ld\n%d valloc %d %ld\n%d pvalloc %d %ld\n", t, 3600 + t, rounds,
           t, 3700 + t, rounds, t, 3800 + t, rounds);
}

int main(int argc, char **argv) {
    threads = argc == 3 ? atoi(argv[1]) : 0;
    rounds = argc == 3 ? atol(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX || rounds < 1)
        return 2;
    for (int t = 1; t <= threads; t++) {
        workers[t].number = t;
        workers[t].from = t == 1 ? threads : t - 1;
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0)
            return 1;
    }
    for (int t = 1; t <= threads; t++)
        pthread_join(workers[t].thread, NULL);
    for (int t = 1; t <= threads; t++)
        expect(t, workers[t].from);
    return 0;
}
