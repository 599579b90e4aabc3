/* Many policies over one stream, on many threads. */
#include <stdlib.h>

#include "sim/parallel.h"
#include "sim/sim.h"

struct batch {
    const struct haks_stream *stream;
    const struct haks_pass *pass;
    const struct haks_costs *costs;
    const struct hakp_spec *policies;
    struct haks_figures *out;
    int *rc;
};

static void evaluate(void *ctx, size_t i) {
    struct batch *b = ctx;
    b->rc[i] = haks_evaluate(b->stream, b->pass, b->costs, &b->policies[i], &b->out[i], NULL);
}

/* The first failure, with its sentence: evaluated once more for it. */
static int first_failure(const struct batch *b, size_t n, struct hakc_err *err) {
    struct haks_figures f;
    for (size_t i = 0; i < n; i++) {
        if (b->rc[i] == HAKC_EINTERNAL)
            return hakc_fail(err, HAKC_EINTERNAL, "interrupted");
        if (b->rc[i] != 0)
            return haks_evaluate(b->stream, b->pass, b->costs, &b->policies[i], &f, err);
    }
    return 0;
}

int haks_evaluate_all(const struct haks_stream *stream, const struct haks_pass *pass,
                      const struct haks_costs *costs, const struct hakp_spec *policies, size_t n,
                      unsigned jobs, struct haks_figures *out, int *rc, const volatile int *stop,
                      struct hakc_err *err) {
    struct batch b = {stream, pass, costs, policies, out, rc};
    int result;
    if (rc == NULL && (b.rc = malloc((n + 1) * sizeof *b.rc)) == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", n);
    for (size_t i = 0; i < n; i++)
        b.rc[i] = HAKC_EINTERNAL;
    haks_parallel(n, jobs, stop, evaluate, &b, NULL, NULL);
    result = first_failure(&b, n, err);
    if (rc == NULL)
        free(b.rc);
    return result;
}
