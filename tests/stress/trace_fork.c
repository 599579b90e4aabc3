/*
 * Forks, vforks and spawns while threads allocate; the children allocate, too.
 *
 *   trace_fork CHILDREN     prints what a trace of the parent must hold, as trace_check does
 *
 * Main's own ops are malloc and free of 3001, the workers' of 3000 + THREAD, those of forked
 * children of 3998: a trace of the parent holds none of the latter.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 3

extern char **environ;
static atomic_int stop;
static long done[WORKERS + 2];

static void pair(int mark, long n) {
    for (long i = 0; i < n; i++) {
        void *volatile p = malloc((size_t)mark);
        free(p);
    }
}

static void *work(void *arg) {
    int t = (int)(intptr_t)arg;
    while (!atomic_load(&stop)) {
        pair(3000 + t, 10);
        done[t] += 10;
    }
    return NULL;
}

static int wait_for(pid_t pid) {
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int spawn_true(void) {
    char name[] = "true", *args[] = {name, NULL};
    pid_t pid;
    return posix_spawnp(&pid, name, NULL, NULL, args, environ) == 0 && wait_for(pid);
}

static int vfork_exit(void) {
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return wait_for(pid);
}

int main(int argc, char **argv) {
    int children = argc == 2 ? atoi(argv[1]) : 0, failures = 0;
    pthread_t threads[WORKERS];
    if (children < 1)
        return 2;
    for (int t = 0; t < WORKERS; t++)
        pthread_create(&threads[t], NULL, work, (void *)(intptr_t)(t + 2));
    for (int i = 0; i < children; i++) {
        pid_t pid;
        pair(3001, 100);
        done[1] += 100;
        pid = fork();
        if (pid == 0) {
            pair(3998, 20000);
            if (fork() == 0) {
                pair(3998, 100);
                _exit(0);
            }
            _exit(0);
        }
        failures += !wait_for(pid);
        failures += !spawn_true() + !vfork_exit();
    }
    atomic_store(&stop, 1);
    for (int t = 0; t < WORKERS; t++)
        pthread_join(threads[t], NULL);
    for (int t = 1; t <= WORKERS + 1; t++)
        printf("%d malloc %d %ld\n%d free %d %ld\n", t, 3000 + t, done[t], t, 3000 + t, done[t]);
    return failures != 0;
}
