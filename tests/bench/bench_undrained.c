/*
 * Runs a program under libhaktrace.so with nobody who drains: its threads find their rings empty
 * whenever they look, and write over what they wrote. So what they take longer than untraced is
 * the wrapper's and the clock's share of a recording, without the collector's.
 *
 *   bench_undrained LIBRARY PACE PROGRAM [ARG...]
 *
 * PACE: one op in so many is stamped (1 to 255; 0 = none after the first).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/err.h"
#include "tracer/collect_shm.h"

#define FAR_AHEAD (1ull << 40) /* words */

/* A ring is taken: its tail, which is never read again by a collector, goes where no head comes. */
static void make_endless(struct hakt_shm *shm) {
    struct hakt_shm_slot *slots = hakt_shm_slots(shm);
    for (uint32_t i = 0; i < shm->slot_count; i++) {
        if (slots[i].tail == 0 && slots[i].state == HAKT_SLOT_ATTACHED)
            __atomic_store_n(&slots[i].tail, FAR_AHEAD, __ATOMIC_RELEASE);
    }
}

int main(int argc, char **argv) {
    struct hakt_shm_settings set = {.ring_bytes = 1 << 20, .slots = 64, .clock = HAKT_SHM_TSC};
    struct hakc_err err;
    struct hakt_shm *shm;
    char name[HAKT_SHM_PATH];
    int fd, status = 0;

    if (argc < 4) {
        fprintf(stderr, "bench_undrained LIBRARY PACE PROGRAM [ARG...]\n");
        return 2;
    }
    int pace = atoi(argv[2]);
    set.pace = pace > 0 ? (uint32_t)pace : 255;
    set.burst = pace == 1 ? 0 : pace > 0 ? 3000 : UINT32_MAX;
    if (hakt_shm_create(&shm, &fd, name, &set, &err) != 0) {
        hakc_err_print("bench_undrained", &err);
        return hakc_exit_code(err.code);
    }
    pid_t pid = fork();
    if (pid == 0) {
        setenv("LD_PRELOAD", argv[1], 1);
        setenv(HAKT_SHM_ENV, name, 1);
        execvp(argv[3], &argv[3]);
        perror(argv[3]);
        _exit(127);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        make_endless(shm);
        usleep(500);
    }
    hakt_shm_destroy(shm, fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
