#include "replay/variant_int.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alloc/policy/policy.h"

#define FILES_MAX 4

static const struct known {
    const char *name;
    const char *files[FILES_MAX];
    const char *package; /* NULL: one of ours */
} known[] = {
    {"libc", {NULL}, NULL},
    {"hakmem", {"libhakmem.so"}, NULL},
    {"null", {"libhaknull.so"}, NULL},
    {"mimalloc", {"libmimalloc.so.2", "libmimalloc.so.3", "libmimalloc.so"}, "libmimalloc2.0"},
    {"jemalloc", {"libjemalloc.so.2", "libjemalloc.so"}, "libjemalloc2"},
    {"tcmalloc",
     {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libtcmalloc_minimal.so"},
     "libtcmalloc-minimal4"},
};

static const struct known *find_known(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
            return &known[i];
    return NULL;
}

/* The folder of our own libraries: ../lib beside the tool's. 0 or -1. */
static int own_lib_dir(char *buf, size_t len) {
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return -1;
    exe[n] = '\0';
    int k = snprintf(buf, len, "%s/../lib", dirname(exe));
    return k > 0 && (size_t)k < len ? 0 : -1;
}

/* Where a known library lies: its real path, owned by the caller; or NULL. */
static char *find_library(const struct known *k) {
    static const char *const dirs[] = {"/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64",
                                       "/usr/lib"};
    char own[PATH_MAX], path[2 * PATH_MAX];
    if (own_lib_dir(own, sizeof own) != 0)
        own[0] = '\0';
    for (size_t f = 0; f < FILES_MAX && k->files[f] != NULL; f++) {
        if (k->package == NULL) {
            snprintf(path, sizeof path, "%s/%s", own, k->files[f]);
            return realpath(path, NULL);
        }
        for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
            snprintf(path, sizeof path, "%s/%s", dirs[d], k->files[f]);
            if (access(path, R_OK) == 0)
                return realpath(path, NULL);
        }
    }
    return NULL;
}

static int missing(const struct known *k, struct hakc_err *err) {
    if (k->package != NULL)
        return hakc_fail(err, HAKC_ENOENT,
                         "%s is not installed: apt-get install %s, or --alloc %s=/path/to/lib.so",
                         k->name, k->package, k->name);
    return hakc_fail(err, HAKC_ENOENT,
                     "there is no %s in the lib folder beside hakreplay's: build it (make), or "
                     "--alloc %s=/path/to/lib.so",
                     k->files[0], k->name);
}

int hakr_variant_sets(const struct hakr_variant *v, const char *key, size_t len) {
    for (size_t i = 0; v->env != NULL && v->env[i] != NULL; i++)
        if (strncmp(v->env[i], key, len) == 0 && v->env[i][len] == '=')
            return 1;
    return 0;
}

/* Splits "A=1;B=2" into env and env_text. */
static int parse_env(struct hakr_variant *v, const char *text, struct hakc_err *err) {
    size_t n = 1;
    for (const char *s = text; *s != '\0'; s++)
        n += *s == ';';
    v->env = calloc(n + 2, sizeof *v->env); /* one more: a policy may join it */
    v->env_text = strdup(text);
    if (v->env == NULL || v->env_text == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory");
    const char *s = text;
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(s, ";"), key = strcspn(s, "=;");
        if (key == 0 || s[key] != '=')
            return hakc_fail(err, HAKC_EUSAGE, "--alloc: '%.*s' is not KEY=VALUE", (int)len, s);
        if (hakr_variant_sets(v, s, key))
            return hakc_fail(err, HAKC_EUSAGE, "--alloc %s: %.*s is set twice", v->name, (int)key,
                             s);
        v->env[i] = strndup(s, len);
        if (v->env[i] == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory");
        s += len + (s[len] == ';');
    }
    for (char *c = v->env_text; *c != '\0'; c++)
        if (*c == ';')
            *c = ' ';
    return 0;
}

/* HAKMEM_POLICY in a variant's environment is its policy. The library passes over a text that is
 * none and keeps its default: results would have a wrong name. */
static int own_policy(struct hakr_variant *v, struct hakc_err *err) {
    static const char key[] = "HAKMEM_POLICY=";
    for (size_t i = 0; v->env != NULL && v->env[i] != NULL; i++) {
        struct hakp_spec spec;
        char policy[256], why[200] = "";
        if (strncmp(v->env[i], key, sizeof key - 1) != 0)
            continue;
        if (hakp_parse(v->env[i] + sizeof key - 1, &spec, why, sizeof why) != 0)
            return hakc_fail(err, HAKC_EUSAGE, "--alloc %s: %s", v->name, why);
        hakp_format(&spec, policy, sizeof policy);
        v->policy = strdup(policy);
        if (v->policy == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory");
    }
    return 0;
}

static void free_variant(struct hakr_variant *v) {
    for (size_t i = 0; v->env != NULL && v->env[i] != NULL; i++)
        free(v->env[i]);
    free(v->env);
    for (size_t i = 0; i < v->n_knobs; i++)
        free(v->knobs[i].setting);
    free(v->knobs);
    free(v->env_text);
    free(v->label);
    free(v->name);
    free(v->base);
    free(v->path);
    free(v->policy);
    free(v->version);
    memset(v, 0, sizeof *v);
}

void hakr_variants_free(struct hakr_variants *v) {
    for (size_t i = 0; i < v->n; i++)
        free_variant(&v->at[i]);
    free(v->at);
    memset(v, 0, sizeof *v);
}

struct hakr_variant *hakr_variants_append(struct hakr_variants *v) {
    struct hakr_variant *a = realloc(v->at, (v->n + 1) * sizeof *a);
    if (a == NULL)
        return NULL;
    v->at = a;
    memset(&a[v->n], 0, sizeof *a);
    return &a[v->n++];
}

static int set_library(struct hakr_variant *v, const struct known *k, const char *path,
                       struct hakc_err *err) {
    struct stat st;
    if (path != NULL) {
        v->path = realpath(path, NULL);
        if (v->path == NULL)
            return hakc_fail_errno(err, HAKC_ENOENT, "--alloc %s=%s", v->base, path);
    } else if (k->files[0] != NULL) {
        v->path = find_library(k);
        if (v->path == NULL)
            return missing(k, err);
    } else {
        v->version = strdup(gnu_get_libc_version());
        return 0;
    }
    if (strpbrk(v->path, " :") != NULL)
        return hakc_fail(err, HAKC_EUSAGE,
                         "%s: the dynamic linker cannot preload a path with a space or a colon",
                         v->path);
    if (stat(v->path, &st) != 0)
        return hakc_fail_errno(err, HAKC_ENOENT, "%s", v->path);
    v->dev = st.st_dev;
    v->ino = st.st_ino;
    return 0;
}

/* One item: text[0..len). */
static int add_one(struct hakr_variants *vs, const char *text, size_t len, struct hakc_err *err) {
    struct hakr_variant *v = hakr_variants_append(vs);
    char *item = strndup(text, len), *path = NULL;
    int rc = HAKC_ENOMEM;
    if (v == NULL || item == NULL)
        goto out;
    char *env = strchr(item, ':');
    if (env != NULL)
        *env++ = '\0';
    path = strchr(item, '=');
    if (path != NULL)
        *path++ = '\0';
    v->base = strdup(item);
    if (v->base == NULL || asprintf(&v->name, "%s%s%s", item, env ? ":" : "", env ? env : "") < 0)
        goto out;
    v->label = strdup(v->name);
    const struct known *k = find_known(item, strlen(item));
    rc = 0;
    if (item[0] == '\0' || (k == NULL && path == NULL))
        rc = hakc_fail(err, HAKC_EUSAGE,
                       "--alloc: '%s' is not an allocator that hakreplay knows (libc, hakmem, "
                       "mimalloc, jemalloc, tcmalloc, null, or NAME=/path/to/lib.so)",
                       item);
    if (rc == 0)
        rc = set_library(v, k, path, err);
    if (rc == 0 && env != NULL)
        rc = parse_env(v, env, err);
    if (rc == 0 && strcmp(v->base, "hakmem") == 0)
        rc = own_policy(v, err);
out:
    free(item);
    return rc == HAKC_ENOMEM ? hakc_fail(err, HAKC_ENOMEM, "out of memory") : rc;
}

/* Whether an item of --alloc starts at s. */
static int starts_item(const char *s) {
    size_t n = strcspn(s, "=:,");
    if (find_known(s, n) != NULL)
        return 1;
    return s[n] == '=' && (s[n + 1] == '/' || s[n + 1] == '.');
}

int hakr_variants_add(struct hakr_variants *v, const char *text, struct hakc_err *err) {
    for (;;) {
        size_t len = strcspn(text, ",");
        int has_env = memchr(text, ':', len) != NULL;
        while (has_env && text[len] == ',' && !starts_item(text + len + 1))
            len += 1 + strcspn(text + len + 1, ",");
        int rc = add_one(v, text, len, err);
        if (rc != 0)
            return rc;
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

int hakr_variants_add_control(struct hakr_variants *v, struct hakc_err *err) {
    int rc = hakr_variants_add(v, "null", err);
    if (rc == 0)
        v->at[v->n - 1].control = 1;
    return rc;
}
