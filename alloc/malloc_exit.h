/* The statistics at the end of the process (HAKMEM_STATS). */
#ifndef ALLOC_MALLOC_EXIT_H
#define ALLOC_MALLOC_EXIT_H

#include <stdatomic.h>

/* When the process starts: keeps standard error for HAKMEM_STATS=1. */
void hak_exit_keep_stderr(void);

/* The descriptor that is kept; -1: none. Where there is one, slow paths call hak_exit_look, which
 * lets it go when standard error has become another file. */
extern _Atomic(int) hak_exit_kept __attribute__((visibility("hidden")));
void hak_exit_look(void);

#endif
