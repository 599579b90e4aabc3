#include "replay/load.h"

#include <stdio.h>
#include <string.h>
#include "common/progress.h"
#include "replay/feed.h"

/* Without a wish: fine enough for a peak to be seen where it was, and coarse enough that the
 * threads do not spend the run on waking each other. */
#define DRIFT_PARTS 512u
#define DRIFT_LEAST 128u
#define DRIFT_MOST  16384u

static uint64_t choose_drift(uint64_t wish, uint64_t records, uint64_t threads) {
    if (threads == 1 || wish != HAKR_DRIFT_AUTO)
        return threads == 1 ? HAKR_NO_DRIFT : wish;
    uint64_t d = records / DRIFT_PARTS;
    return d < DRIFT_LEAST ? DRIFT_LEAST : d > DRIFT_MOST ? DRIFT_MOST : d;
}

int hakr_load(const char *path, const struct hakr_load_options *options, struct hakr_plan *plan,
              struct hakt_reader **r, struct hakc_err *err) {
    memset(plan, 0, sizeof *plan);
    plan->fd = -1;
    int rc = hakt_reader_open(r, path, err);
    if (rc != 0)
        return rc;
    const struct hakt_totals *t = hakt_reader_totals(*r, NULL);
    uint64_t records = t->records == UINT64_MAX ? 0 : t->records;
    uint64_t threads = t->threads == UINT64_MAX ? 0 : t->threads;
    struct hakc_progress progress;
    rc = hakr_plan_begin(plan, records, threads, err);
    if (rc == 0 && hakt_reader_info(*r)->fidelity & HAKT_HAS_TIMES) {
        plan->clock_every_ns = options->clock_every_ns;
        plan->every_time = options->every_time;
    } else if (rc == 0 && options->every_time) {
        rc = hakc_fail(err, HAKC_EREFUSED, "the trace has no times: --speed needs them");
    }
    plan->drift = choose_drift(options->drift, records, threads);
    struct hakr_feed *feed = NULL;
    if (rc == 0)
        rc = hakr_feed_open(&feed, *r, err);
    hakc_progress_start(&progress, "planning", records, "records");
    while (rc == 0) {
        const struct hakt_rec *recs;
        size_t n;
        rc = hakr_feed_next(feed, &recs, &n, err);
        if (rc != 0 || n == 0)
            break;
        rc = hakr_plan_add(plan, recs, n, err);
        hakc_progress_set(&progress, plan->stats.records);
    }
    hakc_progress_end(&progress);
    hakr_feed_close(feed);
    if (rc == 0)
        rc = hakr_plan_finish(plan, err);
    if (rc != 0 && err != NULL && err->file[0] == '\0')
        snprintf(err->file, sizeof err->file, "%s", path);
    return rc;
}
