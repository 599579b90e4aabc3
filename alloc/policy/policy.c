/* The table of policies, and what all of them share. */
#include "alloc/policy/policy_kinds.h"

static const struct hakp_ops *const table[HAKP_KIND_COUNT] = {
    [HAKP_EAGER] = &hakp_eager,       [HAKP_NEVER] = &hakp_never,
    [HAKP_PARTIAL] = &hakp_partial,   [HAKP_DECAY] = &hakp_decay,
    [HAKP_DELAY] = &hakp_delay,       [HAKP_DEMAND] = &hakp_demand,
    [HAKP_BOUNCE] = &hakp_bounce,     [HAKP_REPORT_2025] = &hakp_report_2025,
    [HAKP_PRESSURE] = &hakp_pressure, [HAKP_ADAPT] = &hakp_adapt,
    [HAKP_REST] = &hakp_rest,         [HAKP_BUDGET] = &hakp_budget,
};

const struct hakp_catalogue hakp_own = {table, HAKP_KIND_COUNT, hakp_keys, HAKP_KEYS};

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

uint64_t hakp_keep_within(const struct hakp_policy *p, const struct hakp_event *ev, uint64_t keep) {
    uint64_t least = p->spec.keep_bytes / ev->page_size, most = p->spec.max_bytes / ev->page_size;
    if (p->spec.max_bytes != 0 && ev->dirty_pages > most) {
        most = most / 2 > ev->span_pages ? most / 2 : ev->span_pages;
        keep = keep < most ? keep : most;
    }
    return keep < least ? least : keep;
}

void hakp_init(struct hakp_policy *p, const struct hakp_spec *spec) {
    p->spec = *spec;
    for (size_t i = 0; i < sizeof p->state / sizeof p->state[0]; i++)
        p->state[i] = 0;
}

bool hakp_own_placement(const struct hakp_spec *spec) {
    struct hakp_policy p;
    struct hakp_target t;
    hakp_init(&p, spec);
    hakp_event(&p, &(struct hakp_event){.kind = HAKP_EV_START, .page_size = 4096}, &t);
    return t.supers || t.huge_bytes || t.cache_bytes != UINT64_MAX;
}

void hakp_event(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    *out = (struct hakp_target){.keep_pages = HAKP_KEEP_ALL,
                                .max_age_ns = UINT64_MAX,
                                .kind_spans = UINT64_MAX,
                                .how = p->spec.how,
                                .huge_bytes = p->spec.huge_bytes,
                                .next_tick_ns = UINT64_MAX,
                                .cache_bytes = UINT64_MAX};
    hakp_catalogue_of(&p->spec)->ops[p->spec.kind]->answer(p, ev, out);
    out->populate |= p->spec.populate != 0;
    /* Survival, and the program's own wish, stand above every policy. */
    if (ev->kind == HAKP_EV_OOM || ev->kind == HAKP_EV_TRIM)
        out->keep_pages = 0;
}
