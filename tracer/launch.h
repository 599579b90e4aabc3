/*
 * Starting the program to be traced: finding it and the library, giving it the library and the
 * shared memory by its environment, passing signals on, and learning how it ended.
 */
#ifndef TRACER_LAUNCH_H
#define TRACER_LAUNCH_H

#include "common/err.h"

#include <limits.h>
#include <sys/types.h>

#define HAKT_EXIT_NOT_RUNNABLE 126
#define HAKT_EXIT_NOT_FOUND    127

/* Finds libhaktrace.so: `asked` if not NULL, else next to this executable, in ../lib of it, or in
 * PREFIX/lib. HAKC_ENOENT; HAKC_EUSAGE for a path that LD_PRELOAD cannot carry. */
int hakt_find_library(char path[PATH_MAX], const char *asked, struct hakc_err *err);

/* Finds a program as execvp does. 0; else the exit code 126 or 127, with *err filled. */
int hakt_find_program(char path[PATH_MAX], const char *name, struct hakc_err *err);

/* A program that has been forked and waits to be let go, so that its pid is known before. */
struct hakt_launch {
    pid_t pid;
    int go_fd;     /* closed or written: the child goes, or gives up */
    int status_fd; /* closed by a successful exec, else carries errno */
    char program[PATH_MAX];
};

/* Before anything is written: passing RLIMIT_FSIZE is an error of writing for us, not the end. The
 * program gets the signal's disposition as it was. */
void hakt_launch_guard(void);

/* Forks. From here on SIGINT and SIGQUIT of the terminal are the program's alone, and SIGTERM,
 * SIGHUP, SIGUSR1, SIGUSR2, and a SIGINT or SIGQUIT sent by a process, are passed on to it.
 * HAKC_EIO. */
int hakt_launch_fork(struct hakt_launch *l, const char *program, char **argv, const char *library,
                     const char *shm_path, struct hakc_err *err);

/* Lets the program go. 0; else 126 or 127, with *err filled, and the child is gone. */
int hakt_launch_go(struct hakt_launch *l, struct hakc_err *err);

/* Calls the start off; the child is gone afterwards. */
void hakt_launch_cancel(struct hakt_launch *l);

/* The program has ended: no signal goes to its pid any more. */
void hakt_launch_forget(void);

/* The file that a process runs, and its command line, arguments separated by spaces; "" where
 * unknown. */
void hakt_describe_process(pid_t pid, char program[PATH_MAX], char *command, size_t room);

#endif
