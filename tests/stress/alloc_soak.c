/*
 * A long soak by count: THREADS threads make OPS operations in all, over sizes from 1 byte to a MiB
 * by every entry point, and hand blocks to each other. Each block carries its size and a pattern at
 * its head and its end, checked when it is freed or moved; every 64th is checked whole. Usage:
 *
 *     alloc_soak OPS THREADS SLICES [SEED]
 *
 * The run has EPOCHS epochs of SLICES / EPOCHS slices; threads end with a slice, blocks live on to
 * the end of the epoch. Then every block is freed and malloc_trim called: what stays resident is
 * the epoch's floor. A line a slice (operations, seconds, resident and live memory) and one an
 * epoch.
 *
 * Growth is judged twice. No floor may lie more than FLOOR_KIB above the first: that shows whatever
 * is lost for good, to some hundred blocks, since floors of a sound allocator are equal to some
 * pages. And the last epoch's median slice may lie no more than GROWTH percent above the first's:
 * that shows memory that no longer comes back into use while blocks live. It is a coarse limit,
 * because what a release policy keeps wanders with the load and with who runs when, by 20 % between
 * epochs of a few slices; the highest value of a slice (which this once went by) rises with the
 * logarithm of time besides. Exits 0 if neither grew and no block was corrupted or refused.
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

enum {
    OWN = 3000,
    SHARED = 512,
    EPOCHS = 4,
    FLOOR_KIB = 256,
    GROWTH = 50,
};

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

/* Requested and not freed, while no thread runs. */
static long live_kib(const struct worker *w, unsigned threads) {
    uint64_t sum = 0;
    for (unsigned t = 0; t < threads; t++)
        for (unsigned i = 0; i < OWN; i++)
            sum += w[t].own[i] ? w[t].own[i]->size : 0;
    for (unsigned i = 0; i < SHARED; i++) {
        const struct block *b = atomic_load(&shared[i]);
        sum += b ? b->size : 0;
    }
    return (long)(sum / 1024);
}

static int run_slice(struct worker *w, unsigned threads) {
    for (unsigned t = 0; t < threads; t++)
        if (pthread_create(&w[t].thread, NULL, work, &w[t]) != 0)
            return -1;
    for (unsigned t = 0; t < threads; t++)
        pthread_join(w[t].thread, NULL);
    return 0;
}

/* Frees every block and asks for all to go back; the memory that stays, in KiB. */
static long drain(struct worker *w, unsigned threads) {
    for (unsigned t = 0; t < threads; t++)
        for (unsigned i = 0; i < OWN; i++) {
            drop(w[t].own[i]);
            w[t].own[i] = NULL;
        }
    for (unsigned i = 0; i < SHARED; i++)
        drop(atomic_exchange(&shared[i], NULL));
    malloc_trim(0);
    return resident_kib();
}

static int by_size(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static struct worker *make_workers(unsigned threads, uint64_t ops_each, uint64_t seed) {
    struct worker *w = calloc(threads, sizeof *w);
    for (unsigned t = 0; w && t < threads; t++) {
        w[t].rng = (seed * 1000003 + t + 1) * 0x9e3779b97f4a7c15u;
        w[t].ops = ops_each;
    }
    return w;
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5)
        return 2;
    uint64_t ops = strtoull(argv[1], NULL, 10), done = 0;
    unsigned threads = (unsigned)atoi(argv[2]), slices = (unsigned)atoi(argv[3]) / EPOCHS;
    long *kib = calloc(slices, sizeof *kib), median[EPOCHS], floor[EPOCHS], highest = 0;
    time_t began = time(NULL);
    if (!kib || !slices || !threads)
        return 2;
    struct worker *w = make_workers(threads, ops / (slices * EPOCHS) / threads,
                                    argc == 5 ? strtoull(argv[4], NULL, 10) : 0);
    for (unsigned e = 0; e < EPOCHS; e++) {
        for (unsigned s = 0; s < slices; s++) {
            if (!w || run_slice(w, threads) < 0)
                return 2;
            done += w->ops * threads;
            kib[s] = resident_kib();
            printf("%llu ops %ld s %ld KiB %ld live %lu corrupt %lu refused\n",
                   (unsigned long long)done, (long)(time(NULL) - began), kib[s],
                   live_kib(w, threads), atomic_load(&corrupt), atomic_load(&refused));
            fflush(stdout);
        }
        qsort(kib, slices, sizeof *kib, by_size);
        median[e] = kib[slices / 2];
        floor[e] = drain(w, threads);
        highest = floor[e] > highest ? floor[e] : highest;
        printf("epoch %u: median %ld KiB, floor %ld KiB\n", e + 1, median[e], floor[e]);
    }
    int grown = highest > floor[0] + FLOOR_KIB ||
                median[EPOCHS - 1] > median[0] + median[0] * GROWTH / 100,
        bad = atomic_load(&corrupt) || atomic_load(&refused);
    puts(bad ? "FAILED: blocks" : grown ? "FAILED: growth" : "ok");
    return bad || grown;
}
