/*
 * libhakmem's public interface beside malloc's: reading what the allocator does, changing its
 * release policy, and driving its clock. Find it with dlsym(RTLD_DEFAULT, "hakmem_ctl") in a
 * program that may run without it, or link with -lhakmem (pkg-config hakmem). hakmem(7) describes
 * the library for its user.
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
 * named value; either may be NULL. Where both are given, the old value is read before the new one
 * is written. Returns 0, or ENOENT (no such name), EINVAL (wrong length or value, or it cannot be
 * read or written), ENOSPC (out is too short: *out_len says how long it must be, and nothing is
 * written). Does not allocate and keeps errno. Any thread.
 *
 *   "version"         read        char[]                   "0.1.0"
 *   "policy"          read/write  char[]                   the release policy in force, canonical;
 *                                                          any policy string, with or without its 0
 *   "policy.problem"  read        char[]                   what was wrong with the environment's
 *                                                          policy, level and others; "" = nothing
 *   "safe"            read        uint32_t                 the safety level, 0 to 3
 *   "background"      read        uint32_t                 1: the background thread was started
 *   "stats"           read        struct hakmem_stats      counts since the start
 *   "stats.classes"   read        struct hakmem_class[]    each size class with a slab
 *   "stats.threads"   read        struct hakmem_thread[]   each thread's heap, ever
 *   "stats.json"      read        char[]                   all of it, as one JSON document
 *   "clock"           write       uint64_t                 ns that policies see from now on; must
 *                                                          not decrease. UINT64_MAX: the system's
 *   "trim"            write       nothing (all NULL and 0) as malloc_trim(0)
 *
 * A struct only grows at its end. An out that holds less than the library's struct, but at least
 * the first version's, gets that much; `size` then says what the library has.
 */
int hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len);

#define HAKMEM_STATS_VERSION 2

/* What other threads do meanwhile may or may not be in it. */
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
    /* version 2 */
    uint64_t used_bytes;                 /* in blocks that the program holds, as rounded up */
    uint64_t cached_bytes;               /* in free blocks on threads' lists */
    uint64_t slab_spans, slab_bytes;     /* spans in use for size classes */
    uint64_t large_objects, large_bytes; /* spans in use for one object each; their pages */
    uint64_t lazy_spans, purged_spans, unmapped_spans; /* free, by how they were given back */
    uint64_t policy_switches;                          /* by hakmem_ctl("policy") */
};

struct hakmem_class {
    uint64_t block_bytes;
    uint64_t slabs, slab_bytes; /* in use for the class */
    uint64_t blocks;            /* that fit on them */
    uint64_t used;              /* blocks that the program holds */
    uint64_t cached;            /* free, on threads' lists */
};

enum hakmem_thread_state {
    HAKMEM_THREAD_LIVE = 0,
    HAKMEM_THREAD_ENDED = 1, /* its heap waits for a new thread */
    HAKMEM_THREAD_FORKED = 2 /* it was another process's: of a thread that fork left behind */
};

struct hakmem_thread {
    uint64_t number; /* of its heap, from 0; a new thread takes over an ended one's */
    uint64_t state;  /* enum hakmem_thread_state */
    uint64_t slabs, slab_bytes;
    uint64_t used_bytes, cached_bytes; /* blocks of its slabs; blocks on its own lists */
};

#ifdef __cplusplus
}
#endif

#endif
