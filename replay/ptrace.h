/*
 * Counting memory system calls from outside, where the child may not trap its own (a sandbox that
 * forbids seccomp): the parent traces the child with ptrace and books the same calls in the same
 * tables. The counts are as exact; the times hold the two stops of each call and say too much.
 */
#ifndef REPLAY_PTRACE_H
#define REPLAY_PTRACE_H

#include <signal.h>
#include <sys/types.h>
#include "common/err.h"
#include "replay/plan.h"
#include "replay/shm.h"

/* In the child, before exec: lets the parent trace it. 0 or -1. */
int hakr_ptrace_me(void);

/* In the parent: leads pid to its end; *wstatus is its status. Kills it at deadline_ns
 * (CLOCK_MONOTONIC; 0 = none), which sets *timed_out, or on *stop. `mask` is the signal mask to
 * wait with. */
int hakr_ptrace_await(pid_t pid, struct hakr_ctl *c, const struct hakr_plan *plan,
                      uint64_t deadline_ns, const volatile int *stop, const sigset_t *mask,
                      int *wstatus, int *timed_out, struct hakc_err *err);

#endif
