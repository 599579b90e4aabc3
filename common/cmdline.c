#include "common/cmdline.h"

#include <stdlib.h>
#include <string.h>

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
