/*
 * What the parts of variant.h share.
 */
#ifndef REPLAY_VARIANT_INT_H
#define REPLAY_VARIANT_INT_H

#include "replay/variant.h"

/* A new, empty variant at the end; NULL: no memory. Pointers to the others become stale. */
struct hakr_variant *hakr_variants_append(struct hakr_variants *v);

#endif
