/* The models, for their table alone. */
#ifndef SIM_MODELS_INT_H
#define SIM_MODELS_INT_H

#include "sim/models.h"

extern const struct hakp_ops haks_model_glibc, haks_model_mimalloc, haks_model_jemalloc,
    haks_model_tcmalloc;

#endif
