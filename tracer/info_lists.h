/* The histograms and lists that haktrace info prints of a scan. */
#ifndef TRACER_INFO_LISTS_H
#define TRACER_INFO_LISTS_H

#include <stddef.h>
#include "common/err.h"
#include "common/out.h"
#include "tracer/format/trace.h"
#include "tracer/scan.h"

/* rows: of the lists of threads and of hand-overs; SIZE_MAX = all of them, and lists without rows
 * as well. HAKC_ENOMEM. */
int hakt_put_scan(struct hakc_out *o, const struct hakt_info *info, const struct hakt_scan *s,
                  size_t rows, struct hakc_err *err);

#endif
