/*
 * Inside alloc/policy/ only: the table of kinds. A new policy is one file policy_NAME.c with a
 * struct hakp_ops, its line in the table of policy.c and a section in docs/policies.md.
 */
#ifndef ALLOC_POLICY_POLICY_KINDS_H
#define ALLOC_POLICY_POLICY_KINDS_H

#include "alloc/policy/policy.h"

#define HAKP_KEEP_ALL UINT64_MAX

struct hakp_ops {
    const char *name;
    const char *help;   /* one line, for --help */
    bool takes_n;       /* has the parameters n, which is then its main one, and max */
    uint32_t default_n; /* 0 where takes_n is false */

    /* Answers an event with the number of dirty pages to keep. */
    uint64_t (*keep)(struct hakp_policy *p, const struct hakp_event *ev);
};

extern const struct hakp_ops hakp_eager, hakp_never, hakp_partial;

/* The row of a kind; kind must be valid. */
const struct hakp_ops *hakp_ops_of(unsigned kind);

/* "dontneed", "free", "unmap"; NULL past the last. */
const char *hakp_how_name(unsigned how);

#endif
