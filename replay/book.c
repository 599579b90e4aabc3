#include "replay/book.h"

struct hakr_doing hakr_doing_of(const uint64_t *w, uint64_t word, uint64_t old_size) {
    struct hakr_doing d = {.kind = hakr_word_kind(*w), .word = word};
    uint64_t size = 0;
    if (hakr_consumes(*w))
        size = old_size;
    else if (hakr_why_has_size(d.kind))
        size = hakr_word_length(*w) == 2 ? hakr_wide_size(w[1]) : hakr_word_size(*w);
    d.size_class = hakr_size_class(size);
    return d;
}

void hakr_book(struct hakr_ctl *c, uint32_t t, const struct hakr_doing *what,
               enum hakr_sysclass class_, uint64_t bytes, long ret, uint64_t ns) {
    struct hakr_sys_total *sum = &hakr_totals(c, t)[class_];
    uint32_t inside =
        t < c->n_threads ? __atomic_load_n(&hakr_threads(c)[t].inside, __ATOMIC_RELAXED) : 0;
    struct hakr_cause *cause =
        &hakr_causes(c)[hakr_cause_index(what->kind, what->size_class, class_)];
    uint64_t failed = ret < 0 && ret > -4096;
    /* Atomic, because all threads that are not ours share one row, and all share the causes. */
    if (inside != 0) { /* one of the slowest ops: its thread's alone */
        struct hakr_sys_total *in = &hakr_insides(c)[inside - 1].calls[class_];
        in->calls++;
        in->errors += failed;
        in->bytes += bytes;
        in->kernel_ns += ns;
    }
    __atomic_fetch_add(&sum->calls, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum->errors, failed, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum->kernel_ns, ns, __ATOMIC_RELAXED);
    if (__atomic_fetch_add(&cause->calls, 1, __ATOMIC_RELAXED) == 0) {
        cause->thread = t;
        cause->word = what->word;
    }
    __atomic_fetch_add(&cause->errors, failed, __ATOMIC_RELAXED);
    __atomic_fetch_add(&cause->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&cause->kernel_ns, ns, __ATOMIC_RELAXED);
}
