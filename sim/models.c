/* The table of models, their keys, and the choice between a policy and a model by its name. */
#include <stddef.h>
#include <string.h>

#include "sim/models_int.h"

static const struct hakp_ops *const ops[] = {
    [HAKS_MODEL_GLIBC] = &haks_model_glibc,
    [HAKS_MODEL_MIMALLOC] = &haks_model_mimalloc,
    [HAKS_MODEL_JEMALLOC] = &haks_model_jemalloc,
    [HAKS_MODEL_TCMALLOC] = &haks_model_tcmalloc,
};

#define BIT(kind)  (1u << (kind))
#define MS         ((uint64_t)1000000)
#define LONGEST    (UINT64_MAX / 8)
#define A_SIZE     "it must be a size such as 128KiB, 1M or 4096"
#define A_DURATION "it must be a duration of at least 1us such as 10ms, 2s or 500 (milliseconds)"
#define A_HOW      "it must be dontneed, free or unmap"

/* clang-format off */
static const struct hakp_key keys[] = {
    {"trim", HAKP_T_BYTES, BIT(HAKS_MODEL_GLIBC), offsetof(struct hakp_spec, max_bytes), true,
     128 << 10, 0, UINT64_MAX, A_SIZE},
    {"mmap", HAKP_T_BYTES, BIT(HAKS_MODEL_GLIBC), offsetof(struct hakp_spec, keep_bytes), false,
     128 << 10, 0, UINT64_MAX, A_SIZE},
    {"ms", HAKP_T_DURATION, BIT(HAKS_MODEL_MIMALLOC), offsetof(struct hakp_spec, ns), true,
     10 * MS, 1000, LONGEST, A_DURATION},
    {"ms", HAKP_T_DURATION, BIT(HAKS_MODEL_JEMALLOC), offsetof(struct hakp_spec, ns), true,
     10000 * MS, 1000, LONGEST, A_DURATION},
    {"ms", HAKP_T_DURATION, BIT(HAKS_MODEL_TCMALLOC), offsetof(struct hakp_spec, ns), true,
     300000 * MS, 1000, LONGEST, A_DURATION},
    {"how", HAKP_T_HOW, BIT(HAKS_MODEL_GLIBC), offsetof(struct hakp_spec, how), false,
     HAKP_UNMAP, 0, UINT64_MAX, A_HOW},
    {"how", HAKP_T_HOW, BIT(HAKS_MODEL_MIMALLOC) | BIT(HAKS_MODEL_JEMALLOC) | BIT(HAKS_MODEL_TCMALLOC),
     offsetof(struct hakp_spec, how), false, HAKP_DONTNEED, 0, UINT64_MAX, A_HOW},
};
/* clang-format on */

const struct hakp_catalogue haks_models = {ops, sizeof ops / sizeof ops[0], keys,
                                           sizeof keys / sizeof keys[0]};

int haks_policy_parse(const char *text, struct hakp_spec *spec, struct hakc_err *err) {
    static const char prefix[] = "model-";
    const struct hakp_catalogue *from =
        strncmp(text, prefix, sizeof prefix - 1) == 0 ? &haks_models : &hakp_own;
    char why[256];
    if (hakp_parse_from(from, text, spec, why, sizeof why) == 0)
        return 0;
    return hakc_fail(err, HAKC_EUSAGE, "%s", why);
}
