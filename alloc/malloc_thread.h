/*
 * A thread's heap, from its first allocation to after its last: how malloc.c finds it, and what
 * happens to it when the thread ends or forks.
 */
#ifndef ALLOC_MALLOC_THREAD_H
#define ALLOC_MALLOC_THREAD_H

#include "alloc/internal.h"

/* The calling thread's heap; &hak_empty_heap before its first allocation and after its end. */
extern __thread struct hak_heap *hak_my_heap __attribute__((visibility("hidden")));

/* The same heap from safety level 1 on, when hak_my_heap stays the empty one, so that the fast
 * paths miss. At level 0, always the empty one. */
extern __thread struct hak_heap *hak_checked_heap __attribute__((visibility("hidden")));

/* The calling thread's own heap at any level; &hak_empty_heap if it has none. */
struct hak_heap *hak_thread_own(void);

/* What malloc and free do when their fast paths could not. (malloc.c) */
void *hak_malloc_slow(size_t size, struct hak_heap *h);
void hak_free_slow(void *p, struct hak_heap *h);

/* Reads the settings and readies the core, once per process. */
void hak_thread_init(void);

/* The heap to allocate from when hak_my_heap could not serve. *late = true: the thread is past
 * its end and this is the heap that all such threads share, locked; hak_thread_late_done() when
 * done with it. NULL: no memory. */
struct hak_heap *hak_thread_heap(bool *late);
void hak_thread_late_done(void);

/* The calling thread has no heap and frees p: the heap it gets for that, once it has freed often
 * enough to pack its frees (remote.h), else &hak_empty_heap. */
struct hak_heap *hak_thread_frees(const void *p);

#endif
