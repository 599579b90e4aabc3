/*
 * A program that bursts and rests, under libhakmem: what is resident while it rests. Usage:
 * alloc_rest CASE. Exits 0, or says what failed.
 *   background  HAKMEM_BACKGROUND=1 and a policy by time: free pages go back while nothing runs;
 *               also in the child of a fork, and with a policy that comes later
 *   bursts      the default policy: pages go back when a burst ends, without a thread
 *   limit       pressure: under a limit of its own (RLIMIT_DATA) the process gives back
 *   limited     the same under a limit from outside, of which the policy's pct is 200 MiB
 *   stall       pressure:stall=…: gives back once tasks have waited for memory, in 20 s at most
 *   rss         pressure:rss=32MiB: active and free pages together stay below it
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "alloc/hakmem.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAILED line %d: %s\n", __LINE__, #cond);                                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int (*ctl)(const char *, void *, size_t *, const void *, size_t);

static uint64_t dirty(void) {
    struct hakmem_stats s;
    size_t n = sizeof s;
    CHECK(ctl("stats", &s, &n, NULL, 0) == 0);
    return s.dirty_bytes;
}

static void rest(long ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void burst(int mib) {
    void **p = malloc(sizeof *p * (size_t)mib);
    for (int i = 0; i < mib; i++)
        memset(p[i] = malloc(1 << 20), 1, 1 << 20);
    for (int i = 0; i < mib; i++)
        free(p[i]);
    free(p);
}

/* Free pages fall below `most` without a call from this thread, in at most ten seconds. */
static void falls_to(uint64_t most) {
    for (int i = 0; i < 100 && dirty() > most; i++)
        rest(100);
    CHECK(dirty() <= most);
}

static void background(void) {
    burst(40);
    CHECK(dirty() >= 8u << 20); /* else the machine stood still for long */
    falls_to(0);
    CHECK(ctl("policy", NULL, NULL, "never", 5) == 0);
    burst(40);
    rest(300);
    CHECK(dirty() >= 39u << 20);
    CHECK(ctl("policy", NULL, NULL, "delay:50", 8) == 0);
    falls_to(0);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        burst(20);
        falls_to(0);
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    burst(40);
    falls_to(0);
}

static void bursts(void) {
    for (int i = 0; i < 4; i++) {
        burst(40);
        if (i > 0) /* the first comes too early in a process's life to be paid for as a whole */
            CHECK(dirty() <= 2u << 20);
        rest(200);
    }
}

static void set_limit(int which, uint64_t bytes) {
    struct rlimit r = {bytes, bytes};
    CHECK(setrlimit(which, &r) == 0);
}

static void limited(void) {
    burst(60); /* far below the limit: all stays */
    rest(20);
    burst(1);
    CHECK(dirty() >= 58u << 20);
    burst(250); /* half of the limit is 200 */
    rest(20);
    burst(1);
    CHECK(dirty() <= 200u << 20);
    CHECK(dirty() >= 100u << 20); /* and only what is too much went */
}

static void stall(void) {
    burst(60);
    for (int i = 0; i < 400 && dirty() >= 50u << 20; i++) {
        rest(50);
        burst(1);
    }
    CHECK(dirty() < 50u << 20);
}

static void rss(void) {
    burst(100);
    CHECK(dirty() <= 32u << 20 && dirty() >= 16u << 20);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    ctl = (int (*)(const char *, void *, size_t *, const void *, size_t))dlsym(RTLD_DEFAULT,
                                                                               "hakmem_ctl");
    CHECK(ctl);
    if (!strcmp(name, "background"))
        background();
    else if (!strcmp(name, "bursts"))
        bursts();
    else if (!strcmp(name, "limit"))
        set_limit(RLIMIT_DATA, 400u << 20), limited();
    else if (!strcmp(name, "limited"))
        limited();
    else if (!strcmp(name, "stall"))
        stall();
    else if (!strcmp(name, "rss"))
        rss();
    else
        return 2;
    puts("ok");
    return 0;
}
