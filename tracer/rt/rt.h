/*
 * libhaktrace.so: what runs inside a traced program. One wrapper per entry point of the malloc
 * family (wrap.c), a ring per thread (ring.h, ring.c), the way to the real functions (real.c),
 * finding the collector's memory (join.c) and giving rings to threads (attach.c).
 *
 * Nothing here allocates, prints or exits. Without a collector the library is dormant: the
 * wrappers call the real functions and that is all.
 */
#ifndef TRACER_RT_RT_H
#define TRACER_RT_RT_H

#include "tracer/rt/owner.h"
#include "tracer/rt/ring.h"

#include <stddef.h>
#include <stdint.h>

#define HAKT_HIDDEN __attribute__((visibility("hidden")))
#define HAKT_SLOW   __attribute__((noinline, cold))

/* The next definition of each entry point after ours. Until hakt_real_resolve has run they point
 * at stand-ins that run it. */
struct hakt_real {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    /* glibc's second names */
    void *(*libc_malloc)(size_t);
    void *(*libc_calloc)(size_t, size_t);
    void *(*libc_realloc)(void *, size_t);
    void (*libc_free)(void *);
    void *(*libc_memalign)(size_t, size_t);
    void *(*libc_valloc)(size_t);
    void *(*libc_pvalloc)(size_t);
    /* NULL until then */
    int (*brk)(void *);
    void *(*sbrk)(intptr_t);
};
extern HAKT_HIDDEN struct hakt_real hakt_real;

/* Finds the real functions. Any thread, any number of times. */
HAKT_HIDDEN void hakt_real_resolve(void);

/* C++'s operators new and delete (wrap_cxx.c): their next definitions are looked up, and, once it
 * is known where the allocator lies, put to use. */
#define HAKT_CXX_OPERATORS 20
HAKT_HIDDEN void hakt_cxx_find(void *found[HAKT_CXX_OPERATORS]);
HAKT_HIDDEN void hakt_cxx_use(void *const found[HAKT_CXX_OPERATORS]);

/* Does this return address lie in the library of the real functions, or in ours? */
HAKT_HIDDEN int hakt_called_by_allocator(const void *address);

/* Does it lie in the C++ library, whose forms of new and delete call the plain ones? */
HAKT_HIDDEN int hakt_called_by_cxx(const void *address);

/* Does this function belong to the library of the real malloc? */
HAKT_HIDDEN int hakt_is_allocator(const void *function);

/* Memory handed out while dlsym itself allocates. It is never given back. */
#define HAKT_ARENA_BYTES 65536
extern HAKT_HIDDEN char hakt_arena[HAKT_ARENA_BYTES];
static inline int hakt_arena_owns(const void *p) {
    return (uintptr_t)p - (uintptr_t)hakt_arena < HAKT_ARENA_BYTES;
}
/* realloc of such memory: the contents move to the real heap. */
HAKT_HIDDEN void *hakt_arena_realloc(void *p, size_t size);

/* This thread's ring, or one without room that sends every op into hakt_record_slow. */
extern HAKT_HIDDEN __thread struct hakt_ring *hakt_my_ring;

/* At the first op, which may come before our constructor: joins the collector, unless libc does
 * not know the environment yet. */
HAKT_HIDDEN void hakt_early_start(void);

/* `active` is 1 while this process records, or has not found out whether it shall. */
extern HAKT_HIDDEN struct hakt_control hakt_control;
static inline int hakt_is_active(void) {
    return (int)__atomic_load_n(&hakt_control.active, __ATOMIC_RELAXED);
}

/* Environment: the entry NAME=VALUE, or NULL; takes it out; takes this library out of LD_PRELOAD.
 */
HAKT_HIDDEN char **hakt_env(const char *name);
HAKT_HIDDEN void hakt_env_remove(const char *name);
HAKT_HIDDEN void hakt_env_remove_preload(void);
/* What the program executes records into files of its own, not into that of this process. */
HAKT_HIDDEN void hakt_env_mark_more(void);

/* Starts a collector of our own, as the environment says. 1 with the name of its memory, or 0 with
 * the reason. */
HAKT_HIDDEN int hakt_spawn_collector(const char *output, char path[HAKT_SHM_PATH],
                                     char problem[HAKT_PROBLEM]);

/* Asks the collector of the process that this one came from (and whether by exec) for one of its
 * own. 1 with the name of its memory, or 0. */
HAKT_HIDDEN int hakt_ask_collector(struct hakt_shm *shm, int executed, char path[HAKT_SHM_PATH]);

/* The file whose malloc the program calls instead of ours, or NULL. */
HAKT_HIDDEN const char *hakt_other_malloc(void);

/* 1 once a second thread has come. */
extern HAKT_HIDDEN int hakt_threaded;

/* Publishes a memory call (enum hakt_shm_memory_op says which numbers), where the collector wants
 * them. Keeps errno. */
HAKT_HIDDEN HAKT_SLOW void hakt_record_memory(unsigned op, uint64_t a, uint64_t b, uint64_t c,
                                              uint64_t d);

/* How this thread's op on ptr is stamped; its page is this thread's from now on (owner.h). */
static inline enum hakt_stamp hakt_stamp_for(struct hakt_ring *r, const void *ptr) {
    if (__builtin_expect(!__atomic_load_n(&hakt_threaded, __ATOMIC_RELAXED), 1) ||
        hakt_owner_is_me(r->owner, (uintptr_t)ptr))
        return HAKT_STAMP_PACED;
    hakt_owner_take(r->owner, (uintptr_t)ptr, &r->spare);
    return HAKT_STAMP_SETTLED;
}

/* As hakt_record, for an op that finds no room. */
HAKT_HIDDEN HAKT_SLOW int hakt_record_slow(unsigned op, unsigned align_log2, const void *ptr,
                                           uint64_t size);

/* Publishes an op; 0 if it is not recorded. */
__attribute__((always_inline)) static inline int hakt_record(unsigned op, unsigned align_log2,
                                                             const void *ptr, uint64_t size) {
    struct hakt_ring *r = hakt_my_ring;
    if (!hakt_ring_has_room(r))
        return hakt_is_active() ? hakt_record_slow(op, align_log2, ptr, size) : 0;
    hakt_ring_put(r, op, align_log2, (uintptr_t)ptr, size, hakt_stamp_for(r, ptr));
    return 1;
}

#endif
