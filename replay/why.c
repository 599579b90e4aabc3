#include "replay/why.h"

#include <stdlib.h>

static int dearest_first(const void *a, const void *b) {
    const struct hakr_why *x = a, *y = b;
    if (x->sum.kernel_ns != y->sum.kernel_ns)
        return x->sum.kernel_ns > y->sum.kernel_ns ? -1 : 1;
    if (x->sum.calls != y->sum.calls)
        return x->sum.calls > y->sum.calls ? -1 : 1;
    return 0;
}

int hakr_why_collect(const struct hakr_cause *cells, struct hakr_why **out, size_t *n,
                     struct hakc_err *err) {
    size_t used = 0, k = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < HAKR_CAUSE_CELLS; i++)
        used += cells[i].calls != 0;
    if (used == 0)
        return 0;
    struct hakr_why *w = calloc(used, sizeof *w);
    if (w == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the causes of system calls");
    for (size_t i = 0; i < HAKR_CAUSE_CELLS && k < used; i++)
        if (cells[i].calls != 0)
            w[k++] = (struct hakr_why){
                .kind = (unsigned)(i / HAKR_SYS_COUNT / HAKR_SIZE_CLASSES),
                .size_class = (unsigned)(i / HAKR_SYS_COUNT % HAKR_SIZE_CLASSES),
                .class_ = (enum hakr_sysclass)(i % HAKR_SYS_COUNT),
                .sum = cells[i],
            };
    qsort(w, k, sizeof *w, dearest_first);
    *out = w;
    *n = k;
    return 0;
}

int hakr_why_has_size(unsigned kind) {
    return kind != HAKR_END && kind != HAKR_CONTROL && kind != HAKR_FREE_NULL &&
           kind < HAKR_CAUSE_FOREIGN;
}

const char *hakr_why_name(unsigned kind) {
    switch (kind) {
    case HAKR_END:
        return "thread's exit";
    case HAKR_CONTROL:
        return "hand-over";
    case HAKR_CAUSE_FOREIGN:
        return "own thread"; /* of the allocator */
    default:
        return hakr_kind_name(kind);
    }
}
