/*
 * Threads that hand objects over as fast as they can, around a ring, both allocating and freeing,
 * so that addresses change threads all the time: the order of a recording is put to the test.
 *
 *   trace_handover THREADS ROUNDS [loads]
 *
 * "loads": by plain loads and stores, which no CPU waits for, and what is freed is allocated again
 * at once: so the lives of an address follow upon each other within some 100 ns.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64

static struct { _Alignas(64) _Atomic(void *) slot; } box[THREADS_MAX];
static int threads;
static long rounds;

static void *work(void *arg) {
    int t = (int)(intptr_t)arg;
    for (long i = 0; i < rounds; i++) {
        void *p = malloc(24 + (size_t)(i & 1) * 1000);
        p = atomic_exchange(&box[(t + 1) % threads].slot, p);
        if (i % 16 == 0)
            p = realloc(p, 48);
        free(p);
        free(atomic_exchange(&box[t].slot, NULL));
    }
    return NULL;
}

/* box[n] is filled by the thread before n alone, and emptied by n alone. */
static void *work_by_loads(void *arg) {
    int t = (int)(intptr_t)arg, next = (t + 1) % threads;
    for (long i = 0; i < rounds; i++) {
        void *p = atomic_load_explicit(&box[t].slot, memory_order_acquire);
        if (p != NULL) {
            atomic_store_explicit(&box[t].slot, NULL, memory_order_release);
            free(p);
        }
        p = malloc(24);
        if (atomic_load_explicit(&box[next].slot, memory_order_acquire) == NULL)
            atomic_store_explicit(&box[next].slot, p, memory_order_release);
        else
            free(p);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread[THREADS_MAX];
    threads = argc >= 3 ? atoi(argv[1]) : 0;
    rounds = argc >= 3 ? atol(argv[2]) : 0;
    void *(*loop)(void *) = argc == 4 && strcmp(argv[3], "loads") == 0 ? work_by_loads : work;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    for (int t = 0; t < threads; t++)
        if (pthread_create(&thread[t], NULL, loop, (void *)(intptr_t)t) != 0)
            return 1;
    for (int t = 0; t < threads; t++)
        pthread_join(thread[t], NULL);
    for (int t = 0; t < threads; t++)
        free(atomic_load(&box[t].slot));
    return 0;
}
