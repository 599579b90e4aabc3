/*
 * The memory system calls, told apart by what decides their effect: madvise by advice, mmap by
 * kind of mapping, mprotect by protection, brk by direction. One class is one row of the accounts.
 *
 * Pure; any thread; safe in a signal handler.
 */
#ifndef REPLAY_SYSCLASS_H
#define REPLAY_SYSCLASS_H

#include <stdint.h>

enum hakr_sysclass {
    HAKR_SYS_MMAP_RW, /* anonymous, private, readable and writable */
    HAKR_SYS_MMAP_NONE,
    HAKR_SYS_MMAP_FIXED_RW, /* MAP_FIXED over what was there: gives its pages back */
    HAKR_SYS_MMAP_FIXED_NONE,
    HAKR_SYS_MMAP_HUGETLB,
    HAKR_SYS_MMAP_FILE,
    HAKR_SYS_MMAP_OTHER,
    HAKR_SYS_MUNMAP,
    HAKR_SYS_MREMAP,
    HAKR_SYS_MADV_NORMAL,
    HAKR_SYS_MADV_WILLNEED,
    HAKR_SYS_MADV_DONTNEED,
    HAKR_SYS_MADV_FREE,
    HAKR_SYS_MADV_REMOVE,
    HAKR_SYS_MADV_HUGEPAGE,
    HAKR_SYS_MADV_NOHUGEPAGE,
    HAKR_SYS_MADV_DONTDUMP,
    HAKR_SYS_MADV_DODUMP,
    HAKR_SYS_MADV_DONTFORK,
    HAKR_SYS_MADV_COLD,
    HAKR_SYS_MADV_PAGEOUT,
    HAKR_SYS_MADV_POPULATE_READ,
    HAKR_SYS_MADV_POPULATE_WRITE,
    HAKR_SYS_MADV_COLLAPSE,
    HAKR_SYS_MADV_OTHER,
    HAKR_SYS_MPROTECT_NONE,
    HAKR_SYS_MPROTECT_READ,
    HAKR_SYS_MPROTECT_RW,
    HAKR_SYS_MPROTECT_OTHER,
    HAKR_SYS_BRK_QUERY,
    HAKR_SYS_BRK_GROW,
    HAKR_SYS_BRK_SHRINK,
    HAKR_SYS_PROCESS_MADVISE,
    HAKR_SYS_MLOCK,
    HAKR_SYS_MUNLOCK,
    HAKR_SYS_MBIND,
    HAKR_SYS_COUNT
};

/* What was booked of a class. */
struct hakr_sys_total {
    uint64_t calls, errors, bytes, kernel_ns;
};

/* The class of call `nr` with arguments a (brk_now: the program break before it, for brk), and the
 * bytes it is about. */
enum hakr_sysclass hakr_sys_classify(long nr, const uint64_t a[6], uint64_t brk_now,
                                     uint64_t *bytes);

/* Whether a call of this class can lower resident memory. */
int hakr_sys_releases(enum hakr_sysclass c);

/* The calls that are counted, ended by -1: what the filter traps. */
extern const int hakr_sys_numbers[];

const char *hakr_sys_call(unsigned c);   /* "madvise" */
const char *hakr_sys_detail(unsigned c); /* "MADV_DONTNEED", or "" */

/* "MADV_DONTNEED", "mmap": several classes may have one. */
const char *hakr_sys_short_name(unsigned c);

/* Both in one: "MADV_DONTNEED", "mmap ANON RW". */
#define HAKR_SYS_NAME_LEN 64
const char *hakr_sys_name(char buf[HAKR_SYS_NAME_LEN], unsigned c);

#endif
