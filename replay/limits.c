#include "replay/limits.h"

#include <stdlib.h>
#include <string.h>
#include "common/stats.h"

static const struct hakr_limit kinds[] = {
    {"slower", HAKR_PASS_TIME, HAKR_F_NS_PER_OP, 0},
    {"bigger", HAKR_PASS_ACCOUNT, HAKR_F_MEAN, 0},
    {"peak", HAKR_PASS_ACCOUNT, HAKR_F_PEAK, 0},
};

int hakr_limit_parse(const char *text, struct hakr_limit *limit, struct hakc_err *err) {
    size_t len = strcspn(text, "=");
    char *end = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].word) != len || memcmp(kinds[i].word, text, len) != 0)
            continue;
        const char *number = text + len + (text[len] == '=');
        double percent = strtod(number, &end);
        if (number[0] < '0' || number[0] > '9' || strcmp(end, "%") != 0 || !(percent <= 1e6))
            break;
        *limit = kinds[i];
        limit->share = percent / 100;
        return 0;
    }
    return hakc_fail(err, HAKC_EUSAGE, "--fail-if: '%s' is not slower=N%%, bigger=N%% or peak=N%%",
                     text);
}

struct hakr_compared hakr_compare(const struct hakr_experiment *e, size_t v, size_t base,
                                  enum hakr_pass pass, enum hakr_figure figure) {
    struct hakr_compared c = {.p = 1};
    struct hakc_rank_result rank;
    size_t nx, ny;
    double *x = hakr_figures(e, v, pass, figure, &nx),
           *y = hakr_figures(e, base, pass, figure, &ny);
    if (nx != 0 && ny != 0) {
        if (v != base && hakc_rank_test(x, nx, y, ny, &rank) == 0)
            c.p = rank.p;
        double mx = hakr_figure_median(e, v, pass, figure),
               my = hakr_figure_median(e, base, pass, figure);
        c.unlike = hakr_failed_unlike(e, v, base, pass);
        c.has = (my > 0 || mx == my) && !c.unlike;
        c.ratio = !c.has ? 0 : my > 0 ? mx / my : 1;
        c.from_none = my == 0 && mx > 0;
    }
    free(x);
    free(y);
    return c;
}

enum hakr_limit_verdict hakr_limit_verdict(const struct hakr_limit *limit,
                                           const struct hakr_compared *c) {
    if (c->unlike)
        return HAKR_LIMIT_UNLIKE;
    if (c->from_none)
        return HAKR_LIMIT_FROM_NONE;
    if (!c->has)
        return HAKR_LIMIT_NOT_COMPARED;
    return c->p < HAKR_SIGNIFICANT && c->ratio > 1 + limit->share ? HAKR_LIMIT_FAILED
                                                                  : HAKR_LIMIT_HELD;
}

const char *hakr_limit_word(enum hakr_limit_verdict verdict) {
    static const char *const words[] = {"held", "failed", "failed: different work",
                                        "failed: nothing in the baseline", "not-compared"};
    return words[verdict];
}

size_t hakr_limits_broken(const struct hakr_experiment *e, size_t base,
                          const struct hakr_limit *limits, size_t n) {
    size_t broken = 0;
    for (size_t v = 0; v < e->variants->n; v++) {
        int any = 0;
        for (size_t i = 0; i < n && v != base && !e->variants->at[v].control; i++) {
            struct hakr_compared c = hakr_compare(e, v, base, limits[i].pass, limits[i].figure);
            enum hakr_limit_verdict verdict = hakr_limit_verdict(&limits[i], &c);
            any |= verdict != HAKR_LIMIT_HELD && verdict != HAKR_LIMIT_NOT_COMPARED;
        }
        broken += any != 0;
    }
    return broken;
}
