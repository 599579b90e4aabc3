/* The recording command of haktrace. */
#ifndef TRACER_CMD_RECORD_H
#define TRACER_CMD_RECORD_H

/* haktrace -o FILE [OPTION...] [--] PROGRAM [ARG...]. argv[0] is the tool's name. Returns the exit
 * code: the program's own, or haktrace's (see the manual). May exit at a usage error. */
int hakt_cmd_record(int argc, char **argv);

#endif
