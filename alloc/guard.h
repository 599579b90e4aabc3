/*
 * Safety level 3: blocks with a guarded end, and a quarantine.
 *
 * The last word of what the core gave holds the size asked for, encoded with the block's address;
 * the bytes from that size to the word hold a pattern. Both are checked when the block is freed or
 * reallocated, so one byte past the end is seen, and so is what was written before the start of the
 * block behind it. A freed block is filled with another pattern and waits in a queue of
 * HAK_QUARANTINE blocks and HAK_QUARANTINE_BYTES bytes before it goes to its list; when it leaves,
 * the pattern must still be there. A block larger than all that may wait leaves at once.
 *
 * malloc_usable_size is the size asked for. All sizes pass through here, large ones too.
 */
#ifndef ALLOC_GUARD_H
#define ALLOC_GUARD_H

#include "alloc/safe.h"

#define HAK_QUARANTINE       1024u
#define HAK_QUARANTINE_BYTES ((size_t)16 << 20)

/* The entry points; h as in heap.h. */
void *hak_guard_alloc(struct hak_heap *h, size_t size);
void *hak_guard_calloc(struct hak_heap *h, size_t size);
void *hak_guard_aligned(struct hak_heap *h, size_t align, size_t size);
void *hak_guard_realloc(struct hak_heap *h, void *p, size_t size);
void hak_guard_free(struct hak_heap *h, void *p);
size_t hak_guard_usable(const void *p);

/* Around fork, as hak_core_fork_*: the quarantine has a lock. */
void hak_guard_fork_prepare(void);
void hak_guard_fork_parent(void);
void hak_guard_fork_child(void);

#endif
