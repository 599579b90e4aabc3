/*
 * A signal handler forks, wherever it finds the program, and the child returns from the handler
 * into what was interrupted: most times a malloc or free that is being recorded.
 *
 *   trace_fork_handler CHILDREN     prints ops as trace_check does; fails if a child does not end
 * well
 *
 * The parent's ops are malloc and free of 3001, its children's of 3998, but for the one that each
 * was forked in.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 1000

static volatile int wanted, forked, failed, in_child;
static pid_t children[CHILDREN_MAX];

static void on_alarm(int sig) {
    (void)sig;
    if (in_child || failed || forked == wanted)
        return;
    pid_t pid = fork();
    if (pid == 0)
        in_child = 1;
    else if (pid < 0)
        failed = 1;
    else
        children[forked++] = pid;
}

static void pair(size_t size) {
    void *volatile p = malloc(size);
    free(p);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 1000}, {0, 1000}}, never = {0};
    int bad = 0, status;
    long pairs = 0;
    wanted = argc == 2 ? atoi(argv[1]) : 0;
    if (wanted < 1 || wanted > CHILDREN_MAX)
        return 2;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    for (; forked < wanted && !failed && !in_child; pairs++)
        pair(3001);
    if (in_child) {
        for (int i = 0; i < 100; i++)
            pair(3998);
        _exit(0);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    for (int i = 0; i < forked; i++)
        bad += waitpid(children[i], &status, 0) != children[i] || status != 0;
    printf("1 malloc 3001 %ld\n1 free 3001 %ld\n", pairs, pairs);
    if (bad != 0)
        fprintf(stderr, "%d of %d children did not end well\n", bad, forked);
    return bad != 0 || failed;
}
