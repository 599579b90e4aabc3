/*
 * Variants: what is compared. One is an allocator, with the environment that configures it and, for
 * hakmem, a release policy.
 *
 * On the command line:  NAME  or  NAME=/path/to/lib.so,  then  :KEY=VALUE[;KEY=VALUE...]  to add
 * environment; several are separated by commas. A comma belongs to a VALUE unless what follows it
 * names an allocator or is NAME=PATH: "jemalloc:MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0,libc"
 * are two.
 *
 * Known names: libc, hakmem (libhakmem.so in the lib folder beside the tool's), mimalloc, jemalloc,
 * tcmalloc (where the distribution puts them), null (the control, libhaknull.so).
 */
#ifndef REPLAY_VARIANT_H
#define REPLAY_VARIANT_H

#include <stddef.h>
#include <sys/types.h>
#include "common/err.h"
#include "replay/knobs.h"

struct hakr_variant {
    char *label;    /* as shown: the name as given, and the policy: "hakmem partial:n=8" */
    char *name;     /* as given, without a path: "mimalloc:MIMALLOC_PURGE_DELAY=0" */
    char *base;     /* "mimalloc" */
    char *path;     /* resolved, absolute; NULL for libc */
    char *policy;   /* canonical, or NULL */
    char *version;  /* what is known of it, or NULL */
    char *env_text; /* "A=1 B=2" for the store, or NULL */
    char **env;     /* ended by NULL */
    dev_t dev;
    ino_t ino;
    struct hakr_knob *knobs; /* owned: what became of env's settings; see knobs.h */
    size_t n_knobs;
    int control; /* the null allocator, run beside the others */
};

struct hakr_variants {
    struct hakr_variant *at;
    size_t n;
};

/* Adds the allocators of one --alloc value. HAKC_EUSAGE for a name nobody knows, HAKC_ENOENT for a
 * library that is not there, with what to do. */
int hakr_variants_add(struct hakr_variants *v, const char *text, struct hakc_err *err);

/* Adds the control. */
int hakr_variants_add_control(struct hakr_variants *v, struct hakc_err *err);

/* Crosses every hakmem variant with the policies of the --policy values (each may hold several,
 * separated by commas). HAKC_EUSAGE for a policy that does not parse, or if there is no hakmem. */
int hakr_variants_cross(struct hakr_variants *v, const char *const *policies, size_t n,
                        struct hakc_err *err);

/* Crosses every variant of an allocator with the values of one of its settings:
 * "jemalloc:MALLOC_CONF=dirty_decay_ms:0|dirty_decay_ms:1000". An empty value leaves the setting
 * out. Called for several settings it gives each combination. HAKC_EUSAGE for a text of another
 * form, if no variant is of that allocator, or where one has the setting already. */
int hakr_variants_knob(struct hakr_variants *v, const char *text, struct hakc_err *err);

void hakr_variants_free(struct hakr_variants *v);

#endif
