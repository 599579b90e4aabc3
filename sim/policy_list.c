/* The list of policies of --policy. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

/* A piece "key=value" goes on with the policy before it; one with a name does not. */
static int continues(const char *piece) {
    size_t n = strcspn(piece, ",:=");
    return piece[n] == '=';
}

/* Equal specs have equal canonical strings. */
static int same(const struct hakp_spec *a, const struct hakp_spec *b) {
    char x[256], y[256];
    hakp_format(a, x, sizeof x);
    hakp_format(b, y, sizeof y);
    return strcmp(x, y) == 0;
}

static int append(const char *text, struct hakp_spec **list, size_t *n, struct hakc_err *err) {
    struct hakp_spec spec, *grown;
    char why[256];
    if (hakp_parse(text, &spec, why, sizeof why) != 0)
        return hakc_fail(err, HAKC_EUSAGE, "--policy: %s", why);
    for (size_t i = 0; i < *n; i++)
        if (same(&(*list)[i], &spec))
            return 0;
    grown = realloc(*list, (*n + 1) * sizeof *grown);
    if (grown == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", *n + 1);
    grown[(*n)++] = spec;
    *list = grown;
    return 0;
}

int haks_policy_list(const char *text, struct hakp_spec **list, size_t *n, struct hakc_err *err) {
    char *copy = strdup(text), *at = copy;
    int rc = 0;
    if (copy == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for a list of policies");
    while (rc == 0 && at != NULL) {
        char *end = strchr(at, ',');
        int has_name = strchr(at, ':') != NULL && (end == NULL || strchr(at, ':') < end);
        while (has_name && end != NULL && continues(end + 1))
            end = strchr(end + 1, ',');
        if (end != NULL)
            *end++ = '\0';
        rc = append(at, list, n, err);
        at = end;
    }
    free(copy);
    return rc;
}
