/* haksim: chooses the command. Whatever is not the name of one is a simulation. */
#include <argp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cmdline.h"
#include "sim/sim_commands.h"

const char *argp_program_version = "haksim " HAK_VERSION;

volatile int haks_stop;

static const struct {
    const char *name;
    const char *title; /* its argv[0] */
    int (*run)(int argc, char **argv);
} commands[] = {
    {"calibrate", "haksim calibrate", haks_cmd_calibrate},
    {"optimise", "haksim optimise", haks_cmd_optimise},
    {NULL, NULL, NULL},
};

static void on_signal(int sig) {
    (void)sig;
    haks_stop = 1;
}

void haks_catch_signals(void) {
    /* (Restarting: what is shown meanwhile is written on.) */
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    struct sigaction hup;
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN) /* nohup's stays ignored */
        sigaction(SIGHUP, &sa, NULL);
}

const char *haks_default_db(void) {
    const char *db = getenv("HAKDB");
    return db != NULL && db[0] != '\0' ? db : "results.db";
}

int main(int argc, char **argv) {
    hakc_guard_stdout("haksim");
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of writing, which is said */
    argp_err_exit_status = 2;
    for (size_t i = 0; argc > 1 && commands[i].name != NULL; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            argv[1] = (char *)(uintptr_t)commands[i].title;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return haks_cmd_simulate(argc, argv);
}
