/* The statistics at the end of the process (HAKMEM_STATS). */
#ifndef ALLOC_MALLOC_EXIT_H
#define ALLOC_MALLOC_EXIT_H

/* When the process starts: keeps standard error for HAKMEM_STATS=1. */
void hak_exit_keep_stderr(void);

#endif
