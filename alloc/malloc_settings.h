/* What the environment says, read once, before the first block. */
#ifndef ALLOC_MALLOC_SETTINGS_H
#define ALLOC_MALLOC_SETTINGS_H

#include "alloc/policy/policy.h"

struct hak_settings {
    struct hakp_spec policy;
    bool background, background_runs; /* HAKMEM_BACKGROUND; the thread was started */
    uint32_t safe;                    /* HAKMEM_SAFE */
    bool policy_given;                /* by the environment */
    char problem[600];                /* what was wrong with it: sentences, or "" */
    char stats[256]; /* HAKMEM_STATS, a copy: programs overwrite their environment; "" = off */
};

/* Empty before hak_thread_init() has returned. */
extern struct hak_settings hak_settings __attribute__((visibility("hidden")));

void hak_settings_read(void);

#endif
