#include "common/out_int.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "common/units.h"

enum { DEFAULT_WIDTH = 100, NARROWEST = 40 /* a table that is cut to less says nothing */ };

/* ---- small parts -------------------------------------------------------------------------- */

void out_fail(struct hakc_out *o, int code) {
    if (o->code != HAKC_OK)
        return;
    o->code = code;
    o->sys_errno = code == HAKC_EIO ? errno : 0;
}

void out_put(struct hakc_out *o, const char *text) {
    if (o->code != HAKC_EIO && fputs(text, o->f) == EOF)
        out_fail(o, HAKC_EIO);
}

void out_pad(struct hakc_out *o, unsigned columns) {
    while (columns--)
        out_put(o, " ");
}

void out_bold(struct hakc_out *o, int on) {
    if (o->bold)
        out_put(o, on ? "\033[1m" : "\033[0m");
}

char *out_copy(struct hakc_out *o, const char *text) {
    char *copy = o->format == HAKC_OUT_TABLE ? text_for_terminal(text) : strdup(text);
    if (!copy)
        out_fail(o, HAKC_ENOMEM);
    return copy;
}

int out_grow(struct hakc_out *o, void *array, size_t *cap, size_t used, size_t size) {
    if (used < *cap)
        return 1;
    size_t want = *cap ? 2 * *cap : 16;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = reallocarray(old, want, size);
    if (!grown) {
        out_fail(o, HAKC_ENOMEM);
        return 0;
    }
    memcpy(array, &grown, sizeof grown);
    *cap = want;
    return 1;
}

void cell_free(struct cell *c) {
    if (c->kind == CELL_STR)
        free(c->v.s);
    c->kind = CELL_NULL;
}

void out_json_next(struct hakc_out *o, unsigned depth) {
    if (!o->started) { /* so late that a tool which fails before prints nothing */
        char head[64];
        snprintf(head, sizeof head, "{\n  \"schema_version\": %d", o->schema_version);
        out_put(o, head);
        o->started = o->members = 1;
    }
    out_put(o, o->members++ ? ",\n" : "\n");
    out_pad(o, 2 * depth);
}

void out_block(struct hakc_out *o) {
    if (o->blocks++)
        out_put(o, "\n");
}

/* ---- keys --------------------------------------------------------------------------------- */

static void put_key_value(struct hakc_out *o, const struct pending_key *k) {
    const struct cell *c = &k->value;
    char buf[HAKC_UNIT_LEN + 350];
    if (c->kind == CELL_STR)
        out_put(o, c->v.s);
    else if (c->kind == CELL_NULL)
        out_put(o, "\xe2\x80\x93"); /* – */
    else if (c->kind == CELL_BOOL)
        out_put(o, c->v.i ? "yes" : "no");
    else if (k->type == HAKC_COL_BYTES)
        out_put(o, hakc_format_bytes(buf, c->v.u));
    else if (k->type == HAKC_COL_DURATION)
        out_put(o, hakc_format_duration(buf, c->v.u));
    else if (c->kind == CELL_FLOAT) {
        snprintf(buf, sizeof buf, "%.*f", k->digits, c->v.d);
        out_put(o, buf);
    } else
        out_json_cell(o, c);
}

static void drop_keys(struct hakc_out *o) {
    for (size_t i = 0; i < o->n_keys; i++) {
        free(o->keys[i].key);
        free(o->keys[i].label);
        cell_free(&o->keys[i].value);
    }
    o->n_keys = 0;
}

/* Writes the waiting keys as one block with their values in a column. */
static void flush_table_keys(struct hakc_out *o) {
    unsigned widest = 0;
    size_t shown = 0;
    for (size_t i = 0; i < o->n_keys; i++) {
        unsigned w = hakc_text_width(o->keys[i].label);
        shown += w > 0;
        widest = w > widest ? w : widest;
    }
    if (shown && !o->section)
        out_block(o);
    for (size_t i = 0; i < o->n_keys; i++) {
        const struct pending_key *k = &o->keys[i];
        if (!k->label[0])
            continue;
        out_pad(o, o->section ? 2 : 0);
        out_put(o, k->label);
        out_pad(o, widest + 2 - hakc_text_width(k->label));
        put_key_value(o, k);
        out_put(o, "\n");
    }
    drop_keys(o);
}

static void put_key(struct hakc_out *o, const char *key, const char *label, struct cell value,
                    enum hakc_col_type type, int digits) {
    if (o->list_key)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    if (o->format == HAKC_OUT_JSON) {
        out_json_next(o, o->section ? 2 : 1);
        out_json_string(o, key);
        out_put(o, ": ");
        out_json_cell(o, &value);
        return;
    }
    if (!out_grow(o, &o->keys, &o->cap_keys, o->n_keys, sizeof *o->keys))
        return;
    struct pending_key *k = &o->keys[o->n_keys];
    *k = (struct pending_key){.type = type, .digits = digits, .value = value};
    if (value.kind == CELL_STR) {
        k->value.kind = CELL_NULL;
        if ((k->value.v.s = out_copy(o, value.v.s)))
            k->value.kind = CELL_STR;
    }
    if (o->section && o->format == HAKC_OUT_CSV) {
        if (asprintf(&k->key, "%s.%s", o->section, key) < 0) {
            k->key = NULL;
            out_fail(o, HAKC_ENOMEM);
        }
    } else {
        k->key = out_copy(o, key);
    }
    k->label = out_copy(o, label ? label : key);
    o->n_keys++;
    if (o->code != HAKC_OK) /* never keep half a key */
        drop_keys(o);
}

void hakc_out_str(struct hakc_out *o, const char *key, const char *label, const char *v) {
    struct cell c = {CELL_NULL, {0}};
    if (v) {
        c.kind = CELL_STR;
        c.v.s = (char *)(uintptr_t)v; /* only read: put_key copies it */
    }
    put_key(o, key, label, c, HAKC_COL_STR, 0);
}

void hakc_out_int(struct hakc_out *o, const char *key, const char *label, int64_t v) {
    put_key(o, key, label, (struct cell){CELL_INT, {.i = v}}, HAKC_COL_INT, 0);
}

void hakc_out_uint(struct hakc_out *o, const char *key, const char *label, uint64_t v) {
    put_key(o, key, label, (struct cell){CELL_UINT, {.u = v}}, HAKC_COL_INT, 0);
}

void hakc_out_float(struct hakc_out *o, const char *key, const char *label, double v, int digits) {
    struct cell c = {isfinite(v) ? CELL_FLOAT : CELL_NULL, {.d = v}};
    put_key(o, key, label, c, HAKC_COL_FLOAT, digits);
}

void hakc_out_bytes(struct hakc_out *o, const char *key, const char *label, uint64_t v) {
    put_key(o, key, label, (struct cell){CELL_UINT, {.u = v}}, HAKC_COL_BYTES, 0);
}

void hakc_out_duration(struct hakc_out *o, const char *key, const char *label, uint64_t ns) {
    put_key(o, key, label, (struct cell){CELL_UINT, {.u = ns}}, HAKC_COL_DURATION, 0);
}

void hakc_out_bool(struct hakc_out *o, const char *key, const char *label, int v) {
    put_key(o, key, label, (struct cell){CELL_BOOL, {.i = v != 0}}, HAKC_COL_INT, 0);
}

void hakc_out_null(struct hakc_out *o, const char *key, const char *label) {
    put_key(o, key, label, (struct cell){CELL_NULL, {0}}, HAKC_COL_STR, 0);
}

/* ---- sections, notes ---------------------------------------------------------------------- */

void out_flush_keys(struct hakc_out *o) {
    if (o->format == HAKC_OUT_TABLE)
        flush_table_keys(o);
}

void hakc_out_section(struct hakc_out *o, const char *key, const char *title) {
    if (o->section || o->list_key)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    out_flush_keys(o);
    if (o->format == HAKC_OUT_JSON) {
        out_json_next(o, 1);
        out_json_string(o, key);
        out_put(o, ": {");
        o->outer_members = o->members;
        o->members = 0;
    } else if (o->format == HAKC_OUT_TABLE) {
        out_block(o);
        out_bold(o, 1);
        out_put(o, title ? title : key);
        out_bold(o, 0);
        out_put(o, "\n");
    }
    o->section = strdup(key);
    if (!o->section)
        out_fail(o, HAKC_ENOMEM);
}

void hakc_out_section_end(struct hakc_out *o) {
    if (!o->section || o->list_key)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    out_flush_keys(o);
    if (o->format == HAKC_OUT_JSON) {
        out_put(o, o->members ? "\n  }" : "}");
        o->members = o->outer_members;
    }
    free(o->section);
    o->section = NULL;
}

void hakc_out_note(struct hakc_out *o, const char *fmt, ...) {
    char *text;
    va_list ap;
    if (o->code != HAKC_OK || !out_grow(o, &o->notes, &o->cap_notes, o->n_notes, sizeof *o->notes))
        return;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        out_fail(o, HAKC_ENOMEM);
        return;
    }
    char *shown = out_copy(o, text);
    free(text);
    if (shown)
        o->notes[o->n_notes++] = shown;
}

/* ---- the document ------------------------------------------------------------------------- */

int hakc_out_open(struct hakc_out **out, FILE *f, enum hakc_out_format format, int schema_version,
                  struct hakc_err *err) {
    struct hakc_out *o = calloc(1, sizeof *o);
    *out = o;
    if (!o)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory");
    o->f = f;
    o->format = format;
    o->width = DEFAULT_WIDTH;
    if (format == HAKC_OUT_TABLE) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        o->bold = !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0 &&
                  fileno(f) >= 0 && isatty(fileno(f));
    }
    o->schema_version = schema_version;
    return HAKC_OK;
}

void hakc_out_set_width(struct hakc_out *o, unsigned columns) {
    o->width = columns;
}

void hakc_out_fit_width(struct hakc_out *o) {
    struct winsize w;
    if (ioctl(fileno(o->f), TIOCGWINSZ, &w) != 0)
        o->width = 0;
    else if (w.ws_col != 0) /* 0: it does not know */
        o->width = w.ws_col > NARROWEST ? w.ws_col : NARROWEST;
}

static void end_table(struct hakc_out *o) {
    flush_table_keys(o);
    if (o->n_notes)
        out_block(o);
    for (size_t i = 0; i < o->n_notes; i++) {
        out_put(o, o->notes[i]);
        out_put(o, "\n");
    }
}

static void end_json(struct hakc_out *o) {
    out_json_next(o, 1);
    out_put(o, "\"notes\": [");
    for (size_t i = 0; i < o->n_notes; i++) {
        out_put(o, i ? ", " : "");
        out_json_string(o, o->notes[i]);
    }
    out_put(o, "]\n}\n");
}

static void end_csv(struct hakc_out *o) {
    if (o->lists)
        return;
    out_put(o, "key,value\n");
    for (size_t i = 0; i < o->n_keys; i++) {
        out_csv_string(o, o->keys[i].key);
        out_put(o, ",");
        out_csv_cell(o, &o->keys[i].value);
        out_put(o, "\n");
    }
    for (size_t i = 0; i < o->n_notes; i++) {
        out_put(o, "note,");
        out_csv_string(o, o->notes[i]);
        out_put(o, "\n");
    }
}

void hakc_out_abandon(struct hakc_out *o) {
    if (!o)
        return;
    out_fail(o, HAKC_EINTERNAL); /* from here on nothing is written */
    hakc_out_close(o, NULL);
}

int hakc_out_close(struct hakc_out *o, struct hakc_err *err) {
    if (!o)
        return HAKC_OK;
    if (o->list_key || o->section)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code == HAKC_OK) {
        if (o->format == HAKC_OUT_TABLE)
            end_table(o);
        else if (o->format == HAKC_OUT_JSON)
            end_json(o);
        else
            end_csv(o);
    }
    if (fflush(o->f) == EOF || ferror(o->f))
        out_fail(o, HAKC_EIO);
    int code = o->code;
    errno = o->sys_errno;
    if (code == HAKC_EIO)
        hakc_fail_errno(err, code, "cannot write the output");
    else if (code)
        hakc_fail(err, code, "cannot write the output: %s",
                  code == HAKC_ENOMEM ? "out of memory" : "calls out of order");
    drop_keys(o);
    out_list_free(o);
    for (size_t i = 0; i < o->n_notes; i++)
        free(o->notes[i]);
    free(o->notes);
    free(o->keys);
    free(o->section);
    free(o);
    return code;
}
