/*
 * Counts the memory system calls of this process without privileges: a seccomp filter traps them,
 * wherever they come from, and a SIGSYS handler carries them out, timed, through hakr_raw, the one
 * place the filter lets pass. A trapped call costs about 2 us more than a plain one.
 *
 * Once hakr_trap_on has been called the filter stays until the process ends. A thread that has
 * SIGSYS blocked when it makes such a call is killed by the kernel with SIGSYS; the parent names
 * that.
 */
#ifndef REPLAY_TRAP_H
#define REPLAY_TRAP_H

#include <stdint.h>
#include "replay/shm.h"

/* The calling thread's entry, for the handler; NULL in threads that are not ours. */
extern __thread struct hakr_shm_thread *hakr_self;

/* Installs filter and handler for all threads of the process. sizes: of the objects by slot, so
 * that a free has a size too. 0, or a negative errno: then nothing is counted and ctl->counted is
 * 0. Counts while ctl->counting is set. */
int hakr_trap_on(struct hakr_ctl *ctl, const uint64_t *sizes);

#endif
