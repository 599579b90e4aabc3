/* The parameters of all policies: one row a key, read by the parser and by the formatter. */
#include "alloc/policy/policy_kinds.h"

#define BIT(kind) (1u << (kind))
#define ALL       (BIT(HAKP_KIND_COUNT) - 1)
#define BY_TIME   (BIT(HAKP_DECAY) | BIT(HAKP_DELAY) | BIT(HAKP_DEMAND))
#define PRESSURE  BIT(HAKP_PRESSURE)
#define ADAPT     BIT(HAKP_ADAPT)
#define REST      BIT(HAKP_REST)
#define BUDGET    BIT(HAKP_BUDGET)
#define BOUNDED   (BIT(HAKP_PARTIAL) | BY_TIME | BIT(HAKP_BOUNCE) | PRESSURE | ADAPT | REST | BUDGET)
#define FLOORED                                                                                    \
    (BIT(HAKP_PARTIAL) | BIT(HAKP_DECAY) | BIT(HAKP_DEMAND) | PRESSURE | BIT(HAKP_REPORT_2025))
#define REPORT BIT(HAKP_REPORT_2025)

#define MS         ((uint64_t)1000000)
#define LONGEST    (UINT64_MAX / 8) /* 73 years: sums of times do not overflow */
#define A_COUNT    "it must be a whole number from 1 to 4294967295"
#define A_PERCENT  "it must be a percentage from 1 to 100"
#define A_STALL    "it must be a percentage from 0 to 100"
#define A_SWITCH   "it must be 0 or 1"
#define A_SIZE     "it must be a size such as 64KiB, 1M or 4096"
#define A_DURATION "it must be a duration of at least 1us such as 10ms, 2s or 500 (milliseconds)"
#define A_HOW      "it must be dontneed, free or unmap"

/* clang-format off */
const struct hakp_key hakp_keys[HAKP_KEYS] = {
    {"n",    HAKP_T_COUNT,    BIT(HAKP_PARTIAL), offsetof(struct hakp_spec, n), true,
     100, 1, UINT32_MAX, A_COUNT},
    {"n",    HAKP_T_COUNT,    BIT(HAKP_BOUNCE),  offsetof(struct hakp_spec, n), true,
     4, 1, UINT32_MAX, A_COUNT},
    {"pct",  HAKP_T_COUNT,    PRESSURE,          offsetof(struct hakp_spec, n), true,
     80, 1, 100, A_PERCENT},
    {"pct",  HAKP_T_COUNT,    BUDGET,            offsetof(struct hakp_spec, n), true,
     2, 1, 100, A_PERCENT},
    {"stall", HAKP_T_COUNT,   PRESSURE,          offsetof(struct hakp_spec, stall), false,
     10, 0, 100, A_STALL},
    {"ms",   HAKP_T_DURATION, PRESSURE | BUDGET,          offsetof(struct hakp_spec, ns), false,
     100 * MS, 1000, LONGEST, A_DURATION},
    {"rss",  HAKP_T_BYTES,    PRESSURE,          offsetof(struct hakp_spec, rss_bytes), false,
     0, 0, UINT64_MAX, A_SIZE},
    {"ms",   HAKP_T_DURATION, ADAPT,             offsetof(struct hakp_spec, ns), true,
     300 * MS, 1000, LONGEST, A_DURATION},
    {"ms",   HAKP_T_DURATION, REST,             offsetof(struct hakp_spec, ns), true,
     10 * MS, 1000, LONGEST, A_DURATION},
    {"keep", HAKP_T_BYTES,    ADAPT | REST,      offsetof(struct hakp_spec, keep_bytes), false,
     512 << 10, 0, UINT64_MAX, A_SIZE},
    {"keep", HAKP_T_BYTES,    BUDGET,            offsetof(struct hakp_spec, keep_bytes), false,
     256 << 10, 0, UINT64_MAX, A_SIZE},
    {"ms",   HAKP_T_DURATION, BY_TIME,           offsetof(struct hakp_spec, ns), true,
     1000 * MS, 1000, LONGEST, A_DURATION},
    {"max",  HAKP_T_BYTES,    BOUNDED,           offsetof(struct hakp_spec, max_bytes), false,
     0, 0, UINT64_MAX, A_SIZE},
    {"keep", HAKP_T_BYTES,    FLOORED,           offsetof(struct hakp_spec, keep_bytes), false,
     0, 0, UINT64_MAX, A_SIZE},
    {"how",  HAKP_T_HOW,      ALL & ~REPORT,     offsetof(struct hakp_spec, how), false,
     HAKP_DONTNEED, 0, UINT64_MAX, A_HOW},
    {"how",  HAKP_T_HOW,      REPORT,            offsetof(struct hakp_spec, how), false,
     HAKP_UNMAP, 0, UINT64_MAX, A_HOW},
    {"min",  HAKP_T_BYTES,    ALL,               offsetof(struct hakp_spec, min_bytes), false,
     0, 0, UINT64_MAX, A_SIZE},
    {"populate", HAKP_T_COUNT, ALL & ~REPORT,    offsetof(struct hakp_spec, populate), false,
     0, 0, 1, A_SWITCH},
    {"populate", HAKP_T_COUNT, REPORT,           offsetof(struct hakp_spec, populate), false,
     1, 0, 1, A_SWITCH},
    {"huge", HAKP_T_BYTES,    ALL,               offsetof(struct hakp_spec, huge_bytes), false,
     0, 0, UINT64_MAX, A_SIZE},
};
/* clang-format on */

static void *field(const struct hakp_key *k, struct hakp_spec *spec) {
    return (char *)spec + k->at;
}

uint64_t hakp_key_get(const struct hakp_key *k, const struct hakp_spec *spec) {
    const void *p = (const char *)spec + k->at;
    return k->type == HAKP_T_HOW ? *(const enum hakp_how *)p : *(const uint64_t *)p;
}

void hakp_key_set(const struct hakp_key *k, struct hakp_spec *spec, uint64_t value) {
    if (k->type == HAKP_T_HOW)
        *(enum hakp_how *)field(k, spec) = (enum hakp_how)value;
    else
        *(uint64_t *)field(k, spec) = value;
}
