#include "replay/knobs_int.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <dlfcn.h>
#include "replay/probe.h"
#include "replay/variant.h"

const char *hakr_knob_word(enum hakr_knob_verdict verdict) {
    static const char *const words[] = {"in-force", "known", "refused", "unknown", "unchecked"};
    return words[verdict];
}

int hakr_knob_warning(const struct hakr_knob *k, char *buf, size_t len) {
    static const char *const words[] = {
        "",
        "is known to this library by its name; whether the value is in force cannot be asked",
        "is a setting of this library, but not with this value: it is not in force",
        "is not a setting that this library knows: it changes nothing",
        "could not be checked",
    };
    if (k->verdict == HAKR_KNOB_IN_FORCE)
        return 0;
    snprintf(buf, len, "%s %s%s%s%s", k->setting, words[k->verdict], k->told[0] ? " (" : "",
             k->told, k->told[0] ? ")" : "");
    return 1;
}

int hakr_knob_is_first(const struct hakr_variants *vs, size_t v, size_t i) {
    const struct hakr_knob *k = &vs->at[v].knobs[i];
    for (const struct hakr_variant *w = vs->at; w < &vs->at[v]; w++)
        for (size_t j = 0; strcmp(w->base, vs->at[v].base) == 0 && j < w->n_knobs; j++)
            if (w->knobs[j].verdict == k->verdict && strcmp(w->knobs[j].setting, k->setting) == 0)
                return 0;
    return 1;
}

struct asking {
    struct hakr_variant *v;
    const char *loader; /* the dynamic linker's path, or NULL */
    char *plain;        /* what the probe printed without the variables */
    char *tunables;     /* the dynamic linker's list without them */
    struct hakc_err *err;
};

static const char *dynamic_linker(void) {
    Dl_info info;
    void *base = (void *)getauxval(AT_BASE);
    return base != NULL && dladdr(base, &info) != 0 ? info.dli_fname : NULL;
}

static struct hakr_knob *append(struct hakr_variant *v, const char *setting, size_t len) {
    struct hakr_knob *a = realloc(v->knobs, (v->n_knobs + 1) * sizeof *a);
    if (a == NULL)
        return NULL;
    v->knobs = a;
    a[v->n_knobs] = (struct hakr_knob){.setting = strndup(setting, len)};
    return a[v->n_knobs].setting != NULL ? &a[v->n_knobs++] : NULL;
}

#define NAME_LEAST 4 /* a shorter text occurs in any file */

/* Whether the file holds the name as a string of its own. */
static int file_holds(const char *path, const char *name) {
    size_t len = strlen(name) + 1; /* with its NUL */
    int found = 0, fd = path != NULL && len > NAME_LEAST ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat st;
    void *m = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0)
        m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (m != MAP_FAILED) {
        const char *at = m, *end = at + st.st_size;
        while (!found && (at = memmem(at, (size_t)(end - at), name, len)) != NULL) {
            char before = '\0';
            if (at > (const char *)m)
                before = at[-1];
            found = !isalnum((unsigned char)before) && before != '_';
            at++;
        }
        munmap(m, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/* By name alone. */
static void judge_by_name(const struct asking *a, struct hakr_knob *k, const char *name) {
    if (a->v->path != NULL ? file_holds(a->v->path, name)
                           : strncmp(name, "MALLOC_", 7) == 0 && file_holds(a->loader, name))
        hakr_knob_judge_text(k, HAKR_KNOB_KNOWN, "");
    else if (strncmp(name, "LD_", 3) == 0)
        hakr_knob_judge_text(k, HAKR_KNOB_UNCHECKED, "it is the dynamic linker's");
    else
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN,
                             a->v->path != NULL ? "its name does not occur in it" : "");
}

/* The knobs of one variable, in a list of several: each pair is one. */
static int
ask_each(struct asking *a, const char *value, char between, const char *without, const char *with,
         void (*judge_pair)(struct hakr_knob *, const char *, const char *, const char *)) {
    for (const char *s = value; *s != '\0';) {
        char stop[2] = {between, '\0'};
        size_t len = strcspn(s, stop);
        struct hakr_knob *k = append(a->v, s, len);
        if (k == NULL)
            return hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
        judge_pair(k, k->setting, without, with);
        s += len + (s[len] == between);
    }
    return 0;
}

static void judge_conf(struct hakr_knob *k, const char *pair, const char *without,
                       const char *with) {
    (void)without;
    hakr_knob_jemalloc(k, pair, with);
}

/* confirm_conf stands first: behind a mistake in the list jemalloc would not come to it. */
static int ask_jemalloc(struct asking *a, const char *name, const char *value) {
    char *all, *printed = NULL, why[64];
    if (asprintf(&all, "%s=confirm_conf:true%s%s", name, value[0] ? "," : "", value) < 0)
        return hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
    const char *env[] = {all, NULL};
    int rc = hakr_probe(a->v->path, env, NULL, NULL, &printed, why, a->err);
    if (rc == 0)
        rc = ask_each(a, value, ',', NULL, printed, judge_conf);
    free(printed);
    free(all);
    return rc;
}

/* Tunables that concern another malloc than the variant's. */
static void void_foreign_tunables(struct asking *a, size_t from) {
    for (size_t i = from; i < a->v->n_knobs && a->v->path != NULL; i++)
        if (strncmp(a->v->knobs[i].setting, "glibc.malloc.", strlen("glibc.malloc.")) == 0)
            hakr_knob_judge_text(&a->v->knobs[i], HAKR_KNOB_UNKNOWN,
                                 "it is of the C library's malloc");
}

static int list_tunables(struct asking *a, const char *entry, char **text) {
    const char *env[] = {entry, NULL};
    char why[64];
    if (a->loader == NULL)
        return (*text = strdup("")) != NULL ? 0 : hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
    return hakr_probe(NULL, env, a->loader, "--list-tunables", text, why, a->err);
}

/* GLIBC_TUNABLES, or one of the C library's own variables that stands for a tunable. */
static int ask_glibc(struct asking *a, const char *entry, const char *value, const char *name) {
    char *with = NULL;
    size_t from = a->v->n_knobs;
    int rc = a->tunables != NULL ? 0 : list_tunables(a, NULL, &a->tunables);
    if (rc == 0)
        rc = list_tunables(a, entry, &with);
    if (rc == 0 && strcmp(name, "GLIBC_TUNABLES") == 0) {
        rc = ask_each(a, value, ':', a->tunables, with, hakr_knob_tunable);
        void_foreign_tunables(a, from);
    } else if (rc == 0) {
        struct hakr_knob *k = append(a->v, entry, strlen(entry));
        if (k == NULL)
            rc = hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
        else if (strcmp(a->tunables, with) != 0)
            hakr_knob_judge_text(k, HAKR_KNOB_IN_FORCE, "it changes a tunable of glibc");
        else
            judge_by_name(a, k, name);
    }
    free(with);
    return rc;
}

static int ask_mimalloc(struct asking *a, const char *entry, const char *name) {
    static const char list[] = "MIMALLOC_VERBOSE=1";
    const char *without_it[] = {list, NULL}, *with_it[] = {list, entry, NULL};
    char *without = NULL, *with = NULL, why[64];
    struct hakr_knob *k = append(a->v, entry, strlen(entry));
    if (k == NULL)
        return hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
    int rc = hakr_probe(a->v->path, without_it, NULL, NULL, &without, why, a->err);
    if (rc == 0)
        rc = hakr_probe(a->v->path, with_it, NULL, NULL, &with, why, a->err);
    if (rc == 0 && strcmp(name, "MIMALLOC_VERBOSE") == 0)
        hakr_knob_judge_text(k, HAKR_KNOB_KNOWN, "");
    else if (rc == 0)
        hakr_knob_mimalloc(k, name, without, with);
    free(without);
    free(with);
    return rc;
}

/* What hakmem says of a value that it could not take names the variable: HAKMEM_SAFE="9": ... */
static int ask_hakmem(struct asking *a, const char *entry, const char *name) {
    const char *env[] = {entry, NULL};
    char *printed = NULL, why[64], problem[160];
    struct hakr_knob *k = append(a->v, entry, strlen(entry));
    if (k == NULL)
        return hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
    int rc = hakr_probe(a->v->path, env, NULL, NULL, &printed, why, a->err);
    if (rc != 0)
        return rc;
    snprintf(problem, sizeof problem, "%s=\"", name);
    const char *at = strstr(printed, problem);
    judge_by_name(a, k, name);
    if (k->verdict == HAKR_KNOB_KNOWN && at != NULL)
        hakr_knob_judge(k, HAKR_KNOB_REFUSED, at, strcspn(at, ";\n"));
    else if (k->verdict == HAKR_KNOB_KNOWN && why[0] == '\0')
        hakr_knob_judge_text(k, HAKR_KNOB_IN_FORCE, "hakmem reports no problem with it");
    free(printed);
    return rc;
}

static int is_family(const struct asking *a, const char *name) {
    char line[64];
    snprintf(line, sizeof line, "probe: %s ", name);
    return strstr(a->plain, line) != NULL;
}

static int ends_in(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static int ask_one(struct asking *a, const char *entry) {
    char name[128];
    const char *value = entry + strcspn(entry, "=") + 1;
    snprintf(name, sizeof name, "%.*s", (int)(value - entry - 1), entry);
    if (strcmp(name, "HAKMEM_POLICY") == 0 && a->v->policy != NULL)
        return 0; /* each run asks */
    if (strcmp(name, "GLIBC_TUNABLES") == 0 || a->v->path == NULL)
        return ask_glibc(a, entry, value, name);
    if (is_family(a, "jemalloc") && ends_in(name, "MALLOC_CONF"))
        return ask_jemalloc(a, name, value);
    if (is_family(a, "mimalloc"))
        return ask_mimalloc(a, entry, name);
    if (is_family(a, "hakmem"))
        return ask_hakmem(a, entry, name);
    struct hakr_knob *k = append(a->v, entry, strlen(entry));
    if (k == NULL)
        return hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
    judge_by_name(a, k, name);
    return 0;
}

/* The version that the library tells of itself. */
static int take_version(struct asking *a) {
    const char *at = strstr(a->plain, "probe: ");
    const char *version = at != NULL ? strchr(at + strlen("probe: "), ' ') : NULL;
    if (version == NULL || a->v->version != NULL)
        return 0;
    a->v->version = strndup(version + 1, strcspn(version + 1, "\n"));
    return a->v->version != NULL ? 0 : hakc_fail(a->err, HAKC_ENOMEM, "out of memory");
}

static int check_one(struct asking *a) {
    char why[64];
    int rc = hakr_probe(a->v->path, NULL, NULL, NULL, &a->plain, why, a->err);
    if (rc == 0)
        rc = take_version(a);
    for (size_t i = 0; rc == 0 && a->v->env != NULL && a->v->env[i] != NULL; i++)
        rc = ask_one(a, a->v->env[i]);
    if (rc == 0 && why[0] != '\0')
        for (size_t i = 0; i < a->v->n_knobs; i++)
            if (a->v->knobs[i].verdict != HAKR_KNOB_IN_FORCE)
                hakr_knob_judge_text(&a->v->knobs[i], HAKR_KNOB_UNCHECKED, why);
    free(a->plain);
    free(a->tunables);
    return rc;
}

int hakr_knobs_check(struct hakr_variants *v, struct hakc_err *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        struct asking a = {.v = &v->at[i], .loader = dynamic_linker(), .err = err};
        if (!v->at[i].control && (v->at[i].path != NULL || v->at[i].env != NULL))
            rc = check_one(&a);
    }
    return rc;
}
