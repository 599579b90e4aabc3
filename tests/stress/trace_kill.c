/*
 * Allocates in T threads until it is killed, and counts in a file what it has begun and done.
 *
 *   trace_kill THREADS FILE     runs; its pid stands in FILE
 *   trace_kill FILE             prints "THREAD BEGUN DONE" for each thread
 *
 * An op is a malloc of 3000 + THREAD or the free of it (see trace_check.c). The counters are in a
 * shared mapping, so they are as true after SIGKILL as the moment it came.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MAX 90

struct counts {
    _Alignas(64) volatile uint64_t begun;
    volatile uint64_t done;
};

struct board {
    volatile uint64_t pid, threads;
    struct counts of[THREADS_MAX + 1];
};

static struct board *board;

static void *work(void *arg) {
    size_t t = (size_t)(uintptr_t)arg;
    struct counts *c = &board->of[t];
    for (uint64_t n = 0;; n += 2) {
        c->begun = n + 1;
        void *volatile p = malloc(3000 + t);
        c->done = n + 1;
        c->begun = n + 2;
        free(p);
        c->done = n + 2;
    }
    return NULL;
}

static int print_board(void) {
    for (uint64_t t = 1; t <= board->threads; t++)
        printf("%d %llu %llu\n", (int)t, (unsigned long long)board->of[t].begun,
               (unsigned long long)board->of[t].done);
    return 0;
}

int main(int argc, char **argv) {
    int fd = argc > 1 ? open(argv[argc - 1], O_RDWR | O_CREAT, 0600) : -1;
    int threads = argc == 3 ? atoi(argv[1]) : 0;
    if (fd < 0 || ftruncate(fd, sizeof(*board)) != 0 || threads < 0 || threads > THREADS_MAX)
        return 2;
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED)
        return 1;
    if (argc == 2)
        return print_board();
    board->threads = (uint64_t)threads;
    for (int t = 1; t <= threads; t++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)t) != 0)
            return 1;
    }
    board->pid = (uint64_t)getpid();
    for (;;)
        pause();
}
