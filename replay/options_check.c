/* What the options mean together. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "replay/environ.h"
#include "replay/options.h"
#include "replay/proof.h"

static int complete_variants(struct hakr_options *o, struct hakc_err *err) {
    int rc = 0;
    if (o->variants.n == 0)
        rc = hakr_variants_add(&o->variants, "hakmem,libc", err);
    for (size_t i = 0; rc == 0 && i < o->n_knobs; i++)
        rc = hakr_variants_knob(&o->variants, o->knobs[i], err);
    if (rc == 0 && o->n_policies != 0)
        rc = hakr_variants_cross(&o->variants, o->policies, o->n_policies, err);
    if (rc == 0 && !o->no_control && (o->passes & 1u << HAKR_PASS_TIME) != 0)
        rc = hakr_variants_add_control(&o->variants, err);
    return rc;
}

/* Under haktrace there is one run, of libc, in this process: what is recorded is the replay. */
static int heed_recorder(struct hakr_options *o, struct hakc_err *err) {
    if (!hakr_is_recorded())
        return 0;
    if (o->variants.n != 1 || o->variants.at[0].path != NULL ||
        o->variants.at[0].env_text != NULL || o->n_knobs != 0)
        return hakc_fail(err, HAKC_EUSAGE,
                         "while haktrace records hakreplay, it replays with --alloc=libc alone");
    if (o->memory_limit != 0)
        return hakc_fail(err, HAKC_EUSAGE,
                         "while haktrace records hakreplay, there is no --memory-limit: it would "
                         "be the recording's as well");
    fprintf(stderr, HAKR_TOOL ": haktrace is recording: one run, in this process\n");
    o->recorded = 1;
    o->passes = 1u << HAKR_PASS_TIME;
    o->repeats = 1;
    o->no_control = o->no_warm_up = 1;
    return 0;
}

static int choose_baseline(struct hakr_options *o, struct hakc_err *err) {
    const struct hakr_variants *v = &o->variants;
    size_t i = 0;
    while (o->baseline_name != NULL && i < v->n &&
           (v->at[i].control || (strcmp(v->at[i].label, o->baseline_name) != 0 &&
                                 strcmp(v->at[i].name, o->baseline_name) != 0)))
        i++;
    if (i == v->n)
        return hakc_fail(err, HAKC_EUSAGE, "--baseline %s: no variant is called so",
                         o->baseline_name);
    o->baseline = i;
    return 0;
}

/* A limit needs its pass, and runs enough for a rank test to tell two variants apart. */
static int check_limits(struct hakr_options *o, struct hakc_err *err) {
    for (size_t i = 0; i < o->n_limits; i++) {
        const struct hakr_limit *l = &o->limits[i];
        uint32_t *n = l->pass == HAKR_PASS_TIME ? &o->repeats : &o->account_repeats;
        if ((o->passes & 1u << l->pass) == 0)
            return hakc_fail(err, HAKC_EUSAGE, "--fail-if %s needs the %s pass", l->word,
                             hakr_pass_name(l->pass));
        if (l->pass == HAKR_PASS_ACCOUNT && *n == 0)
            *n = 5;
        if (*n < 4)
            return hakc_fail(err, HAKC_EUSAGE,
                             "--fail-if %s: with fewer than 4 runs no difference is significant",
                             l->word);
    }
    if (o->account_repeats == 0)
        o->account_repeats = 1;
    return 0;
}
/* What the environment sets for allocators is not passed on: a run is what its name says. */
static void warn_of_knobs(void) {
    for (char **e = environ; *e != NULL; e++)
        if (hakr_is_allocator_knob(*e))
            fprintf(stderr,
                    HAKR_TOOL
                    ": %.*s is set: not passed on to the runs (use --alloc NAME:KEY=VALUE)\n",
                    (int)strcspn(*e, "="), *e);
}

/* Said before hours of runs, and again beside their figures. */
static int check_knobs(struct hakr_options *o, struct hakc_err *err) {
    char text[400];
    int rc = o->recorded ? 0 : hakr_knobs_check(&o->variants, err);
    for (size_t v = 0; rc == 0 && v < o->variants.n; v++) {
        const struct hakr_variant *a = &o->variants.at[v];
        for (size_t i = 0; i < a->n_knobs; i++)
            if (a->knobs[i].verdict >= HAKR_KNOB_REFUSED &&
                hakr_knob_is_first(&o->variants, v, i) &&
                hakr_knob_warning(&a->knobs[i], text, sizeof text))
                fprintf(stderr, HAKR_TOOL ": %s: %s\n", a->base, text);
    }
    return rc;
}

int hakr_options_complete(struct hakr_options *o, struct hakc_err *err) {
    int rc = heed_recorder(o, err);
    if (rc == 0)
        rc = complete_variants(o, err);
    if (rc == 0)
        rc = choose_baseline(o, err);
    if (rc == 0)
        rc = check_limits(o, err);
    if (rc == 0)
        warn_of_knobs();
    return rc == 0 ? check_knobs(o, err) : rc;
}
