/* The commands of haksim. Each parses its arguments and returns the tool's exit code. */
#ifndef SIM_SIM_COMMANDS_H
#define SIM_SIM_COMMANDS_H

int haks_cmd_simulate(int argc, char **argv); /* without the name of a command */
int haks_cmd_calibrate(int argc, char **argv);
int haks_cmd_optimise(int argc, char **argv);

/* Becomes nonzero at SIGINT or SIGTERM once haks_catch_signals was called: the command then ends in
 * good order. A second signal ends it at once. */
extern volatile int haks_stop;
void haks_catch_signals(void);

/* --db's default: $HAKDB, else results.db. */
const char *haks_default_db(void);

#endif
