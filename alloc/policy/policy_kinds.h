/*
 * Inside alloc/policy/ only: the table of kinds and the table of keys. A new policy is one file
 * policy_NAME.c with a struct hakp_ops, its line in the table of policy.c, a row for each of its
 * parameters in policy_keys.c and a section in docs/policies.md.
 */
#ifndef ALLOC_POLICY_POLICY_KINDS_H
#define ALLOC_POLICY_POLICY_KINDS_H

#include "alloc/policy/policy.h"

#define HAKP_KEEP_ALL UINT64_MAX

struct hakp_ops {
    const char *name;
    const char *help; /* one line, for --help */

    /* Answers an event. *out asks for nothing (all is kept, `how` is the spec's) when this is
     * called. OOM and TRIM come here as well, for the state; their answer is made by hakp_event. */
    void (*answer)(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out);
};

extern const struct hakp_ops hakp_eager, hakp_never, hakp_partial, hakp_decay, hakp_delay,
    hakp_demand, hakp_bounce, hakp_report_2025, hakp_pressure, hakp_adapt, hakp_rest, hakp_budget;

/* "dontneed", "free", "unmap"; NULL past the last. */
const char *hakp_how_name(unsigned how);

/* keep within what the keys keep= and max= say: at least the one, and where more than the
 * other is dirty, half of it, so that a program above the limit does not pay at every free; but
 * never less than the span that became dirty just now, so that a buffer above the limit can come
 * and go. */
uint64_t hakp_keep_within(const struct hakp_policy *p, const struct hakp_event *ev, uint64_t keep);

/* ---- keys (policy_keys.c) -------------------------------------------------------------------- */

enum hakp_type { HAKP_T_COUNT, HAKP_T_BYTES, HAKP_T_DURATION, HAKP_T_HOW };

/* One key of one or more policies. The order of the table is that of the canonical string. */
struct hakp_key {
    const char *name;
    enum hakp_type type;
    uint32_t kinds;       /* bit k: the policy of kind k takes it */
    uint16_t at;          /* offset in struct hakp_spec of a uint64_t (HOW: of an enum hakp_how) */
    bool main;            /* their main parameter: may stand without its key, is always written */
    uint64_t standard;    /* the default */
    uint64_t least, most; /* of COUNT and DURATION */
    const char *must;     /* what a value must be, for messages: "it must be ..." */
};

#define HAKP_KEYS 20
extern const struct hakp_key hakp_keys[HAKP_KEYS];

/* A set of policies with their keys. libhakmem has one, and hakp_parse knows no other; a host may
 * bring one of its own (the simulator's models of other allocators), whose kinds count from 0. */
struct hakp_catalogue {
    const struct hakp_ops *const *ops;
    unsigned n_kinds;
    const struct hakp_key *keys;
    unsigned n_keys;
};
extern const struct hakp_catalogue hakp_own;

static inline const struct hakp_catalogue *hakp_catalogue_of(const struct hakp_spec *spec) {
    return spec->catalogue != NULL ? spec->catalogue : &hakp_own;
}

/* As hakp_parse, of the policies of a catalogue. */
int hakp_parse_from(const struct hakp_catalogue *from, const char *text, struct hakp_spec *spec,
                    char *why, size_t why_len);

static inline bool hakp_key_of(const struct hakp_key *k, unsigned kind) {
    return k->kinds >> kind & 1;
}

uint64_t hakp_key_get(const struct hakp_key *k, const struct hakp_spec *spec);
void hakp_key_set(const struct hakp_key *k, struct hakp_spec *spec, uint64_t value);

#endif
