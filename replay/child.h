/*
 * The child: one run in a fresh process. Maps what the parent prepared, proves the library, starts
 * the threads, runs the region, leaves its results in shared memory, and is gone without running
 * anybody's exit handlers.
 *
 * The region: from the moment all threads are let go until every stream is done and every thread
 * whose end was recorded has exited. Thread 0 of the trace runs on the process's main thread. Time,
 * CPU, faults, calls and resident memory are all of the region alone.
 */
#ifndef REPLAY_CHILD_H
#define REPLAY_CHILD_H

/* The whole life of the child; `fd` is the control memfd. Returns an exit code only on failure. */
int hakr_child_main(int fd);

/* Calls without effect that enclose the region for a reader of strace's log (ctl->marks):
 * close(HAKR_MARK_START) and close(HAKR_MARK_END). */
#define HAKR_MARK_START (-1000001)
#define HAKR_MARK_END   (-1000002)

#endif
