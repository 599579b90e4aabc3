/*
 * Models of other allocators' release policies over our spans: what their rule would do with the
 * free spans of this allocator. They are not those allocators (hakreplay runs the originals), and
 * no production policy: hakp_parse does not know them, so HAKMEM_POLICY does not take them. Each
 * name starts with "model-"; docs/policies.md says what each keeps of its original and what not.
 */
#ifndef SIM_MODELS_H
#define SIM_MODELS_H

#include "alloc/policy/policy_kinds.h"
#include "common/err.h"

enum haks_model { HAKS_MODEL_GLIBC, HAKS_MODEL_MIMALLOC, HAKS_MODEL_JEMALLOC, HAKS_MODEL_TCMALLOC };

extern const struct hakp_catalogue haks_models;

static inline int haks_is_model(const struct hakp_spec *spec) {
    return spec->catalogue == &haks_models;
}

/* Parses a policy of the allocator or the name of a model. HAKC_EUSAGE with a sentence. */
int haks_policy_parse(const char *text, struct hakp_spec *spec, struct hakc_err *err);

/* model-glibc: what has to be free at the top of the heap, in bytes, before it goes back. That
 * the host does (evaluate.c), for a policy does not see where spans lie. */
uint64_t haks_glibc_trim_bytes(const struct hakp_policy *p);

#endif
