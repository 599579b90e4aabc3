/*
 * libhakmem's public interface beside malloc's: reading what the allocator does, and driving its
 * clock. Find it with dlsym(RTLD_DEFAULT, "hakmem_ctl") in a program that may run without it, or
 * link with -lhakmem.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Reads (out, *out_len bytes; *out_len becomes what was written) and writes (in, in_len bytes) the
 * named value; either may be NULL. Returns 0, or ENOENT (no such name), EINVAL (wrong length or
 * value, or it cannot be read or written), ENOSPC (out is too short: *out_len says how long it must
 * be). Does not allocate and keeps errno. Any thread.
 *
 *   "version"  read   char[]                  "0.1.0"
 *   "policy"   read   char[]                  the release policy in force, canonical
 *   "stats"    read   struct hakmem_stats     counts since the start
 *   "clock"    write  uint64_t                ns that policies see from now on; must not decrease.
 *                                             UINT64_MAX: the system's clock again
 *   "trim"     write  nothing (in = NULL, out = NULL)  as malloc_trim(0)
 */
int hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len);

#define HAKMEM_STATS_VERSION 1

struct hakmem_stats {
    uint32_t version;         /* HAKMEM_STATS_VERSION */
    uint32_t size;            /* of this struct */
    uint64_t committed_bytes; /* address space made usable so far */
    uint64_t active_bytes;    /* of it, in spans in use */
    uint64_t dirty_bytes;     /* free and resident, as far as the allocator knows */
    uint64_t dirty_spans;
    uint64_t release_rounds, release_calls, release_failures;
    uint64_t released_spans, released_bytes;
    uint64_t heaps, retired_heaps; /* of threads, ever made; waiting for a new thread */
};

#ifdef __cplusplus
}
#endif

#endif
