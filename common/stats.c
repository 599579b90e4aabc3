#include "common/stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "common/err.h"

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void hakc_sort(double *x, size_t n) {
    if (n > 1)
        qsort(x, n, sizeof *x, compare_doubles);
}

double hakc_quantile(const double *sorted, size_t n, double q) {
    double h = (double)(n - 1) * (q < 0 ? 0 : q > 1 ? 1 : q);
    size_t i = (size_t)h;
    if (i + 1 >= n)
        return sorted[n - 1];
    double part = h - (double)i;
    return part == 0 ? sorted[i] : sorted[i] + part * (sorted[i + 1] - sorted[i]);
}

double hakc_median(const double *sorted, size_t n) {
    return n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] + (sorted[n / 2] - sorted[n / 2 - 1]) / 2;
}

double hakc_mean(const double *x, size_t n) {
    double m = 0; /* running mean: no overflow of the sum */
    for (size_t i = 0; i < n; i++)
        m += (x[i] - m) / (double)(i + 1);
    return m;
}

static double log_choose(double n, double k) {
    int sign; /* the reentrant form: lgamma writes a global */
    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

int hakc_median_ci(const double *sorted, size_t n, double confidence, double *low, double *high,
                   double *coverage) {
    /* below = P(Bin(n, 1/2) < k), summed term by term in logarithms (n may be large). */
    double below = 0, log_half_n = (double)n * log(0.5);
    size_t k = 0;
    *coverage = 0;
    for (size_t next = 1; next <= (n + 1) / 2; next++) {
        double j = (double)(next - 1);
        below += exp(log_choose((double)n, j) + log_half_n);
        double covers = 1 - 2 * below;
        /* 1e-12: the sum's rounding must not refuse a coverage that is exactly the wanted one */
        if (next > 1 && covers < confidence - 1e-12)
            break;
        k = next;
        *coverage = covers < 0 ? 0 : covers;
        if (covers < confidence - 1e-12)
            break;
    }
    *low = sorted[k - 1];
    *high = sorted[n - k];
    return *coverage >= confidence - 1e-12;
}

int hakc_summarise(const double *x, size_t n, double confidence, struct hakc_summary *out) {
    memset(out, 0, sizeof *out);
    if (n == 0)
        return HAKC_OK;
    double *s = malloc(n * sizeof *s);
    if (!s)
        return HAKC_ENOMEM;
    memcpy(s, x, n * sizeof *s);
    hakc_sort(s, n);
    out->n = n;
    out->min = s[0];
    out->max = s[n - 1];
    out->mean = hakc_mean(s, n);
    out->median = hakc_median(s, n);
    out->has_ci = hakc_median_ci(s, n, confidence, &out->ci_low, &out->ci_high, &out->ci_coverage);
    for (size_t i = 0; i < n; i++)
        s[i] = fabs(s[i] - out->median);
    hakc_sort(s, n);
    out->mad = hakc_median(s, n);
    free(s);
    return HAKC_OK;
}

/* ---- Mann-Whitney ------------------------------------------------------------------------- */

enum { EXACT_MAX = 25 }; /* C(50, 25) and every count below stay under 2^53 */

/* How many of the C(m+n, m) arrangements give each U: the coefficients of the Gaussian binomial
 * [m+n over m]_q = prod_i (1 - q^(n+i)) / (1 - q^i), multiplied and divided in place. */
static void u_counts(unsigned m, unsigned n, int64_t *count) {
    unsigned top = m * n;
    memset(count, 0, (top + 1) * sizeof *count);
    count[0] = 1;
    for (unsigned i = 1; i <= m; i++) {
        for (unsigned u = top; u >= n + i; u--)
            count[u] -= count[u - n - i];
        for (unsigned u = i; u <= top; u++)
            count[u] += count[u - i];
    }
}

static double exact_p(unsigned m, unsigned n, double u) {
    int64_t count[EXACT_MAX * EXACT_MAX + 1];
    u_counts(m, n, count);
    unsigned top = m * n;
    double mirrored = (double)top - u;
    unsigned tail = (unsigned)(u < mirrored ? u : mirrored);
    double in_tail = 0, all = 0;
    for (unsigned i = 0; i <= top; i++) {
        all += (double)count[i];
        if (i <= tail)
            in_tail += (double)count[i];
    }
    double p = 2 * in_tail / all;
    return p > 1 ? 1 : p;
}

static double normal_p(double nx, double ny, double u, double tie_sum) {
    double n = nx + ny;
    double var = nx * ny / 12 * (n + 1 - tie_sum / (n * (n - 1)));
    if (!(var > 0))
        return 1; /* every value is the same */
    double d = fabs(u - nx * ny / 2) - 0.5;
    return d <= 0 ? 1 : erfc(d / sqrt(2 * var));
}

struct labelled {
    double v;
    int is_x;
};

static int compare_labelled(const void *a, const void *b) {
    return compare_doubles(&((const struct labelled *)a)->v, &((const struct labelled *)b)->v);
}

int hakc_rank_test(const double *x, size_t nx, const double *y, size_t ny,
                   struct hakc_rank_result *out) {
    *out = (struct hakc_rank_result){0, 1, HAKC_RANK_NONE};
    if (nx == 0 || ny == 0)
        return HAKC_OK;
    size_t n = nx + ny;
    struct labelled *all = malloc(n * sizeof *all);
    if (!all)
        return HAKC_ENOMEM;
    for (size_t i = 0; i < nx; i++)
        all[i] = (struct labelled){x[i], 1};
    for (size_t i = 0; i < ny; i++)
        all[nx + i] = (struct labelled){y[i], 0};
    qsort(all, n, sizeof *all, compare_labelled);
    double tie_sum = 0, y_before = 0; /* y values in groups already passed */
    for (size_t i = 0, end; i < n; i = end) {
        double xs = 0;
        for (end = i; end < n && all[end].v == all[i].v; end++)
            xs += all[end].is_x;
        double t = (double)(end - i);
        tie_sum += t * t * t - t;
        out->u += xs * (y_before + (t - xs) / 2);
        y_before += t - xs;
    }
    free(all);
    if (tie_sum == 0 && nx <= EXACT_MAX && ny <= EXACT_MAX) {
        out->method = HAKC_RANK_EXACT;
        out->p = exact_p((unsigned)nx, (unsigned)ny, out->u);
    } else {
        out->method = HAKC_RANK_NORMAL;
        out->p = normal_p((double)nx, (double)ny, out->u, tie_sum);
    }
    return HAKC_OK;
}

int hakc_ratio_of_medians(const double *x, size_t nx, const double *y, size_t ny, double confidence,
                          struct hakc_ratio *out) {
    *out = (struct hakc_ratio){0};
    double each = 1 - (1 - confidence) / 2;
    struct hakc_summary a, b;
    int rc = hakc_summarise(x, nx, each, &a);
    if (rc == HAKC_OK)
        rc = hakc_summarise(y, ny, each, &b);
    if (rc != HAKC_OK || nx == 0 || ny == 0 || !(a.median > 0) || !(b.median > 0))
        return rc;
    out->ratio = a.median / b.median;
    out->has_ratio = 1;
    if (a.has_ci && b.has_ci && b.ci_low > 0) {
        out->low = a.ci_low / b.ci_high;
        out->high = a.ci_high / b.ci_low;
        out->has_ci = 1;
    }
    return HAKC_OK;
}
