/*
 * Why memory system calls were made: what the account pass booked, by the op that was running, its
 * size class, and the call.
 *
 * The child books into one table in shared memory with a cell for every combination (about 700 KB),
 * so no call is missed however many there are. The parent copies the cells in use.
 */
#ifndef REPLAY_WHY_H
#define REPLAY_WHY_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "replay/plan.h"
#include "replay/sizeclass.h"
#include "replay/sysclass.h"

/* Kinds of op (enum hakr_kind) and one more: threads that are not the trace's, which run no op. */
#define HAKR_CAUSE_FOREIGN 16u
#define HAKR_CAUSE_KINDS   17u
#define HAKR_CAUSE_CELLS   ((size_t)HAKR_CAUSE_KINDS * HAKR_SIZE_CLASSES * HAKR_SYS_COUNT)

/* A cell of the table. All threads add to it, atomically; the example is of its first call. */
struct hakr_cause {
    uint64_t calls, errors, bytes, kernel_ns;
    uint64_t word; /* of the example: the op's word in its thread's stream, plus 1 */
    uint32_t thread;
};

static inline size_t hakr_cause_index(unsigned kind, unsigned size_class, unsigned sysclass) {
    return ((size_t)kind * HAKR_SIZE_CLASSES + size_class) * HAKR_SYS_COUNT + sysclass;
}

/* A cause that occurred. */
struct hakr_why {
    unsigned kind, size_class;
    enum hakr_sysclass class_;
    struct hakr_cause sum;
};

/* Copies the cells in use, dearest (kernel_ns, then calls) first: *out is owned by the caller. */
int hakr_why_collect(const struct hakr_cause *cells, struct hakr_why **out, size_t *n,
                     struct hakc_err *err);

/* Whether ops of this kind have a size. */
int hakr_why_has_size(unsigned kind);

/* "malloc", "thread's exit", ...: what was running. */
const char *hakr_why_name(unsigned kind);

#endif
