/*
 * A command line as one text that a shell takes again.
 */
#ifndef COMMON_CMDLINE_H
#define COMMON_CMDLINE_H

/* The words joined by spaces; a word that a shell would not take as it is stands in single quotes.
 * The caller's (free()); NULL: no memory. */
char *hakc_cmdline(int argc, char *const *argv);

#endif
