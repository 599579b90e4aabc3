/*
 * The commands of haktrace. Each parses its own arguments (argv[0] is the name for messages,
 * "haktrace info"), prints data on stdout and all else on stderr, and returns the exit code of the
 * process. A usage error may exit at once, with code 2.
 */
#ifndef TRACER_COMMANDS_H
#define TRACER_COMMANDS_H

#include <argp.h>
#include <stdint.h>
#include "common/err.h"
#include "tracer/cmd_record.h"

int hakt_cmd_info(int argc, char **argv);
int hakt_cmd_dump(int argc, char **argv);
int hakt_cmd_verify(int argc, char **argv);
int hakt_cmd_import(int argc, char **argv);
int hakt_cmd_cut(int argc, char **argv);
int hakt_cmd_gen(int argc, char **argv);
int hakt_cmd_start(int argc, char **argv);
int hakt_cmd_stop(int argc, char **argv);
int hakt_cmd_status(int argc, char **argv);
int hakt_cmd_rotate(int argc, char **argv);
int hakt_cmd_snapshot(int argc, char **argv);

/* Prints the error and returns its exit code. */
int hakt_cmd_fail(const struct hakc_err *err);

/* Flushes stdout. 0, or the exit code after a message: a full disk must not pass for success. */
int hakt_cmd_end_output(void);

/* A whole number for an option or argument; a usage error (which exits) if it is none or lies
 * outside min..max. */
uint64_t hakt_cmd_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                         uint64_t max);

/* A time or duration in ns: "1500", "1.5us", "3s". A usage error if it is none. */
uint64_t hakt_cmd_time(struct argp_state *state, const char *name, const char *text);

#endif
