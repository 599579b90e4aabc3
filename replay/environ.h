/*
 * The environment that an allocator runs in: this process's, without what configures other
 * allocators, plus what its variant asks for.
 */
#ifndef REPLAY_ENVIRON_H
#define REPLAY_ENVIRON_H

/* Whether a variable of the environment ("KEY=VALUE") configures an allocator: such ones are not
 * passed on, so that a run is what its name says. */
int hakr_is_allocator_knob(const char *entry);

/* With `library` preloaded (NULL: none), all its symbols bound at the start, and the entries of
 * `env` (ended by NULL; may be NULL) on top. The array is the caller's to free, *preload too; the
 * other strings are not. NULL: no memory. */
char **hakr_environment(const char *library, const char *const *env, char **preload);

#endif
