/* The list of policies of --policy: each may be a sweep (sweep.h); equal ones are kept once. */
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "sim/models.h"
#include "sim/sim.h"
#include "sim/sweep.h"

/* A list that grows, with the hashes of what it holds. */
struct growing {
    struct hakp_spec *specs;
    size_t n, room;
    struct hakc_map seen; /* hash of the canonical text -> place + 1 */
};

/* A piece "key=value" goes on with the policy before it; one with a name does not. */
static int continues(const char *piece) {
    size_t n = strcspn(piece, ",:=");
    return piece[n] == '=';
}

static uint64_t hash_text(const char *s) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

/* Equal specs have equal canonical texts. Returns 1 if the list holds it, else notes its place. */
static int note(struct growing *g, const struct hakp_spec *spec, struct hakc_err *err) {
    char text[256], other[256];
    uint64_t key, *place;
    hakp_format(spec, text, sizeof text);
    for (key = hash_text(text);; key++) {
        if (key == 0)
            key = 1;
        place = hakc_map_find(&g->seen, key);
        if (place == NULL)
            break;
        hakp_format(&g->specs[*place - 1], other, sizeof other);
        if (strcmp(text, other) == 0)
            return 1;
    }
    return hakc_map_put(&g->seen, key, g->n + 1) == 0
               ? 0
               : hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", g->n + 1);
}

static int append(void *ctx, const char *text, struct hakc_err *err) {
    struct growing *g = ctx;
    struct hakp_spec spec;
    struct hakc_err why = {0};
    int rc;
    if (haks_policy_parse(text, &spec, &why) != 0)
        return hakc_fail(err, HAKC_EUSAGE, "--policy: %s", why.msg);
    if (g->n == g->room) {
        size_t room = g->room * 2 + 16;
        struct hakp_spec *grown = realloc(g->specs, room * sizeof *grown);
        if (grown == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", g->n + 1);
        g->specs = grown;
        g->room = room;
    }
    rc = note(g, &spec, err);
    if (rc == 0)
        g->specs[g->n++] = spec;
    return rc < 0 ? rc : 0;
}

static int expand(struct growing *g, const char *text, struct hakc_err *err) {
    struct hakc_err why = {0};
    int rc = haks_sweep(text, append, g, &why);
    if (rc == 0)
        return 0;
    if (strncmp(why.msg, "--policy: ", 10) == 0)
        return hakc_fail(err, rc, "%s", why.msg);
    return hakc_fail(err, rc, "--policy: %s", why.msg);
}

int haks_policy_list(const char *text, struct hakp_spec **list, size_t *n, struct hakc_err *err) {
    struct growing g = {.specs = *list, .n = 0, .room = *n};
    char *copy = strdup(text), *at = copy;
    size_t had = *n;
    int rc = 0;
    if (copy == NULL || hakc_map_init(&g.seen, had) != 0) {
        free(copy);
        return hakc_fail(err, HAKC_ENOMEM, "no memory for a list of policies");
    }
    for (; rc >= 0 && g.n < had; g.n++)
        rc = note(&g, &g.specs[g.n], err);
    rc = rc < 0 ? rc : 0;
    while (rc == 0 && at != NULL) {
        char *end = strchr(at, ',');
        int has_name = strchr(at, ':') != NULL && (end == NULL || strchr(at, ':') < end);
        while (has_name && end != NULL && continues(end + 1))
            end = strchr(end + 1, ',');
        if (end != NULL)
            *end++ = '\0';
        rc = expand(&g, at, err);
        at = end;
    }
    *list = g.specs;
    *n = g.n;
    hakc_map_fini(&g.seen);
    free(copy);
    return rc;
}
