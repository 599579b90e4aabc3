/* A policy's text with ranges and lists, to the policies that it stands for. */
#include "sim/sweep.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

#define PARTS_MOST 16
#define TEXT_MOST  256

/* A part of the text, with the values it may take. */
struct part {
    char prefix[64]; /* what stands before each value: "", ":ms=", ",how=" */
    char **values;
    size_t n, room;
};

/* A number of a range's end, and the unit behind it. */
struct end {
    uint64_t v;
    char unit[8];
};

static int add_value(struct part *p, const char *text, size_t len, struct hakc_err *err) {
    if (p->n == HAKS_SWEEP_MOST)
        return hakc_fail(err, HAKC_EUSAGE, "a range of more than %d values", HAKS_SWEEP_MOST);
    if (p->n == p->room) {
        size_t room = p->room * 2 + 16;
        char **grown = realloc(p->values, room * sizeof *grown);
        if (grown == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for a range");
        p->values = grown;
        p->room = room;
    }
    p->values[p->n] = strndup(text, len);
    if (p->values[p->n] == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for a range");
    p->n++;
    return 0;
}

static int add_number(struct part *p, uint64_t v, const char *unit, struct hakc_err *err) {
    char text[40];
    int len = snprintf(text, sizeof text, "%llu%s", (unsigned long long)v, unit);
    if (p->n > 0 && strcmp(p->values[p->n - 1], text) == 0)
        return 0;
    return add_value(p, text, (size_t)len, err);
}

/* ---- ranges --------------------------------------------------------------------------------- */

/* Digits, then letters, from *at to before `stop`. */
static int read_end(const char **at, const char *stop, struct end *e) {
    size_t digits = strspn(*at, "0123456789"), letters;
    if (digits == 0 || digits > 19 || *at + digits > stop)
        return -1;
    e->v = strtoull(*at, NULL, 10);
    *at += digits;
    letters = strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (letters >= sizeof e->unit || *at + letters > stop)
        return -1;
    memcpy(e->unit, *at, letters);
    e->unit[letters] = '\0';
    *at += letters;
    return 0;
}

/* Both ends in one unit, the smallest of their kind, where they do not share theirs. */
static int share_unit(struct end *a, struct end *b) {
    char x[40], y[40];
    uint64_t from, to;
    const char *unit = "ns";
    if (strcmp(a->unit, b->unit) == 0)
        return 0;
    snprintf(x, sizeof x, "%llu%s", (unsigned long long)a->v, a->unit);
    snprintf(y, sizeof y, "%llu%s", (unsigned long long)b->v, b->unit);
    if (a->unit[0] == '\0' || b->unit[0] == '\0')
        return -1;
    if (hakc_parse_duration(x, &from, NULL) != 0 || hakc_parse_duration(y, &to, NULL) != 0) {
        unit = "B";
        if (hakc_parse_bytes(x, &from, NULL) != 0 || hakc_parse_bytes(y, &to, NULL) != 0)
            return -1;
    }
    a->v = from;
    b->v = to;
    snprintf(a->unit, sizeof a->unit, "%s", unit);
    snprintf(b->unit, sizeof b->unit, "%s", unit);
    return 0;
}

/* "2", "1.25": thousandths; 0 where it is neither. */
static uint64_t read_factor(const char *text, size_t len) {
    uint64_t v = 0;
    int decimals = -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' && decimals < 0 && i > 0) {
            decimals = 0;
        } else if (text[i] >= '0' && text[i] <= '9' && v < 1000000000 && decimals < 3) {
            v = v * 10 + (uint64_t)(text[i] - '0');
            decimals += decimals >= 0;
        } else {
            return 0;
        }
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
        v *= 10;
    return v;
}

static int by_factor(struct part *p, struct end a, struct end b, uint64_t thousandths,
                     struct hakc_err *err) {
    /* the value times 2^20, so that a small factor moves on from small numbers too */
    unsigned __int128 x = (unsigned __int128)a.v << 20, top = (unsigned __int128)b.v << 20;
    int rc = 0;
    for (; rc == 0 && x <= top; x = x * thousandths / 1000)
        rc = add_number(p, (uint64_t)((x + (1u << 19)) >> 20), a.unit, err);
    return rc;
}

static int by_step(struct part *p, struct end a, struct end b, uint64_t step,
                   struct hakc_err *err) {
    int rc = 0;
    for (uint64_t v = a.v; rc == 0; v += step) {
        rc = add_number(p, v, a.unit, err);
        if (b.v - v < step)
            break;
    }
    return rc;
}

static int bad_range(const char *text, size_t len, const char *why, struct hakc_err *err) {
    return hakc_fail(err, HAKC_EUSAGE, "range \"%.*s\": %s", (int)len, text, why);
}

/* [text, text + len) holds "..": at dots. */
static int add_range(struct part *p, const char *text, size_t len, const char *dots,
                     struct hakc_err *err) {
    const char *stop = text + len, *at = text, *second = dots + 2;
    struct end a, b, step;
    uint64_t factor;
    if (read_end(&at, dots, &a) != 0 || at != dots || read_end(&second, stop, &b) != 0)
        return bad_range(text, len, "its ends must be whole numbers, as in 1..1000*2", err);
    if (share_unit(&a, &b) != 0)
        return bad_range(text, len, "give both ends a unit of one kind, as in 1ms..10s*10", err);
    if (a.v > b.v)
        return bad_range(text, len, "its end is below its start", err);
    if (b.v > UINT64_MAX / 2)
        return bad_range(text, len, "its end is too large", err);
    if (second < stop && *second == '*') {
        factor = read_factor(second + 1, (size_t)(stop - second - 1));
        if (factor <= 1000 || factor > 1000000)
            return bad_range(text, len,
                             "its factor must be above 1 and at most 1000, with at most three "
                             "decimals, as in 1..1000*2 or 1..1000*1.25",
                             err);
        if (a.v == 0)
            return bad_range(text, len, "a range with a factor must start above 0", err);
        return by_factor(p, a, b, factor, err);
    }
    if (second < stop && *second == '+') {
        second++;
        if (read_end(&second, stop, &step) != 0 || second != stop || step.v == 0 ||
            (step.unit[0] != '\0' && strcmp(step.unit, a.unit) != 0))
            return bad_range(text, len, "its step must be a whole number, as in 10..100+10", err);
        return by_step(p, a, b, step.v, err);
    }
    return bad_range(text, len, "say how it goes on: 1..1000*2 (factor) or 10..100+10 (step)", err);
}

/* ---- parts ---------------------------------------------------------------------------------- */

/* The alternatives of [text, text + len). */
static int add_alternatives(struct part *p, const char *text, size_t len, struct hakc_err *err) {
    const char *stop = text + len;
    int rc = 0;
    while (rc == 0) {
        const char *bar = memchr(text, '|', (size_t)(stop - text));
        size_t n = (size_t)((bar != NULL ? bar : stop) - text);
        const char *dots = memmem(text, n, "..", 2);
        if (bar != NULL && n == 0)
            return hakc_fail(err, HAKC_EUSAGE, "\"%s\": an alternative of \"|\" is empty", text);
        rc = dots != NULL ? add_range(p, text, n, dots, err) : add_value(p, text, n, err);
        if (bar == NULL)
            break;
        text = bar + 1;
        if (text == stop)
            return hakc_fail(err, HAKC_EUSAGE, "an alternative of \"|\" is empty");
    }
    return rc;
}

/* Splits at the first ':' and at each ','; a part's prefix goes up to and with its '='. */
static int split(const char *text, struct part *parts, size_t *n, struct hakc_err *err) {
    const char *at = text;
    *n = 0;
    for (;;) {
        struct part *p = &parts[*n];
        const char *mark = at, *end, *equals;
        if (*n == PARTS_MOST)
            return hakc_fail(err, HAKC_EUSAGE, "\"%s\" has too many parts", text);
        if (*n > 0)
            at++; /* past the ':' or ',' */
        end = at + strcspn(at, *n == 0 ? ":," : ",");
        equals = *n > 0 ? memchr(at, '=', (size_t)(end - at)) : NULL;
        if (equals != NULL)
            at = equals + 1;
        if ((size_t)(at - mark) >= sizeof p->prefix || end - mark > TEXT_MOST)
            return hakc_fail(err, HAKC_EUSAGE, "\"%.40s...\" is too long for a policy", text);
        (*n)++;
        memcpy(p->prefix, mark, (size_t)(at - mark));
        p->prefix[at - mark] = '\0';
        int rc = add_alternatives(p, at, (size_t)(end - at), err);
        if (rc != 0 || *end == '\0')
            return rc;
        at = end;
    }
}

static int cross(const struct part *parts, size_t n, haks_sweep_fn *fn, void *ctx,
                 struct hakc_err *err) {
    size_t at[PARTS_MOST] = {0}, i;
    int rc = 0;
    do {
        char text[2 * TEXT_MOST] = "";
        size_t used = 0;
        for (i = 0; i < n && used < sizeof text; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", parts[i].prefix,
                                     parts[i].values[at[i]]);
        if (used >= sizeof text)
            return hakc_fail(err, HAKC_EUSAGE, "\"%.40s...\" is too long for a policy", text);
        rc = fn(ctx, text, err);
        for (i = n; i > 0 && ++at[i - 1] == parts[i - 1].n; i--)
            at[i - 1] = 0;
    } while (rc == 0 && i > 0);
    return rc;
}

int haks_sweep(const char *text, haks_sweep_fn *fn, void *ctx, struct hakc_err *err) {
    struct part parts[PARTS_MOST] = {0};
    size_t n, product = 1;
    int rc = split(text, parts, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        product *= parts[i].n; /* both factors are at most HAKS_SWEEP_MOST */
        if (product > HAKS_SWEEP_MOST)
            rc = hakc_fail(err, HAKC_EUSAGE, "\"%s\" stands for more than %d policies", text,
                           HAKS_SWEEP_MOST);
    }
    if (rc == 0)
        rc = cross(parts, n, fn, ctx, err);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i].n; k++)
            free(parts[i].values[k]);
        free(parts[i].values);
    }
    return rc;
}
