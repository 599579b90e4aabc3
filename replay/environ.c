#include "replay/environ.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int hakr_is_allocator_knob(const char *e) {
    static const char *const knobs[] = {"LD_PRELOAD=",
                                        "MALLOC_",
                                        "_RJEM_MALLOC_CONF=",
                                        "MIMALLOC_",
                                        "TCMALLOC_",
                                        "GLIBC_TUNABLES=",
                                        "HAKMEM_",
                                        "HEAPPROFILE=",
                                        "HEAPCHECK=",
                                        "JE_MALLOC_CONF=",
                                        "PARTIAL_RELEASE_MIN_SLABS="};
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        if (strncmp(e, knobs[i], strlen(knobs[i])) == 0)
            return 1;
    return 0;
}

char **hakr_environment(const char *library, const char *const *env, char **preload) {
    static char bind_now[] = "LD_BIND_NOW=1"; /* no symbol look-ups in the region */
    size_t n = 0, extra = 0, k = 0;
    while (environ[n] != NULL)
        n++;
    while (env != NULL && env[extra] != NULL)
        extra++;
    char **all = calloc(n + extra + 3, sizeof *all);
    *preload = NULL;
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!hakr_is_allocator_knob(environ[i]) && strncmp(environ[i], "LD_BIND_NOW=", 12) != 0)
            all[k++] = environ[i];
    for (size_t i = 0; i < extra; i++)
        all[k++] = (char *)(uintptr_t)env[i];
    all[k++] = bind_now;
    if (library != NULL) {
        if (asprintf(preload, "LD_PRELOAD=%s", library) < 0) {
            free(all);
            *preload = NULL;
            return NULL;
        }
        all[k++] = *preload;
    }
    return all;
}
