/*
 * Whether the variables of a variant are settings that its library knows. A variable that it does
 * not know changes nothing and says nothing, and its variant would be the plain allocator under
 * another name. So each library is asked, in a process of its own and before anything is measured,
 * in the way that it answers to:
 *
 *   mimalloc   lists its options and their values (MIMALLOC_VERBOSE): the list with the variable is
 *              held against the one without
 *   jemalloc   confirms or refuses each pair of MALLOC_CONF (confirm_conf)
 *   glibc      the dynamic linker lists tunables and their values (--list-tunables)
 *   hakmem     knows its variables by name, and tells of values that it could not take
 *   others     whether the variable's name stands in the library; its value cannot be asked for
 */
#ifndef REPLAY_KNOBS_H
#define REPLAY_KNOBS_H

#include <stddef.h>
#include "common/err.h"

struct hakr_variant;
struct hakr_variants;

enum hakr_knob_verdict {
    HAKR_KNOB_IN_FORCE = 0, /* the library says so */
    HAKR_KNOB_KNOWN,        /* by name; whether its value is in force cannot be asked */
    HAKR_KNOB_REFUSED,      /* it knows the name, and does not take the value */
    HAKR_KNOB_UNKNOWN,      /* it changes nothing */
    HAKR_KNOB_UNCHECKED,    /* told says why */
};

struct hakr_knob {
    char *setting; /* "MIMALLOC_PURGE_DELAY=0", or one pair of several: "dirty_decay_ms:0" */
    enum hakr_knob_verdict verdict;
    char told[160]; /* the library's own word, or a reason; may be "" */
};

/* Fills in the knobs of each variant, and its version where the library tells one. An error only
 * where no process could be made. */
int hakr_knobs_check(struct hakr_variants *v, struct hakc_err *err);

/* "in-force", "known", "refused", "unknown", "unchecked". */
const char *hakr_knob_word(enum hakr_knob_verdict verdict);

/* What is to be said of a knob that may not do what its variant's name says: a sentence without a
 * full stop in buf; 0 where there is nothing to say. */
int hakr_knob_warning(const struct hakr_knob *k, char *buf, size_t len);

/* Whether no variant before the v-th one of the same allocator has its knob i, too, with the same
 * verdict: crossed variants share settings, and what is said of one is said once. */
int hakr_knob_is_first(const struct hakr_variants *vs, size_t v, size_t i);

#endif
