/* What the tests of policies share: a host under a false clock. After cmocka.h. */
#ifndef TESTS_UNIT_POLICY_HOST_H
#define TESTS_UNIT_POLICY_HOST_H

#include "alloc/policy/policy.h"

#define ALL UINT64_MAX

static inline struct hakp_spec parsed(const char *text) {
    struct hakp_spec spec;
    char why[200] = "";
    if (hakp_parse(text, &spec, why, sizeof why) != 0)
        fail_msg("%s: %s", text, why);
    return spec;
}

/* A host with spans of one page each: what is dirty is what the policy leaves. */
struct host {
    struct hakp_policy p;
    struct hakp_target t;
    uint64_t now, dirty, active, peak, oldest;
    struct hakp_memory memory;
};

static inline void host_start(struct host *h, const char *text) {
    struct hakp_spec spec = parsed(text);
    *h = (struct host){.now = 5000000000u, .oldest = ALL};
    hakp_init(&h->p, &spec);
}

static inline void host_tell(struct host *h, enum hakp_event_kind kind, uint64_t pages,
                             uint64_t since) {
    struct hakp_event ev = {.kind = kind,
                            .now_ns = h->now,
                            .span_pages = pages,
                            .dirty_pages = h->dirty,
                            .dirty_spans = h->dirty,
                            .active_pages = h->active,
                            .peak_pages = h->peak > h->active ? h->peak : h->active,
                            .oldest_ns = h->dirty > 0 ? h->oldest : ALL,
                            .since_ns = since,
                            .page_size = 4096,
                            .memory = h->memory};
    h->peak = h->active;
    hakp_event(&h->p, &ev, &h->t);
    if (h->dirty > h->t.keep_pages)
        h->dirty = h->t.keep_pages;
}

static inline void becomes_dirty(struct host *h, uint64_t pages) {
    if (h->dirty == 0)
        h->oldest = h->now;
    h->dirty += pages;
    if (h->active > h->peak)
        h->peak = h->active;
    h->active -= pages < h->active ? pages : h->active;
    host_tell(h, HAKP_EV_DIRTY, pages, 0);
}

static inline void is_reused(struct host *h, uint64_t pages, uint64_t since) {
    h->dirty -= pages;
    h->active += pages;
    host_tell(h, HAKP_EV_REUSED, pages, since);
}

/* As a host that looks at the clock all the time: goes to `at` from tick to tick. */
static inline void go_to(struct host *h, uint64_t at) {
    while (h->t.next_tick_ns <= at) {
        assert_true(h->t.next_tick_ns > h->now);
        h->now = h->t.next_tick_ns;
        host_tell(h, HAKP_EV_TICK, 0, 0);
    }
    h->now = at;
}

#endif
