/*
 * Asking a library about itself: it is preloaded into a process that does nothing but name it, and
 * what that process and the library print is read. Nothing here is measured.
 */
#ifndef REPLAY_PROBE_H
#define REPLAY_PROBE_H

#include "common/err.h"

/* Runs hakreplay itself as `hakreplay --probe` (program NULL), or the program with its one
 * argument, in the environment that a run of `library` with `env` has. *text: all it printed, owned
 * by the caller, also if it came to a bad end; then why[] says which ("" = a good one). Ends it
 * after 10 s. An error only where no process could be made. */
int hakr_probe(const char *library, const char *const *env, const char *program,
               const char *argument, char **text, char why[64], struct hakc_err *err);

/* What `hakreplay --probe` does: prints "probe: NAME VERSION" for each interface of a known
 * allocator that it finds, and hakmem's word on its settings. Returns the exit code. */
int hakr_probe_main(void);

#endif
