/*
 * Output: one emitter, three formats from the same calls.
 *
 *   document  what one call of a tool prints: keys, sections (named groups of keys), lists
 *             (tables of typed columns) and notes.
 *   table     for people: aligned, units in the titles, at most 100 columns wide (texts are cut
 *             with "…" where needed), bold titles on a terminal unless NO_COLOR is set.
 *   JSON      one object with "schema_version", raw numbers in base units, valid UTF-8 whatever
 *             comes in. Keys become members, a section an object, a list an array of objects, notes
 * an array "notes". CSV       RFC 4180: each list with a line of column keys; lists are parted by
 * an empty line. Keys and notes appear only in a document without a list, as lines "key,value".
 *
 * "Not measured" is a value of its own: null, an empty CSV field, "–". Strings are copied. One
 * thread. The first failure (memory, full disk, closed pipe) is kept and returned by close;
 * after it the calls do nothing.
 */
#ifndef COMMON_OUT_H
#define COMMON_OUT_H

#include <stdint.h>
#include <stdio.h>
#include "common/err.h"

struct hakc_out;

enum hakc_out_format { HAKC_OUT_TABLE = 0, HAKC_OUT_JSON = 1, HAKC_OUT_CSV = 2 };

enum hakc_col_type {
    HAKC_COL_STR,      /* left */
    HAKC_COL_INT,      /* right; signed or unsigned 64-bit */
    HAKC_COL_FLOAT,    /* right; `digits` after the point */
    HAKC_COL_BYTES,    /* integer bytes; the table picks one unit for the column */
    HAKC_COL_DURATION, /* ns; likewise */
    HAKC_COL_SHOWN,    /* right; any number, with a text of its own for the table */
    HAKC_COL_ANY,      /* each cell its own type; right if no cell is a text */
};

struct hakc_col {
    const char *key;   /* name in JSON and CSV, with its unit: "peak_resident_bytes" */
    const char *title; /* in the table, without bytes or time unit: "peak resident" */
    enum hakc_col_type type;
    int digits; /* HAKC_COL_FLOAT: digits after the point in the table */
};

/* Starts a document on f (not closed by the emitter). schema_version is that of the tool's JSON.
 * HAKC_ENOMEM. */
int hakc_out_open(struct hakc_out **o, FILE *f, enum hakc_out_format format, int schema_version,
                  struct hakc_err *err);

/* Table width in columns; 100 without this call, 0 = no limit. */
void hakc_out_set_width(struct hakc_out *o, unsigned columns);

/* As wide as the terminal that the table goes to; in a file or pipe nothing is cut. */
void hakc_out_fit_width(struct hakc_out *o);

/* Keys, at the top or inside a section. label is the table's word for it (NULL = the key; "" =
 * not shown in a table). */
void hakc_out_str(struct hakc_out *o, const char *key, const char *label, const char *v);
void hakc_out_int(struct hakc_out *o, const char *key, const char *label, int64_t v);
void hakc_out_uint(struct hakc_out *o, const char *key, const char *label, uint64_t v);
void hakc_out_float(struct hakc_out *o, const char *key, const char *label, double v, int digits);
void hakc_out_bytes(struct hakc_out *o, const char *key, const char *label, uint64_t v);
void hakc_out_duration(struct hakc_out *o, const char *key, const char *label, uint64_t ns);
void hakc_out_bool(struct hakc_out *o, const char *key, const char *label, int v);
void hakc_out_null(struct hakc_out *o, const char *key, const char *label); /* not measured */

/* A group of keys and lists; not nested. title may be NULL (the key). */
void hakc_out_section(struct hakc_out *o, const char *key, const char *title);
void hakc_out_section_end(struct hakc_out *o);

/* A list: then for each row hakc_out_row, and one cell for each column in their order. A cell's
 * call must fit the column's type (int and uint for INT, FLOAT, BYTES and DURATION; float for
 * FLOAT, BYTES and DURATION); null fits all. Missing cells are null. title may be NULL (none). */
void hakc_out_list(struct hakc_out *o, const char *key, const char *title,
                   const struct hakc_col *cols, unsigned n);
void hakc_out_row(struct hakc_out *o);
void hakc_out_cell_str(struct hakc_out *o, const char *v); /* NULL = null */
void hakc_out_cell_int(struct hakc_out *o, int64_t v);
void hakc_out_cell_uint(struct hakc_out *o, uint64_t v);
void hakc_out_cell_float(struct hakc_out *o, double v); /* NaN and infinities = null */
/* For HAKC_COL_SHOWN, where rows have different units: v in JSON and CSV, `shown` in a table. */
void hakc_out_cell_shown(struct hakc_out *o, double v, const char *shown);
void hakc_out_cell_null(struct hakc_out *o);
void hakc_out_list_end(struct hakc_out *o);

/* A sentence below the document, such as a warning about the figures. */
void hakc_out_note(struct hakc_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Ends the document, flushes f, frees o. 0, or the first failure: HAKC_ENOMEM, HAKC_EIO (full
 * disk, closed pipe), HAKC_EINTERNAL (calls out of order). */
int hakc_out_close(struct hakc_out *o, struct hakc_err *err);

/* Instead of close, where the tool has failed: frees o, writes no more. What was held back (all of
 * a document before its first list, in a table the open list too) is not printed. */
void hakc_out_abandon(struct hakc_out *o);

/* Columns that a UTF-8 text takes on a terminal: 2 for East Asian wide characters and emoji, 0
 * for combining marks, 1 for each invalid byte (it is shown as U+FFFD). */
unsigned hakc_text_width(const char *text);

#endif
