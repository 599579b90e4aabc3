/*
 * Errors: one list of codes for every library and tool of the house.
 *
 * A function returns int: 0, or a negative code from enum hakc_code. Where a user will see the
 * reason, it also fills a struct hakc_err (which may be NULL): what happened, in which file, at
 * which byte. Filling one allocates nothing. Not shared between threads.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdint.h>

enum hakc_code {
    HAKC_OK = 0,
    HAKC_EIO = -1, /* a system call failed: disk full, permission, ... */
    HAKC_ENOMEM = -2,
    HAKC_EUSAGE = -3,       /* wrong option or argument */
    HAKC_ENOENT = -4,       /* the file, library, run, ... is not there */
    HAKC_ECORRUPT = -5,     /* input contradicts its format or its checksum */
    HAKC_ETRUNCATED = -6,   /* input ends early */
    HAKC_EUNSUPPORTED = -7, /* a version or feature this build does not know */
    HAKC_EBUSY = -8,        /* locked by another process */
    HAKC_ECHILD = -9,       /* a child process died or reported a failure */
    HAKC_EREFUSED = -10,    /* a fidelity flag of the trace forbids the conclusion asked for */
    HAKC_EINTERNAL = -11,   /* a broken invariant of ours */
};

struct hakc_err {
    int code;        /* enum hakc_code */
    int sys_errno;   /* errno of the failed call, or 0 */
    uint64_t offset; /* byte offset in `file`; meaningful if has_offset */
    int has_offset;
    char file[256]; /* the file, or "" */
    char msg[512];  /* one sentence for the user, without file and offset */
};

/* Fills *err (NULL is fine) and returns code, so `return hakc_fail(err, HAKC_EIO, "...")` works. */
int hakc_fail(struct hakc_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with errno's text appended and kept in sys_errno. */
int hakc_fail_errno(struct hakc_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a place in a file. */
int hakc_fail_at(struct hakc_err *err, int code, const char *file, uint64_t offset, const char *fmt,
                 ...) __attribute__((format(printf, 5, 6)));

/* Prints "TOOL: FILE: byte N: message" to stderr. */
void hakc_err_print(const char *tool, const struct hakc_err *err);

/* Exit code of a tool for a code: 0 fine, 2 usage, 4 corrupt or truncated input, else 1.
 * (3, "a regression was found", is a tool's own decision.) */
int hakc_exit_code(int code);

#endif
