/*
 * report-2025: the first HAKMEM's way, for the study of that report. Placement: each size class, in
 * powers of two, has 2 MiB SuperSlabs of its own, and threads cache nothing, so a class with few
 * blocks is empty again and again. Release: a SuperSlab is mapped and its pages are brought in when
 * it goes into use, and its mapping goes when it is free. Nothing is kept. Its keys take these
 * apart, one by one: populate=0, how=dontneed, keep=BYTES.
 */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    out->keep_pages = hakp_keep_within(p, ev, 0);
    out->supers = true;
    out->cache_bytes = 0;
}

const struct hakp_ops hakp_report_2025 = {
    .name = "report-2025",
    .help = "the first HAKMEM: 2 MiB for each class, mapped, populated and unmapped by turns",
    .answer = answer,
};
