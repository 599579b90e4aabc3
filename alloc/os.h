/*
 * The allocator's only door to the system. Everything in alloc/ that needs memory, time or a lock
 * that sleeps calls these functions, so that what stands behind the door can be changed:
 *   os_linux.c   the real system (libhakmem);
 *   sim/os_sim.c a system that only keeps books (haksim);
 *   a fault injector in the tests.
 *
 * All sizes are bytes and multiples of hak_os_page_size(), addresses are page-aligned. Functions
 * return 0 or an errno value; none of them changes errno, prints, or allocates. Callable from any
 * thread.
 */
#ifndef ALLOC_OS_H
#define ALLOC_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reserves address space without access rights: costs no memory. align is a power of two; up to
 * that much more is reserved around it and never given back. */
int hak_os_reserve(size_t bytes, size_t align, void **out);

/* Makes reserved (or unmapped) space readable and writable; zero when first touched. */
int hak_os_commit(void *p, size_t bytes);

/* Gives the pages back and keeps the mapping: MADV_DONTNEED (zero afterwards), or MADV_FREE if
 * lazy (contents undefined afterwards until written). */
int hak_os_purge(void *p, size_t bytes, bool lazy);

/* Gives pages and mapping back, but keeps the addresses reserved; undone by hak_os_commit. */
int hak_os_unmap(void *p, size_t bytes);

/* Gives reserved address space itself back. */
int hak_os_release(void *p, size_t bytes);

/* Maps released space again, readable and writable, zero. EEXIST: another mapping lies there by
 * now, and is left alone. */
int hak_os_map(void *p, size_t bytes);

/* Makes the pages resident now (MADV_POPULATE_WRITE). */
int hak_os_populate(void *p, size_t bytes);

/* Asks for huge pages over the range (MADV_HUGEPAGE). EBUSY: not asked, as they came too slowly of
 * late. */
int hak_os_huge(void *p, size_t bytes);

/* Brings in the page at p, for which huge pages were asked, to see how quickly it comes, unless
 * that was looked at just now. Contents stay. False: small pages are the better choice for a while.
 */
bool hak_os_huge_try(void *p);

/* Moves the pages of [from, from + bytes) to `to` (committed, same length) without copying them;
 * `from` stays mapped and reads zero afterwards. An errno value if the system cannot: nothing has
 * moved, and `to` holds what it held, or is a new mapping, of zeroes. ENOTSUP: `to` was not
 * touched. EADDRNOTAVAIL: nothing has moved, and `to` is lost: it is mapped no more, or by somebody
 * else, and must not be used again. */
int hak_os_move(void *from, void *to, size_t bytes);

struct hakp_memory; /* alloc/policy/policy.h */

/* How short memory is. Reads some files: tens of microseconds. */
void hak_os_memory(struct hakp_memory *out);

/* Sleeps until *word is no longer `value`, somebody wakes it, or timeout_ns have passed
 * (UINT64_MAX: no end). May return early. */
void hak_os_wait(const _Atomic(uint32_t) *word, uint32_t value, uint64_t timeout_ns);
void hak_os_wake(const _Atomic(uint32_t) *word);

/* Monotonic time in ns. */
uint64_t hak_os_now(void);

size_t hak_os_page_size(void);

/* Two words that no other process knows. */
void hak_os_random(uintptr_t out[2]);

/* Value of an environment variable, or NULL; read-only, not to be kept across setenv. */
const char *hak_os_env(const char *name);

/* One line to stderr without stdio, then abort: heap corruption and nothing else. */
_Noreturn void hak_os_die(const char *msg, const void *p);

#endif
