/*
 * What the parts of knobs.h share: knobs.c asks the libraries, knobs_judge.c says what the answers
 * mean. The latter are pure, for tests.
 */
#ifndef REPLAY_KNOBS_INT_H
#define REPLAY_KNOBS_INT_H

#include "replay/knobs.h"

/* Sets the verdict, and what was told: told[0..len) without white space at its end, or a text. */
void hakr_knob_judge(struct hakr_knob *k, enum hakr_knob_verdict verdict, const char *told,
                     size_t len);
void hakr_knob_judge_text(struct hakr_knob *k, enum hakr_knob_verdict verdict, const char *told);

/* The variable name=value in mimalloc's list of options without it and with it. */
void hakr_knob_mimalloc(struct hakr_knob *k, const char *name, const char *without,
                        const char *with);

/* A pair "key:value" in what jemalloc printed under confirm_conf. */
void hakr_knob_jemalloc(struct hakr_knob *k, const char *pair, const char *printed);

/* A pair "tunable=value" in the dynamic linker's lists without it and with it. */
void hakr_knob_tunable(struct hakr_knob *k, const char *pair, const char *without,
                       const char *with);

#endif
