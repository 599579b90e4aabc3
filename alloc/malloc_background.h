/*
 * The background thread, HAKMEM_BACKGROUND=1: policies that go by time are carried out while the
 * program rests, too. Opt-in, since a library that starts threads surprises (unshare, fork,
 * debuggers). It blocks all signals, allocates nothing, and sleeps without end where the policy
 * waits for no time.
 */
#ifndef ALLOC_MALLOC_BACKGROUND_H
#define ALLOC_MALLOC_BACKGROUND_H

/* Starts it if the settings want it; in the child of a fork as well. Not from inside malloc. Where
 * the system refuses, the process goes on without. */
void hak_background_start(void);

/* The calling thread ends. If it is the main one, the background thread watches from then on, and
 * where it is the last, ends the process as libc would: by exit(0). */
void hak_background_thread_ends(void);

#endif
