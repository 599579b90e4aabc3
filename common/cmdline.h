/*
 * What the tools' command lines share: a command line as one text that a shell takes again, and
 * output that is not lost unnoticed.
 */
#ifndef COMMON_CMDLINE_H
#define COMMON_CMDLINE_H

/* The words joined by spaces; a word that a shell would not take as it is stands in single quotes.
 * The caller's (free()); NULL: no memory. */
char *hakc_cmdline(int argc, char *const *argv);

/* From now on a program that exits with code 0 and could not write all of its stdout says so and
 * exits with 1 instead: also where a library ends it, as argp does after --help. Call once, with a
 * constant. */
void hakc_guard_stdout(const char *tool);

#endif
