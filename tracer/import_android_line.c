#include <string.h>
#include "tracer/import_android.h"

/* Reads a number, decimal or with 0x, and the spaces after it. NULL if there is none. */
static const char *number(const char *s, uint64_t *v) {
    uint64_t x = 0;
    unsigned base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
    const char *first = base == 16 ? s + 2 : s;
    for (s = first;; s++) {
        unsigned d = (unsigned)(*s - '0');
        if (d > 9)
            d = base == 16 && (*s | 0x20) >= 'a' && (*s | 0x20) <= 'f'
                    ? (unsigned)((*s | 0x20) - 'a' + 10)
                    : 99;
        if (d >= base)
            break;
        if (__builtin_mul_overflow(x, (uint64_t)base, &x) ||
            __builtin_add_overflow(x, (uint64_t)d, &x))
            return NULL;
    }
    if (s == first || (*s != ' ' && *s != '\0'))
        return NULL;
    while (*s == ' ')
        s++;
    *v = x;
    return s;
}

struct form {
    const char *name; /* with the space after it */
    int op;
    int numbers; /* behind the pointer */
};

static const struct form forms[] = {
    {"malloc ", HAKT_ANDROID_MALLOC, 1},     {"free ", HAKT_ANDROID_FREE, 0},
    {"calloc ", HAKT_ANDROID_CALLOC, 2},     {"realloc ", HAKT_ANDROID_REALLOC, 2},
    {"memalign ", HAKT_ANDROID_MEMALIGN, 2}, {"thread_done ", HAKT_ANDROID_THREAD_DONE, 0},
};

static void assign(struct hakt_android_line *out, const uint64_t *n) {
    switch (out->op) {
    case HAKT_ANDROID_MALLOC:
        out->size = n[0];
        break;
    case HAKT_ANDROID_CALLOC:
        out->overflow = __builtin_mul_overflow(n[0], n[1], &out->size);
        if (out->overflow)
            out->size = UINT64_MAX;
        break;
    case HAKT_ANDROID_REALLOC:
        out->old = n[0];
        out->size = n[1];
        break;
    case HAKT_ANDROID_MEMALIGN:
        out->align = n[0];
        out->size = n[1];
        break;
    default:
        break;
    }
}

const char *hakt_android_parse(const char *line, struct hakt_android_line *out) {
    const struct form *form = NULL;
    uint64_t n[4];
    int given = 0;
    memset(out, 0, sizeof(*out));
    for (; *line >= '0' && *line <= '9'; line++, given++) {
        if (__builtin_mul_overflow(out->tid, 10, &out->tid) ||
            __builtin_add_overflow(out->tid, (uint64_t)(*line - '0'), &out->tid))
            return "the thread id is too large";
    }
    if (given == 0 || line[0] != ':' || line[1] != ' ')
        return "no \"TID: \" at its start";
    line += 2;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms) && form == NULL; i++) {
        if (strncmp(line, forms[i].name, strlen(forms[i].name)) == 0)
            form = &forms[i];
    }
    if (form == NULL)
        return "an operation that is not malloc, calloc, realloc, memalign, free or thread_done";
    out->op = form->op;
    line = number(line + strlen(form->name), &out->pointer);
    for (given = 0; line != NULL && *line != '\0'; given++) {
        if (given == form->numbers + 2)
            return "too many numbers";
        line = number(line, &n[given]);
    }
    if (line == NULL)
        return "a number that cannot be read";
    if (given != form->numbers && given != form->numbers + 2)
        return "too few numbers";
    assign(out, n);
    out->has_times = given > form->numbers;
    if (out->has_times) {
        out->start = n[given - 2];
        out->end = n[given - 1];
        if (out->end < out->start)
            return "the call ends before it starts";
    }
    return NULL;
}
