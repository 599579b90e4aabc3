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

/* The whole life of the child; `fd` is the control memfd. Returns the exit code, with threads that
 * live on: the caller ends the process, without exit handlers (an allocator's are no part of it).
 */
int hakr_child_main(int fd);

/* Calls without effect that enclose the region for a reader of strace's log (ctl->marks):
 * close(HAKR_CLOSE_START) and close(HAKR_CLOSE_END). */
#define HAKR_CLOSE_START (-1000001)
#define HAKR_CLOSE_END   (-1000002)

/* Sizes of the allocations that tell the parts of a recorded run (ctl->recorded), each freed at
 * once: by each thread t when it is ready (MARK_THREAD + t) and when its stream is done (MARK_DONE
 * + t), and by thread 0 just before its own. */
#define HAKR_MARK_BEGIN  3000017u
#define HAKR_MARK_THREAD 4000000u
#define HAKR_MARK_DONE   5000000u

#endif
