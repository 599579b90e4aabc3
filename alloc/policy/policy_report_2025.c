/*
 * report-2025: the first HAKMEM's way: a span's pages are brought in when it goes into use, and its
 * mapping goes when it is free. Nothing is kept. For the study of that report; see docs/policies.md
 * on what of its picture this allocator's placement still shows.
 */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    (void)p;
    (void)ev;
    out->keep_pages = 0;
    out->populate = true;
}

const struct hakp_ops hakp_report_2025 = {
    .name = "report-2025",
    .help = "the first HAKMEM: populate at acquisition, unmap at once when free",
    .answer = answer,
};
