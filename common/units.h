/*
 * Units: reading sizes, durations and counts from a command line, and writing them for people.
 *
 * Reading is exact (integer arithmetic) and strict: trailing text, a value that is not a whole
 * number of the smallest unit, a sign and an overflow are errors. A fraction is fine where the
 * result is whole: "1.5KiB" is 1536. Writing is rounded: for files and JSON print raw numbers.
 *
 * All functions may be called by any thread; none allocates.
 */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

/* A buffer of this size holds any text that a format function below writes. */
#define HAKC_UNIT_LEN 32

/* Bytes: "4096", "4096B", KiB MiB GiB TiB = powers of 1024, kB MB GB TB = powers of 1000, bare
 * k K M G T = powers of 1024. HAKC_EUSAGE with a sentence that quotes the text. */
int hakc_parse_bytes(const char *text, uint64_t *bytes, struct hakc_err *err);

/* Durations in ns: "10ms", units ns us ms s m h. A bare number is an error, except "0". */
int hakc_parse_duration(const char *text, uint64_t *ns, struct hakc_err *err);

/* Counts: "1000", "10k", "1M", "2G": powers of 1000. */
int hakc_parse_count(const char *text, uint64_t *count, struct hakc_err *err);

/* "0 B", "512 B", "1.50 MiB". Return buf. */
char *hakc_format_bytes(char buf[HAKC_UNIT_LEN], uint64_t bytes);
/* "12 ns", "1.50 ms", "2 m 05 s", "3 h 07 m". */
char *hakc_format_duration(char buf[HAKC_UNIT_LEN], uint64_t ns);
/* "999", "1.50 M": powers of 1000. */
char *hakc_format_count(char buf[HAKC_UNIT_LEN], uint64_t count);
/* Things per second: "122 Mops/s" for unit "ops". ns = 0 gives "-": no rate can be told. */
char *hakc_format_rate(char buf[HAKC_UNIT_LEN], uint64_t count, uint64_t ns, const char *unit);

#endif
