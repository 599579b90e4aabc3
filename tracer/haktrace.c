/* haktrace: chooses the command. Whatever is not the name of one is a recording. */
#include <stdio.h>
#include <string.h>
#include "tracer/commands.h"

const char *argp_program_version = "haktrace " HAK_VERSION;

struct command {
    const char *name;
    const char *title; /* its argv[0] */
    int (*run)(int argc, char **argv);
    const char *what;
};

static const struct command commands[] = {
    {"start", "haktrace start", hakt_cmd_start, "record a program that runs with the library"},
    {"stop", "haktrace stop", hakt_cmd_stop, "end the recording of a program that runs"},
    {"status", "haktrace status", hakt_cmd_status, "how far the recording of a program is"},
    {"rotate", "haktrace rotate", hakt_cmd_rotate, "go on in a new file"},
    {"snapshot", "haktrace snapshot", hakt_cmd_snapshot, "write a flight recorder's window"},
    {"info", "haktrace info", hakt_cmd_info, "what a trace holds, in figures"},
    {"dump", "haktrace dump", hakt_cmd_dump, "its records, one a line"},
    {"verify", "haktrace verify", hakt_cmd_verify, "check every byte and every record of a trace"},
    {"cut", "haktrace cut", hakt_cmd_cut, "a part of it as a trace of its own"},
    {"import", "haktrace import", hakt_cmd_import, "make a trace of another tool's recording"},
    {"gen", "haktrace gen", hakt_cmd_gen, "make a trace of a benchmark's operations"},
};
#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int print_help(FILE *f) {
    fputs("Usage: haktrace -o FILE [OPTION...] [--] PROGRAM [ARG...]\n"
          "  or:  haktrace COMMAND [OPTION...] [ARG...]\n"
          "Record the allocations of a program, and work with such traces.\n\n"
          "  record      record a program; the word may be left out\n",
          f);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-10s  %s\n", commands[i].name, commands[i].what);
    fputs(
        "\n`haktrace COMMAND --help` explains each. A program that has the name of a command is\n"
        "recorded with --: haktrace -o t.zst -- info\n\n"
        "Exit codes: 0 fine, 1 failed, 2 usage, 4 corrupt or truncated input; a recording passes\n"
        "on the program's own code.\n",
        f);
    return f == stdout ? hakt_cmd_end_output() : 2;
}

int main(int argc, char **argv) {
    static char record_title[] = "haktrace record";
    argp_err_exit_status = 2;
    if (argc < 2)
        return print_help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_help(stdout);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        argv[1] = (char *)(uintptr_t)commands[i].title;
        return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "record") == 0) {
        argv[1] = record_title;
        return hakt_cmd_record(argc - 1, argv + 1);
    }
    if (argv[1][0] != '-') {
        fprintf(stderr,
                "haktrace: '%s' is no command of haktrace (see haktrace --help); to record a "
                "program, name the file first: haktrace -o FILE %s\n",
                argv[1], argv[1]);
        return 2;
    }
    return hakt_cmd_record(argc, argv);
}
