/*
 * What the parts of variant.h share.
 */
#ifndef REPLAY_VARIANT_INT_H
#define REPLAY_VARIANT_INT_H

#include "replay/variant.h"

/* A new, empty variant at the end; NULL: no memory. Pointers to the others become stale. */
struct hakr_variant *hakr_variants_append(struct hakr_variants *v);

/* Whether the variant's environment sets key[0..len) already. Twice is refused: a library reads one
 * of the two, and the variant would be named by both. */
int hakr_variant_sets(const struct hakr_variant *v, const char *key, size_t len);

#endif
