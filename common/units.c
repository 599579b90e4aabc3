#include "common/units.h"

#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t scale;
};

#define KI (1ull << 10)
#define MI (1ull << 20)
#define GI (1ull << 30)
#define TI (1ull << 40)

static const struct unit byte_units[] = {
    {"", 1},     {"B", 1},     {"KiB", KI},     {"MiB", MI},        {"GiB", GI},
    {"TiB", TI}, {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", 1000000000000},
    {"k", KI},   {"K", KI},    {"M", MI},       {"G", GI},          {"T", TI},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ns", 1},          {"us", 1000},         {"ms", 1000000}, {"s", 1000000000},
    {"m", 60000000000}, {"h", 3600000000000}, {NULL, 0},
};

static const struct unit count_units[] = {
    {"", 1}, {"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL, 0},
};

/* The number is kept as digits / 10^decimals, so that "0.1s" is exact. */
struct decimal {
    uint64_t digits;
    unsigned decimals;
};

enum { MAX_DECIMALS = 15 };

/* Returns the rest of the text, or NULL: no digit, or too many. */
static const char *read_decimal(const char *s, struct decimal *d, int *overflow) {
    int any = 0, point = 0;
    *d = (struct decimal){0, 0};
    *overflow = 0;
    for (;; s++) {
        if (*s == '.' && !point && any) {
            point = 1;
            any = 0; /* a digit must follow the point */
            continue;
        }
        if (*s < '0' || *s > '9')
            return any ? s : NULL;
        any = 1;
        if (__builtin_mul_overflow(d->digits, 10, &d->digits) ||
            __builtin_add_overflow(d->digits, (uint64_t)(*s - '0'), &d->digits) ||
            (point && ++d->decimals > MAX_DECIMALS)) {
            *overflow = 1;
            return NULL;
        }
    }
}

static int parse(const char *text, const struct unit *units, const char *what, const char *example,
                 uint64_t *out, struct hakc_err *err) {
    struct decimal d;
    int overflow;
    const char *rest = read_decimal(text, &d, &overflow);
    if (overflow)
        return hakc_fail(err, HAKC_EUSAGE, "'%s': the number is too large", text);
    if (!rest)
        return hakc_fail(err, HAKC_EUSAGE, "'%s' is not a %s; give one like %s", text, what,
                         example);
    while (*rest == ' ')
        rest++;
    const struct unit *u = units;
    while (u->name && strcmp(u->name, rest) != 0)
        u++;
    if (!u->name) {
        if (*rest == '\0' && d.digits == 0) {
            *out = 0;
            return HAKC_OK;
        }
        if (*rest == '\0')
            return hakc_fail(err, HAKC_EUSAGE, "'%s': a %s needs a unit, like %s", text, what,
                             example);
        return hakc_fail(err, HAKC_EUSAGE, "'%s': '%s' is not a unit of a %s; give one like %s",
                         text, rest, what, example);
    }
    uint64_t divisor = 1;
    for (unsigned i = 0; i < d.decimals; i++)
        divisor *= 10;
    unsigned __int128 v = (unsigned __int128)d.digits * u->scale;
    if (v % divisor != 0)
        return hakc_fail(err, HAKC_EUSAGE, "'%s' is finer than a %s can be; give a whole number",
                         text, what);
    v /= divisor;
    if (v > UINT64_MAX)
        return hakc_fail(err, HAKC_EUSAGE, "'%s': the number is too large", text);
    *out = (uint64_t)v;
    return HAKC_OK;
}

int hakc_parse_bytes(const char *text, uint64_t *bytes, struct hakc_err *err) {
    return parse(text, byte_units, "size", "64KiB", bytes, err);
}

int hakc_parse_duration(const char *text, uint64_t *ns, struct hakc_err *err) {
    return parse(text, duration_units, "duration", "10ms", ns, err);
}

int hakc_parse_count(const char *text, uint64_t *count, struct hakc_err *err) {
    return parse(text, count_units, "count", "1000 or 10k", count, err);
}

/* Three significant digits, so that columns of such texts can be compared by eye. The thresholds
 * are those of rounding: 9.995 is shown as 10.0. */
static char *format_scaled(char *buf, double v, const char *space, const char *prefix,
                           const char *unit) {
    int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
    snprintf(buf, HAKC_UNIT_LEN, "%.*f%s%s%s", digits, v, space, prefix, unit);
    return buf;
}

/* Scales v by steps until it shows as less than one step, and returns the prefix's index. */
static unsigned scale_down(double *v, double step, unsigned max) {
    unsigned i = 0;
    while (i < max && *v >= step - 0.5) {
        *v /= step;
        i++;
    }
    return i;
}

char *hakc_format_bytes(char buf[HAKC_UNIT_LEN], uint64_t bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(buf, HAKC_UNIT_LEN, "%u B", (unsigned)bytes);
        return buf;
    }
    double v = (double)bytes;
    unsigned i = scale_down(&v, 1024, 6);
    return format_scaled(buf, v, " ", "", names[i]);
}

char *hakc_format_duration(char buf[HAKC_UNIT_LEN], uint64_t ns) {
    static const char *const names[] = {"ns", "us", "ms", "s"};
    if (ns < 1000) {
        snprintf(buf, HAKC_UNIT_LEN, "%u ns", (unsigned)ns);
        return buf;
    }
    uint64_t s = ns / 1000000000 + (ns % 1000000000 >= 500000000);
    if (s < 60) {
        double v = (double)ns;
        unsigned i = scale_down(&v, 1000, 3);
        return format_scaled(buf, v, " ", "", names[i]);
    }
    if (s < 3600)
        snprintf(buf, HAKC_UNIT_LEN, "%u m %02u s", (unsigned)(s / 60), (unsigned)(s % 60));
    else
        snprintf(buf, HAKC_UNIT_LEN, "%llu h %02u m", (unsigned long long)(s / 3600),
                 (unsigned)(s % 3600 / 60));
    return buf;
}

static const char *const si_names[] = {"", "k", "M", "G", "T", "P", "E"};

char *hakc_format_count(char buf[HAKC_UNIT_LEN], uint64_t count) {
    if (count < 1000) {
        snprintf(buf, HAKC_UNIT_LEN, "%u", (unsigned)count);
        return buf;
    }
    double v = (double)count;
    unsigned i = scale_down(&v, 1000, 6);
    return format_scaled(buf, v, " ", si_names[i], "");
}

char *hakc_format_rate(char buf[HAKC_UNIT_LEN], uint64_t count, uint64_t ns, const char *unit) {
    if (ns == 0) {
        snprintf(buf, HAKC_UNIT_LEN, "-");
        return buf;
    }
    double v = (double)count * 1e9 / (double)ns;
    unsigned i = scale_down(&v, 1000, 6);
    char tail[16];
    snprintf(tail, sizeof tail, "%.12s/s", unit);
    return format_scaled(buf, v, " ", si_names[i], tail);
}
