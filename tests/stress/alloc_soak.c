/*
 * A long soak by count: THREADS threads make OPS operations in all, over sizes from 1 byte to a MiB
 * by every entry point, and hand blocks to each other. Each block carries its size and a pattern at
 * its head and its end, checked when it is freed or moved; every 64th is checked whole. Usage:
 * alloc_soak OPS THREADS SLICES. A line a slice: operations, seconds, resident memory. Exits 0 if
 * no block was corrupted and the last third of the slices peaked no more than 15 % above the middle
 * one.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OWN = 3000, SHARED = 512 };

struct block {
    uint64_t size, seed;
};

static _Atomic(struct block *) shared[SHARED];
static atomic_ulong corrupt, refused;

struct worker {
    pthread_t thread;
    uint64_t rng, ops;
    struct block *own[OWN];
};

static uint64_t next(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Mostly small, some of a few KiB, few large: as programs are. */
static uint64_t size_of(uint64_t r) {
    uint64_t least = sizeof(struct block) + 8, n = r >> 20;
    if (r % 4096 == 0)
        return least + n % (1 << 20);
    if (r % 64 == 0)
        return least + n % 20000;
    return least + n % (r % 8 == 0 ? 2000 : 200);
}

static void stamp(struct block *b, uint64_t size, uint64_t seed) {
    char *end = (char *)b + size - 8;
    b->size = size;
    b->seed = seed;
    if (seed % 64 == 0)
        memset(b + 1, (int)(seed >> 8 & 0xff), size - sizeof *b);
    memcpy(end, &seed, 8);
}

static void verify(const struct block *b) {
    uint64_t seed = b->seed;
    const unsigned char *p = (const unsigned char *)(b + 1), *end = (const unsigned char *)b;
    if (b->size < sizeof *b + 8 || b->size > 2u << 20 || b->size > malloc_usable_size((void *)b)) {
        atomic_fetch_add(&corrupt, 1);
        return;
    }
    end += b->size - 8;
    if (memcmp(end, &seed, 8) != 0)
        atomic_fetch_add(&corrupt, 1);
    for (; seed % 64 == 0 && p < end; p++)
        if (*p != (seed >> 8 & 0xff)) {
            atomic_fetch_add(&corrupt, 1);
            return;
        }
}

static struct block *make(uint64_t r) {
    uint64_t n = size_of(r);
    struct block *b;
    void *p = NULL;
    switch (r >> 12 & 15) {
    case 0:
        b = calloc(1, n);
        if (b && (b->size || b->seed || *((char *)b + n - 1)))
            atomic_fetch_add(&corrupt, 1);
        break;
    case 1:
        b = posix_memalign(&p, (size_t)16 << (r >> 16 & 7), n) == 0 ? p : NULL;
        break;
    default:
        b = malloc(n);
    }
    if (b)
        stamp(b, n, r);
    else
        atomic_fetch_add(&refused, 1);
    return b;
}

static void drop(struct block *b) {
    if (b) {
        verify(b);
        free(b);
    }
}

static struct block *move(struct block *b, uint64_t r) {
    uint64_t n = size_of(r), had = b->size, seed = b->seed;
    verify(b);
    struct block *q = realloc(b, n);
    if (!q) {
        atomic_fetch_add(&refused, 1);
        return b;
    }
    if (q->size != had || q->seed != seed)
        atomic_fetch_add(&corrupt, 1);
    stamp(q, n, r);
    return q;
}

static void *work(void *arg) {
    struct worker *w = arg;
    for (uint64_t i = 0; i < w->ops; i++) {
        uint64_t r = next(&w->rng);
        struct block **own = &w->own[r % OWN];
        if ((r >> 33 & 31) == 1)
            *own = atomic_exchange(&shared[r >> 40 & (SHARED - 1)], *own);
        if (!*own) {
            *own = make(r);
        } else if ((r >> 38 & 15) == 0) {
            *own = move(*own, r);
        } else {
            drop(*own);
            *own = NULL;
        }
    }
    return NULL;
}

static long resident_kib(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    uint64_t ops = strtoull(argv[1], NULL, 10), done = 0;
    unsigned threads = (unsigned)atoi(argv[2]), slices = (unsigned)atoi(argv[3]);
    struct worker *w = calloc(threads, sizeof *w);
    long middle = 0, last = 0;
    time_t began = time(NULL);
    for (unsigned t = 0; t < threads; t++)
        w[t].rng = (t + 1) * 0x9e3779b97f4a7c15u;
    for (unsigned s = 0; s < slices; s++) {
        for (unsigned t = 0; t < threads; t++) {
            w[t].ops = ops / slices / threads;
            if (pthread_create(&w[t].thread, NULL, work, &w[t]) != 0)
                return 2;
        }
        for (unsigned t = 0; t < threads; t++) {
            pthread_join(w[t].thread, NULL);
            done += w[t].ops;
        }
        long kib = resident_kib(), *peak = s < slices / 3       ? NULL
                                           : s < slices * 2 / 3 ? &middle
                                                                : &last;
        if (peak && kib > *peak)
            *peak = kib;
        printf("%llu ops %ld s %ld KiB %lu corrupt %lu refused\n", (unsigned long long)done,
               (long)(time(NULL) - began), kib, atomic_load(&corrupt), atomic_load(&refused));
        fflush(stdout);
    }
    for (unsigned t = 0; t < threads; t++)
        for (unsigned i = 0; i < OWN; i++)
            drop(w[t].own[i]);
    for (unsigned i = 0; i < SHARED; i++)
        drop(shared[i]);
    int bad = atomic_load(&corrupt) || atomic_load(&refused) || last > middle + middle * 15 / 100;
    puts(bad ? "FAILED" : "ok");
    return bad;
}
