/*
 * The background thread, HAKMEM_BACKGROUND=1: policies that go by time are carried out while the
 * program rests, too. Opt-in, since a library that starts threads surprises (unshare, fork,
 * debuggers). It blocks all signals, allocates nothing, and sleeps without end where the policy
 * waits for no time.
 */
#ifndef ALLOC_MALLOC_BACKGROUND_H
#define ALLOC_MALLOC_BACKGROUND_H

#include <stdbool.h>

/* Starts it if the settings want it. It allocates, so only where no call of ours is under way.
 * Where the system refuses, the process goes on without. */
void hak_background_start(void);

/* In the child of a fork: there is none. True: there was, and it is to be started anew. */
bool hak_background_forked(void);

/* The calling thread ends. If it is the main one, the background thread watches from then on, and
 * where it is the last, ends the process as libc would: by exit(0). */
void hak_background_thread_ends(void);

#endif
