/*
 * Booking a memory system call: into the totals of its thread and into the table of causes. The
 * trap does it inside the child, the tracer from outside. Any thread; safe in a signal handler.
 */
#ifndef REPLAY_BOOK_H
#define REPLAY_BOOK_H

#include "replay/plan_words.h"
#include "replay/shm.h"

/* What a thread is doing when it makes a call. */
struct hakr_doing {
    unsigned kind;       /* enum hakr_kind, or HAKR_CAUSE_FOREIGN */
    unsigned size_class; /* of the object made or consumed */
    uint64_t word;       /* of the op in its stream, plus 1; 0 = none */
};

/* Whether the op of word w consumes an object and makes none: its size is that object's. */
static inline int hakr_consumes(uint64_t w) {
    return hakr_word_kind(w) == HAKR_FREE || hakr_word_kind(w) == HAKR_REALLOC_ZERO;
}

/* The op at w, which is word number `word` - 1 of its stream; old_size where hakr_consumes. */
struct hakr_doing hakr_doing_of(const uint64_t *w, uint64_t word, uint64_t old_size);

/* Books one call of thread t (n_threads = none of the trace's): what the kernel returned and how
 * long it took. */
void hakr_book(struct hakr_ctl *c, uint32_t t, const struct hakr_doing *what,
               enum hakr_sysclass class_, uint64_t bytes, long ret, uint64_t ns);

#endif
