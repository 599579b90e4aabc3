/*
 * Reaching into a process that has the library loaded (struct hakt_control, tracer/rt/trace_shm.h):
 * offering it a collector, taking its threads out of their rings, finding the collector that it
 * has. Needs the permission to trace it, as a debugger does.
 */
#ifndef TRACER_CONTROL_H
#define TRACER_CONTROL_H

#include "common/err.h"
#include "tracer/rt/trace_shm.h"

#include <stdint.h>
#include <sys/types.h>

/* Finds the library in a process. HAKC_ENOENT: no such process, or it has not loaded it;
 * HAKC_EIO: not permitted. */
int hakt_control_find(pid_t pid, uint64_t *address, struct hakt_control *control,
                      struct hakc_err *err);

/* Offers a collector: the process joins at its next op, also one whose collector has died.
 * HAKC_EIO: it is being recorded, or not permitted. */
int hakt_control_offer(pid_t pid, const char *shm_path, struct hakc_err *err);

/* The recording has ended (shm->stopped is set): each thread sees it at its next op. What cannot
 * be reached is left as it is. */
void hakt_control_release(pid_t pid);

/* Maps the shared memory of the collector that records the process. HAKC_ENOENT: nobody does. */
int hakt_control_open_shm(pid_t pid, struct hakt_shm **shm, struct hakc_err *err);
void hakt_control_close_shm(struct hakt_shm *shm);

#endif
