/* The table of policies, and what all of them share. */
#include "alloc/policy/policy_kinds.h"

static const struct hakp_ops *const table[HAKP_KIND_COUNT] = {
    [HAKP_EAGER] = &hakp_eager,
    [HAKP_NEVER] = &hakp_never,
    [HAKP_PARTIAL] = &hakp_partial,
};

const struct hakp_ops *hakp_ops_of(unsigned kind) {
    return table[kind];
}

const char *hakp_name(unsigned kind) {
    return kind < HAKP_KIND_COUNT ? table[kind]->name : NULL;
}

const char *hakp_help(unsigned kind) {
    return kind < HAKP_KIND_COUNT ? table[kind]->help : NULL;
}

const char *hakp_how_name(unsigned how) {
    static const char *const names[] = {"dontneed", "free", "unmap"};
    return how < sizeof names / sizeof names[0] ? names[how] : NULL;
}

void hakp_init(struct hakp_policy *p, const struct hakp_spec *spec) {
    p->spec = *spec;
    for (size_t i = 0; i < sizeof p->state / sizeof p->state[0]; i++)
        p->state[i] = 0;
}

void hakp_event(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t keep = table[p->spec.kind]->keep(p, ev);
    /* Survival, and the program's own wish, stand above every policy. */
    if (ev->kind == HAKP_EV_OOM || ev->kind == HAKP_EV_TRIM)
        keep = 0;
    out->keep_pages = keep;
    out->max_age_ns = UINT64_MAX;
    out->how = p->spec.how;
    out->next_tick_ns = UINT64_MAX;
    out->populate = false;
    out->huge_pages = false;
    out->cache_bytes = UINT64_MAX;
}
