/*
 * What goes wrong only in a process that forks with others' handlers or runs into a limit. Usage:
 * alloc_limits fork|move|maps|data|tight|trim. Exits 0, or says what failed.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { HANDLED = 3000, BLOCKS = 200000 };
static void *handled[HANDLED], *blocks[BLOCKS];
static int handler_allocates;

static void before_fork(void) {
    for (int i = 0; handler_allocates && i < HANDLED; i++)
        handled[i] = malloc(100 + (size_t)i * 20);
}

static void after_fork(void) {
    for (int i = 0; handler_allocates && i < HANDLED; i++)
        free(handled[i]);
}

/* Before any constructor, as a library that the preloaded one does not know may be. */
static void early(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}
__attribute__((section(".preinit_array"), used)) static void (*const run_early)(void) = early;

/* A fork handler that was registered first allocates; it must not wait for a lock of ours. */
static void fork_handlers(void) {
    handler_allocates = 1;
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    }
}

static unsigned char *grow(unsigned char *p, size_t from, size_t to) {
    for (size_t n = from; n < to;) {
        size_t m = n + n / 9;
        p = realloc(p, m);
        CHECK(p && p[0] == 7 && p[n / 2] == 7 && p[n - 1] == 7);
        memset(p + n, 7, m - n);
        n = m;
    }
    return p;
}

/* realloc moves pages; a limit on address space that came later makes the system refuse. */
static void move_refused(void) {
    size_t n = 200000;
    unsigned char *p = memset(malloc(n), 7, n);
    struct rlimit r = {1u << 30, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &r) == 0);
    free(grow(p, n, 4u << 20));
}

static int count_maps(void) {
    char buf[65536];
    int n = 0, fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t k; (k = read(fd, buf, sizeof buf)) > 0;)
        while (k > 0)
            n += buf[--k] == '\n';
    close(fd);
    return n;
}

/* Nor does moving cut the address space into more mappings than a process may have. */
static void maps_bounded(void) {
    enum { N = 7000 };
    for (int i = 0; i < N; i++)
        CHECK((blocks[i] = malloc(140 << 10)) && memset(blocks[i], 1, 1));
    for (int i = 0; i < N; i++)
        CHECK((blocks[i] = realloc(blocks[i], 250 << 10)));
    printf("%d mappings\n", count_maps());
    CHECK(count_maps() < 9000);
}

/* The first number of /proc/self/statm, or the sixth: what RLIMIT_DATA counts, and the stack. */
static long statm(bool data) {
    long n = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, data ? "%*d %*d %*d %*d %*d %ld" : "%ld", &n) == 1);
    fclose(f);
    return n;
}

static long pages_mapped(void) {
    return statm(false);
}

/* malloc fails at the limit, again and again, and reserves no address space in its search. */
static void data_limit(void) {
    struct rlimit r = {64u << 20, RLIM_INFINITY};
    long before = pages_mapped();
    CHECK(setrlimit(RLIMIT_DATA, &r) == 0);
    int n = 0;
    while (n < BLOCKS && (blocks[n] = malloc(1u << 20)))
        n++;
    CHECK(n > 10 && n < 65);
    for (int i = 0; i < 100; i++)
        CHECK(!malloc(1u << 20));
    while (n > 0)
        free(blocks[--n]);
    CHECK((blocks[0] = malloc(1u << 20)));
    CHECK(pages_mapped() < before + (100 << 20) / 4096);
    /* what is free in a larger size serves when nothing else is to be had */
    for (n = 0; n < 60 && (blocks[n] = malloc(900000)); n++)
        continue;
    CHECK(n > 30);
}

/* Where a process may have little memory, it gets that to the last span: small blocks, and such as
 * lie in slabs of half a MiB elsewhere. */
static void tight_limit(void) {
    struct rlimit r = {(rlim_t)statm(true) * 4096 + (1536 << 10), RLIM_INFINITY};
    size_t sum = 0;
    int n = 0;
    CHECK(setrlimit(RLIMIT_DATA, &r) == 0);
    for (int i = 0; i < 3; i++, n++) {
        CHECK((blocks[n] = malloc(9000 + (size_t)i * 3000)));
        memset(blocks[n], n, 9000);
    }
    while (n < BLOCKS && (blocks[n] = malloc(1000))) {
        sum += 1000;
        memset(blocks[n], n, 1000);
        n++;
    }
    printf("%zu bytes\n", sum);
    CHECK(sum > (100 << 10) && n < BLOCKS);
    for (int i = 0; i < n; i++) {
        CHECK(*(unsigned char *)blocks[i] == (unsigned char)i);
        free(blocks[i]);
    }
    CHECK(malloc(2000));
}

static void *fill(void *arg) {
    for (int i = 0; i < BLOCKS; i++)
        memset(blocks[i] = malloc(200), 1, 200);
    return arg;
}

static long resident(void) {
    char buf[128] = "";
    long n = 0;
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(read(fd, buf, sizeof buf - 1) > 0 && sscanf(buf, "%*d %ld", &n) == 1);
    close(fd);
    return n;
}

/* What a thread that is gone had allocated, and others freed, goes back by malloc_trim. */
static void trim_retired(void) {
    pthread_t id;
    CHECK(pthread_create(&id, NULL, fill, NULL) == 0 && pthread_join(id, NULL) == 0);
    long built = resident();
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    malloc_trim(0);
    CHECK(resident() < built - BLOCKS / 40); /* at least half of it */
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"fork", fork_handlers}, {"move", move_refused}, {"maps", maps_bounded},
                 {"data", data_limit},    {"tight", tight_limit}, {"trim", trim_retired}};
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            puts("ok");
            return 0;
        }
    }
    fprintf(stderr, "usage: alloc_limits fork|move|maps|data|tight|trim\n");
    return 2;
}
