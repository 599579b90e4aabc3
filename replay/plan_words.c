#include "replay/plan_words.h"

#include <stddef.h>
#include "replay/plan.h"

static const char *const kind_names[] = {
    "end of stream",  "malloc",        "calloc",       "realloc",
    "free",           "control",       "memalign",     "aligned_alloc",
    "posix_memalign", "valloc",        "pvalloc",      "reallocarray",
    "free(NULL)",     "realloc(NULL)", "realloc to 0", "reallocarray(NULL)",
};

const char *hakr_kind_name(unsigned kind) {
    return kind < sizeof kind_names / sizeof *kind_names ? kind_names[kind] : "?";
}

int hakr_plan_locate(const struct hakr_plan *p, uint32_t t, uint64_t pos, uint64_t *op,
                     unsigned *kind, uint64_t *size) {
    const struct hakr_plan_thread *th = &p->threads[t];
    uint64_t n = 0;
    for (uint64_t i = 0; i < th->n_words;) {
        uint64_t w = hakr_word_alone(th->words[i]);
        unsigned k = hakr_word_kind(w), len = hakr_word_length(w);
        if (k == HAKR_END)
            return -1;
        if (k != HAKR_CONTROL && i + len > pos) {
            *op = n;
            *kind = k;
            *size = w & HAKR_WIDE ? hakr_wide_size(th->words[i + 1]) : hakr_word_size(w);
            return 0;
        }
        n += k != HAKR_CONTROL;
        i += len;
    }
    return -1;
}
