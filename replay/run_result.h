/*
 * What became of a run: the control block that a child left, turned into a result.
 */
#ifndef REPLAY_RUN_RESULT_H
#define REPLAY_RUN_RESULT_H

#include "replay/run.h"

/* Sets status and error from how the child ended: wstatus as wait gives it, timed_out and stopped
 * if the parent killed it. */
void hakr_explain(const struct hakr_task *task, struct hakr_ctl *c, int wstatus, int timed_out,
                  int stopped, struct hakr_result *r);

/* Copies the figures out of the control block c (memfd fd); none where the run failed. */
int hakr_collect(const struct hakr_task *task, struct hakr_ctl *c, int fd, struct hakr_result *r,
                 struct hakc_err *err);

#endif
