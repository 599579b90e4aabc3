/*
 * Threads, forks and exits against the allocator: THREADS workers, each ROUNDS times, allocate,
 * check, hand over to each other and free blocks that carry a pattern; every so often one forks a
 * child that allocates and frees too, one ends and is replaced, and blocks outlive their thread.
 * Usage: alloc_threads THREADS ROUNDS. Prints "ok" and exits 0, or says what was corrupted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 4096

struct block {
    uint64_t seed;
    size_t size;
    unsigned char data[];
};

static _Atomic(struct block *) slots[SLOTS];
static atomic_uint failures;
static pthread_key_t late_key;

static uint64_t next(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static struct block *make(uint64_t *rng) {
    uint64_t r = next(rng);
    size_t n = r % 97 == 0 ? r >> 8 & 0x3ffff : r % 11 == 0 ? r >> 8 & 0x7fff : r >> 8 & 0x3ff;
    struct block *b = r & 64 ? calloc(1, sizeof *b + n) : malloc(sizeof *b + n);
    if (!b) {
        atomic_fetch_add(&failures, 1);
        return NULL;
    }
    if (r & 64)
        for (size_t i = 0; i < n; i++)
            if (b->data[i]) {
                atomic_fetch_add(&failures, 1);
                break;
            }
    b->seed = r;
    b->size = n;
    memset(b->data, (int)(r & 0xff), n);
    return b;
}

static void check_and_free(struct block *b) {
    if (!b)
        return;
    for (size_t i = 0; i < b->size; i++) {
        if (b->data[i] != (unsigned char)b->seed) {
            atomic_fetch_add(&failures, 1);
            break;
        }
    }
    free(b);
}

static void child_work(uint64_t seed) {
    for (int i = 0; i < 2000; i++) {
        struct block *b = make(&seed);
        check_and_free(atomic_exchange(&slots[seed % SLOTS], NULL)); /* the parent's, too */
        check_and_free(b);
    }
    _exit(atomic_load(&failures) != 0);
}

static void late_free(void *p) {
    free(p);
    free(malloc(100)); /* allocation from a destructor */
    static __thread int again;
    if (again++ < 6)
        pthread_setspecific(late_key, malloc(200));
}

struct job {
    uint64_t seed;
    long rounds;
    int may_fork;
};

static void *work(void *arg) {
    struct job *job = arg;
    uint64_t rng = job->seed | 1;
    pthread_setspecific(late_key, malloc(300));
    for (long i = 0; i < job->rounds; i++) {
        struct block *b = make(&rng);
        if (b && next(&rng) % 16 == 0)
            b = realloc(b, sizeof *b + b->size); /* same size: contents must stay */
        check_and_free(atomic_exchange(&slots[next(&rng) % SLOTS], b));
        if (job->may_fork && i % 4096 == 4095) {
            pid_t pid = fork();
            if (pid == 0)
                child_work(rng | 1);
            int status = 0;
            if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
                fprintf(stderr, "child failed: status %d\n", status);
                atomic_fetch_add(&failures, 1);
            }
        }
    }
    free(job);
    return NULL;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    long rounds = argc > 2 ? atol(argv[2]) : 20000;
    pthread_t *id = malloc(sizeof *id * (size_t)threads);
    pthread_key_create(&late_key, late_free);
    for (int wave = 0; wave < 4; wave++) {
        for (int t = 0; t < threads; t++) {
            struct job *job = malloc(sizeof *job);
            *job =
                (struct job){(uint64_t)(wave * 1000 + t) * 0x9e3779b97f4a7c15u, rounds / 4, t == 0};
            if (pthread_create(&id[t], NULL, work, job) != 0) {
                perror("pthread_create");
                return 2;
            }
        }
        for (int t = 0; t < threads; t++)
            pthread_join(id[t], NULL);
    }
    for (int i = 0; i < SLOTS; i++)
        check_and_free(atomic_exchange(&slots[i], NULL));
    free(id);
    if (atomic_load(&failures)) {
        printf("FAILED: %u corrupted or failed blocks\n", atomic_load(&failures));
        return 1;
    }
    printf("ok\n");
    return 0;
}
