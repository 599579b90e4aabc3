/*
 * What every wrapper needs (wrap.c, wrap_libc.c, wrap_cxx.c).
 */
#ifndef TRACER_RT_WRAP_H
#define TRACER_RT_WRAP_H

#include "tracer/rt/rt.h"

#define EXPORT __attribute__((visibility("default")))

static inline uint64_t hakt_product(size_t n, size_t size) {
    size_t p;
    return __builtin_mul_overflow(n, size, &p) ? UINT64_MAX : p;
}

/* log2 of the alignment asked for; of the next power of two where it is none. */
static inline unsigned hakt_log2_up(size_t align) {
    unsigned bits = align < 2 ? 0 : 64 - (unsigned)__builtin_clzll(align - 1);
    return bits < 63 ? bits : 63;
}

static inline void *hakt_recorded(unsigned op, unsigned align_log2, void *p, uint64_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return p; /* made while finding the real functions: not the program's op */
    hakt_record(op, align_log2, p, size);
    return p;
}

/*
 * An allocator may do one entry point by another one's public name (aligned_alloc by memalign,
 * say). That inner call is no op of the program. It is known by where it comes from, the
 * allocator's own library (or, when it is a tail call, ours), while this thread is in one of its
 * entry points; a signal handler's call at that time comes from elsewhere and is recorded. malloc
 * and free, the hot ones, are taken to do their own work.
 */
extern HAKT_HIDDEN __thread int hakt_inside;
#define NESTED()                                                                                   \
    (__builtin_expect(hakt_inside, 0) && hakt_called_by_allocator(__builtin_return_address(0)))

/* Sets the flag around a call of the real function. Left behind by a longjmp or an exception, it is
 * right again after the next. */
#define INSIDE(call)                                                                               \
    ({                                                                                             \
        hakt_inside = 1;                                                                           \
        __auto_type inside_result = (call);                                                        \
        hakt_inside = 0;                                                                           \
        inside_result;                                                                             \
    })

#endif
