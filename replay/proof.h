/*
 * The proof that malloc and its family are the library's that was asked for: every entry point is
 * looked up as the dynamic linker binds it, and the file it lies in compared by device and inode.
 */
#ifndef REPLAY_PROOF_H
#define REPLAY_PROOF_H

#include "replay/drive.h"
#include "replay/shm.h"

/* Fills in ctl's lib_path, build_id and substituted, and the rare entry points; what the library
 * lacks among those is made from what it has (ctl->substituted names them), or refused where that
 * does not do. 0, or -1 with ctl's message: malloc, calloc, realloc and free must be the library's.
 */
int hakr_prove(struct hakr_ctl *ctl, struct hakr_rare *rare);

/* The library's hakmem_ctl, or NULL with another allocator. Calls nothing of it. */
hakr_hakmem_ctl *hakr_find_hakmem(const struct hakr_ctl *ctl);

/* Asks hakmem (NULL: another allocator) for the policy in force: ctl->policy. 0, or -1 with ctl's
 * message: it is not the one asked for, or there is no answer. To be called after the region, for
 * asking makes hakmem set itself up, whose calls belong into the region. */
int hakr_prove_policy(struct hakr_ctl *ctl, hakr_hakmem_ctl *hakmem);

/* Whether the malloc of this process is libhaktrace.so's: it is being recorded. */
int hakr_is_recorded(void);

#endif
