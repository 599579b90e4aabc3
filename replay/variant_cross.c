/* Variants crossed with release policies, and with the values of other allocators' settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc/policy/policy.h"
#include "replay/variant_int.h"

static int no_memory(struct hakc_err *err) {
    return hakc_fail(err, HAKC_ENOMEM, "out of memory");
}

static char *copy_text(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

/* Makes *to a copy of *from with `setting` ("KEY=VALUE"; NULL: none) before its environment. */
static int copy_with(struct hakr_variant *to, const struct hakr_variant *from, const char *setting,
                     struct hakc_err *err) {
    size_t n = 0;
    while (from->env != NULL && from->env[n] != NULL)
        n++;
    to->dev = from->dev;
    to->ino = from->ino;
    to->name = strdup(from->name);
    to->base = strdup(from->base);
    to->label = strdup(from->label);
    to->path = copy_text(from->path);
    to->policy = copy_text(from->policy);
    to->version = copy_text(from->version);
    to->env_text = copy_text(from->env_text);
    to->env = calloc(n + 2, sizeof *to->env);
    if (to->name == NULL || to->base == NULL || to->label == NULL || to->env == NULL ||
        (from->path != NULL && to->path == NULL) || (from->policy != NULL && to->policy == NULL) ||
        (from->version != NULL && to->version == NULL) ||
        (from->env_text != NULL && to->env_text == NULL))
        return no_memory(err);
    size_t first = setting != NULL;
    if (first && (to->env[0] = strdup(setting)) == NULL)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        if ((to->env[first + i] = strdup(from->env[i])) == NULL)
            return no_memory(err);
    return 0;
}

/* Hands *from over to the end of *out. */
static int move(struct hakr_variants *out, struct hakr_variant *from, struct hakc_err *err) {
    struct hakr_variant *to = hakr_variants_append(out);
    if (to == NULL)
        return no_memory(err);
    *to = *from;
    memset(from, 0, sizeof *from);
    return 0;
}

/* ---- policies ---------------------------------------------------------------------------------
 */

/* One more variant: *from under the policy text[0..len). */
static int add_policy(struct hakr_variants *out, const struct hakr_variant *from, const char *text,
                      size_t len, struct hakc_err *err) {
    struct hakp_spec spec;
    char policy[256], setting[300], why[200] = "";
    snprintf(policy, sizeof policy, "%.*s", (int)len, text);
    if (len >= sizeof policy || hakp_parse(policy, &spec, why, sizeof why) != 0)
        return hakc_fail(err, HAKC_EUSAGE, "--policy %s: %s", policy, why);
    hakp_format(&spec, policy, sizeof policy);
    if (from->policy != NULL)
        return hakc_fail(err, HAKC_EUSAGE, "--policy %s: %s has a policy already", policy,
                         from->name);
    snprintf(setting, sizeof setting, "HAKMEM_POLICY=%s", policy);
    struct hakr_variant *to = hakr_variants_append(out);
    if (to == NULL)
        return no_memory(err);
    int rc = copy_with(to, from, setting, err);
    if (rc != 0)
        return rc;
    free(to->label);
    to->label = NULL;
    to->policy = strdup(policy);
    if (to->policy == NULL || asprintf(&to->label, "%s %s", from->name, policy) < 0)
        return no_memory(err);
    return 0;
}

static int starts_policy(const char *s) {
    size_t n = strcspn(s, ":,");
    for (unsigned k = 0; hakp_name(k) != NULL; k++)
        if (strlen(hakp_name(k)) == n && memcmp(hakp_name(k), s, n) == 0)
            return 1;
    return 0;
}

/* Adds one variant of *from for each policy in text. */
static int cross_one(struct hakr_variants *out, const struct hakr_variant *from, const char *text,
                     struct hakc_err *err) {
    for (;;) {
        size_t len = strcspn(text, ",");
        while (text[len] == ',' && !starts_policy(text + len + 1))
            len += 1 + strcspn(text + len + 1, ",");
        int rc = add_policy(out, from, text, len, err);
        if (rc != 0 || text[len] == '\0')
            return rc;
        text += len + 1;
    }
}

int hakr_variants_cross(struct hakr_variants *v, const char *const *policies, size_t n,
                        struct hakc_err *err) {
    struct hakr_variants out = {0};
    int rc = 0, found = 0;
    for (size_t i = 0; i < v->n && rc == 0; i++) {
        if (strcmp(v->at[i].base, "hakmem") != 0) {
            rc = move(&out, &v->at[i], err);
            continue;
        }
        found = 1;
        for (size_t p = 0; p < n && rc == 0; p++)
            rc = cross_one(&out, &v->at[i], policies[p], err);
    }
    if (rc == 0 && !found)
        rc = hakc_fail(err, HAKC_EUSAGE, "--policy is for hakmem, which --alloc does not name");
    hakr_variants_free(v);
    *v = out;
    return rc;
}

/* ---- settings of other allocators -------------------------------------------------------------
 */

/* One more variant: *from with key[0..key_len) = value[0..len). */
static int add_value(struct hakr_variants *out, const struct hakr_variant *from, const char *key,
                     size_t key_len, const char *value, size_t len, struct hakc_err *err) {
    char *setting = NULL, *name = NULL, *env_text = NULL;
    if (hakr_variant_sets(from, key, key_len))
        return hakc_fail(err, HAKC_EUSAGE, "--knob: %.*s is set by %s already", (int)key_len, key,
                         from->name);
    struct hakr_variant *to = hakr_variants_append(out);
    int rc = HAKC_ENOMEM;
    if (to != NULL && asprintf(&setting, "%.*s=%.*s", (int)key_len, key, (int)len, value) >= 0 &&
        asprintf(&name, "%s%c%s", from->name, from->env_text != NULL ? ';' : ':', setting) >= 0 &&
        asprintf(&env_text, "%s%s%s", from->env_text != NULL ? from->env_text : "",
                 from->env_text != NULL ? " " : "", setting) >= 0)
        rc = copy_with(to, from, setting, err);
    free(setting);
    if (rc != 0) {
        free(name);
        free(env_text);
        return rc == HAKC_ENOMEM ? no_memory(err) : rc;
    }
    free(to->name);
    free(to->label);
    free(to->env_text);
    to->name = name;
    to->env_text = env_text;
    to->label = strdup(name);
    return to->label != NULL ? 0 : no_memory(err);
}

/* One more variant for each value, in their order: ratios are to the first. */
static int cross_values(struct hakr_variants *out, const struct hakr_variant *from, const char *key,
                        struct hakc_err *err) {
    size_t key_len = strcspn(key, "=");
    int rc = 0, as_it_is = 0;
    for (const char *s = key + key_len + 1; rc == 0; s++) {
        size_t len = strcspn(s, "|");
        if (len != 0) {
            rc = add_value(out, from, key, key_len, s, len, err);
        } else if (!as_it_is) {
            struct hakr_variant *to = hakr_variants_append(out);
            rc = to != NULL ? copy_with(to, from, NULL, err) : no_memory(err);
            as_it_is = 1;
        }
        s += len;
        if (*s == '\0')
            break;
    }
    return rc;
}

int hakr_variants_knob(struct hakr_variants *v, const char *text, struct hakc_err *err) {
    struct hakr_variants out = {0};
    size_t name = strcspn(text, ":=");
    const char *key = text + name + 1;
    int rc = 0, found = 0;
    if (name == 0 || text[name] != ':' || strcspn(key, "=;|") == 0 ||
        key[strcspn(key, "=;|")] != '=' || strchr(key, ';') != NULL)
        return hakc_fail(err, HAKC_EUSAGE, "--knob: '%s' is not ALLOCATOR:KEY=VALUE|VALUE...",
                         text);
    if (strncmp(key, "HAKMEM_POLICY=", strlen("HAKMEM_POLICY=")) == 0)
        return hakc_fail(err, HAKC_EUSAGE, "--knob %s: release policies are crossed by --policy",
                         text);
    for (size_t i = 0; i < v->n && rc == 0; i++) {
        const char *base = v->at[i].base;
        int is = strlen(base) == name && memcmp(base, text, name) == 0;
        rc = is ? cross_values(&out, &v->at[i], key, err) : move(&out, &v->at[i], err);
        found |= is;
    }
    if (rc == 0 && !found)
        rc = hakc_fail(err, HAKC_EUSAGE, "--knob %s: --alloc does not name %.*s", text, (int)name,
                       text);
    hakr_variants_free(v);
    *v = out;
    return rc;
}
