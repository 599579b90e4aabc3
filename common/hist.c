#include "common/hist.h"

#include <math.h>
#include <string.h>

void hakc_hist_init(struct hakc_hist *h) {
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

uint64_t hakc_hist_width(unsigned index) {
    return index < 2 * HAKC_HIST_SUB ? 1 : 1ull << (index / HAKC_HIST_SUB - 1);
}

uint64_t hakc_hist_low(unsigned index) {
    if (index < 2 * HAKC_HIST_SUB)
        return index;
    unsigned shift = index / HAKC_HIST_SUB - 1;
    return (uint64_t)(index - shift * HAKC_HIST_SUB) << shift;
}

void hakc_hist_add_n(struct hakc_hist *h, uint64_t v, uint64_t n) {
    if (n == 0)
        return;
    h->bucket[hakc_hist_index(v)] += n;
    h->count += n;
    h->sum += (unsigned __int128)v * n;
    if (v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
}

void hakc_hist_merge(struct hakc_hist *h, const struct hakc_hist *from) {
    for (unsigned i = 0; i < HAKC_HIST_BUCKETS; i++)
        h->bucket[i] += from->bucket[i];
    h->count += from->count;
    h->sum += from->sum;
    if (from->min < h->min)
        h->min = from->min;
    if (from->max > h->max)
        h->max = from->max;
}

/* The middle of the bucket, but never outside what was really seen. */
static uint64_t bucket_value(const struct hakc_hist *h, unsigned index) {
    uint64_t v = hakc_hist_low(index) + (hakc_hist_width(index) - 1) / 2;
    return v < h->min ? h->min : v > h->max ? h->max : v;
}

uint64_t hakc_hist_quantile(const struct hakc_hist *h, double q) {
    if (h->count == 0)
        return 0;
    if (!(q > 0))
        return h->min;
    if (q >= 1)
        return h->max;
    double want = ceil(q * (double)h->count);
    uint64_t rank = want < 1 ? 1 : (uint64_t)want, seen = 0;
    for (unsigned i = 0; i < HAKC_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank)
            return bucket_value(h, i);
    }
    return h->max;
}

double hakc_hist_mean(const struct hakc_hist *h) {
    return h->count ? (double)h->sum / (double)h->count : 0;
}
