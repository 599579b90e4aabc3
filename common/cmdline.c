#include "common/cmdline.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A word that starts with '=' is a look-up to zsh. */
static int is_plain(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:,+@%=";
    return *word != '\0' && *word != '=' && word[strspn(word, plain)] == '\0';
}

/* Puts the word in quotes: within them only the quote itself ends them, so it stands outside. */
static char *put_quoted(char *at, const char *word) {
    *at++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            at = stpcpy(at, "'\\'");
        *at++ = *word;
    }
    *at++ = '\'';
    return at;
}

char *hakc_cmdline(int argc, char *const *argv) {
    size_t len = 1;
    for (int i = 0; i < argc; i++)
        len += 4 * strlen(argv[i]) + 3; /* each byte a quote, the quotes, the space */
    char *text = malloc(len), *at = text;
    if (text == NULL)
        return NULL;
    for (int i = 0; i < argc; i++) {
        if (i > 0)
            *at++ = ' ';
        at = is_plain(argv[i]) ? stpcpy(at, argv[i]) : put_quoted(at, argv[i]);
    }
    *at = '\0';
    return text;
}

static void look_at_stdout(int status, void *tool) {
    int failed = fflush(stdout) != 0, why = errno;
    if (status != 0 || (!failed && !ferror(stdout)))
        return;
    fprintf(stderr, "%s: cannot write the output%s%s\n", (const char *)tool, failed ? ": " : "",
            failed ? strerror(why) : "");
    _exit(1);
}

void hakc_guard_stdout(const char *tool) {
    on_exit(look_at_stdout, (void *)(uintptr_t)tool);
}
