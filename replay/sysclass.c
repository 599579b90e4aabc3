#include "replay/sysclass.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

const int hakr_sys_numbers[] = {
    SYS_mmap,     SYS_munmap,          SYS_mremap, SYS_madvise, SYS_mprotect,
    SYS_brk,      SYS_process_madvise, SYS_mlock,  SYS_mlock2,  SYS_munlock,
    SYS_mlockall, SYS_munlockall,      SYS_mbind,  -1,
};

static const struct {
    const char *call, *detail;
} names[HAKR_SYS_COUNT] = {
    [HAKR_SYS_MMAP_RW] = {"mmap", "ANON RW"},
    [HAKR_SYS_MMAP_NONE] = {"mmap", "ANON PROT_NONE"},
    [HAKR_SYS_MMAP_FIXED_RW] = {"mmap", "FIXED ANON RW"},
    [HAKR_SYS_MMAP_FIXED_NONE] = {"mmap", "FIXED ANON PROT_NONE"},
    [HAKR_SYS_MMAP_HUGETLB] = {"mmap", "HUGETLB"},
    [HAKR_SYS_MMAP_FILE] = {"mmap", "FILE"},
    [HAKR_SYS_MMAP_OTHER] = {"mmap", "OTHER"},
    [HAKR_SYS_MUNMAP] = {"munmap", ""},
    [HAKR_SYS_MREMAP] = {"mremap", ""},
    [HAKR_SYS_MADV_NORMAL] = {"madvise", "MADV_NORMAL"},
    [HAKR_SYS_MADV_WILLNEED] = {"madvise", "MADV_WILLNEED"},
    [HAKR_SYS_MADV_DONTNEED] = {"madvise", "MADV_DONTNEED"},
    [HAKR_SYS_MADV_FREE] = {"madvise", "MADV_FREE"},
    [HAKR_SYS_MADV_REMOVE] = {"madvise", "MADV_REMOVE"},
    [HAKR_SYS_MADV_HUGEPAGE] = {"madvise", "MADV_HUGEPAGE"},
    [HAKR_SYS_MADV_NOHUGEPAGE] = {"madvise", "MADV_NOHUGEPAGE"},
    [HAKR_SYS_MADV_DONTDUMP] = {"madvise", "MADV_DONTDUMP"},
    [HAKR_SYS_MADV_DODUMP] = {"madvise", "MADV_DODUMP"},
    [HAKR_SYS_MADV_DONTFORK] = {"madvise", "MADV_DONTFORK"},
    [HAKR_SYS_MADV_COLD] = {"madvise", "MADV_COLD"},
    [HAKR_SYS_MADV_PAGEOUT] = {"madvise", "MADV_PAGEOUT"},
    [HAKR_SYS_MADV_POPULATE_READ] = {"madvise", "MADV_POPULATE_READ"},
    [HAKR_SYS_MADV_POPULATE_WRITE] = {"madvise", "MADV_POPULATE_WRITE"},
    [HAKR_SYS_MADV_COLLAPSE] = {"madvise", "MADV_COLLAPSE"},
    [HAKR_SYS_MADV_OTHER] = {"madvise", "OTHER"},
    [HAKR_SYS_MPROTECT_NONE] = {"mprotect", "PROT_NONE"},
    [HAKR_SYS_MPROTECT_READ] = {"mprotect", "PROT_READ"},
    [HAKR_SYS_MPROTECT_RW] = {"mprotect", "PROT_READ|PROT_WRITE"},
    [HAKR_SYS_MPROTECT_OTHER] = {"mprotect", "OTHER"},
    [HAKR_SYS_BRK_QUERY] = {"brk", "query"},
    [HAKR_SYS_BRK_GROW] = {"brk", "grow"},
    [HAKR_SYS_BRK_SHRINK] = {"brk", "shrink"},
    [HAKR_SYS_PROCESS_MADVISE] = {"process_madvise", ""},
    [HAKR_SYS_MLOCK] = {"mlock", ""},
    [HAKR_SYS_MUNLOCK] = {"munlock", ""},
    [HAKR_SYS_MBIND] = {"mbind", ""},
};

static enum hakr_sysclass mmap_class(uint64_t prot, uint64_t flags) {
    int rw = (prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE);
    if (!(flags & MAP_ANONYMOUS))
        return HAKR_SYS_MMAP_FILE;
    if (flags & MAP_HUGETLB)
        return HAKR_SYS_MMAP_HUGETLB;
    if (flags & MAP_FIXED)
        return rw                  ? HAKR_SYS_MMAP_FIXED_RW
               : prot == PROT_NONE ? HAKR_SYS_MMAP_FIXED_NONE
                                   : HAKR_SYS_MMAP_OTHER;
    return rw ? HAKR_SYS_MMAP_RW : prot == PROT_NONE ? HAKR_SYS_MMAP_NONE : HAKR_SYS_MMAP_OTHER;
}

static enum hakr_sysclass madvise_class(uint64_t advice) {
    switch (advice) {
    case MADV_NORMAL:
        return HAKR_SYS_MADV_NORMAL;
    case MADV_WILLNEED:
        return HAKR_SYS_MADV_WILLNEED;
    case MADV_DONTNEED:
        return HAKR_SYS_MADV_DONTNEED;
    case MADV_FREE:
        return HAKR_SYS_MADV_FREE;
    case MADV_REMOVE:
        return HAKR_SYS_MADV_REMOVE;
    case MADV_HUGEPAGE:
        return HAKR_SYS_MADV_HUGEPAGE;
    case MADV_NOHUGEPAGE:
        return HAKR_SYS_MADV_NOHUGEPAGE;
    case MADV_DONTDUMP:
        return HAKR_SYS_MADV_DONTDUMP;
    case MADV_DODUMP:
        return HAKR_SYS_MADV_DODUMP;
    case MADV_DONTFORK:
        return HAKR_SYS_MADV_DONTFORK;
    case MADV_COLD:
        return HAKR_SYS_MADV_COLD;
    case MADV_PAGEOUT:
        return HAKR_SYS_MADV_PAGEOUT;
    case MADV_POPULATE_READ:
        return HAKR_SYS_MADV_POPULATE_READ;
    case MADV_POPULATE_WRITE:
        return HAKR_SYS_MADV_POPULATE_WRITE;
    case MADV_COLLAPSE:
        return HAKR_SYS_MADV_COLLAPSE;
    default:
        return HAKR_SYS_MADV_OTHER;
    }
}

static enum hakr_sysclass mprotect_class(uint64_t prot) {
    return prot == PROT_NONE                  ? HAKR_SYS_MPROTECT_NONE
           : prot == PROT_READ                ? HAKR_SYS_MPROTECT_READ
           : prot == (PROT_READ | PROT_WRITE) ? HAKR_SYS_MPROTECT_RW
                                              : HAKR_SYS_MPROTECT_OTHER;
}

enum hakr_sysclass hakr_sys_classify(long nr, const uint64_t a[6], uint64_t brk_now,
                                     uint64_t *bytes) {
    *bytes = a[1];
    switch (nr) {
    case SYS_mmap:
        return mmap_class(a[2], a[3]);
    case SYS_munmap:
        return HAKR_SYS_MUNMAP;
    case SYS_mremap:
        *bytes = a[2];
        return HAKR_SYS_MREMAP;
    case SYS_madvise:
        return madvise_class(a[2]);
    case SYS_mprotect:
        return mprotect_class(a[2]);
    case SYS_brk:
        *bytes = 0;
        if (a[0] == 0 || a[0] == brk_now)
            return HAKR_SYS_BRK_QUERY;
        *bytes = a[0] > brk_now ? a[0] - brk_now : brk_now - a[0];
        return a[0] > brk_now ? HAKR_SYS_BRK_GROW : HAKR_SYS_BRK_SHRINK;
    case SYS_process_madvise:
        *bytes = 0; /* behind a vector: not known here */
        return HAKR_SYS_PROCESS_MADVISE;
    case SYS_mbind:
        return HAKR_SYS_MBIND;
    case SYS_mlockall:
        *bytes = 0;
        return HAKR_SYS_MLOCK;
    case SYS_munlockall:
        *bytes = 0;
        return HAKR_SYS_MUNLOCK;
    case SYS_munlock:
        return HAKR_SYS_MUNLOCK;
    default:
        return HAKR_SYS_MLOCK;
    }
}

int hakr_sys_releases(enum hakr_sysclass c) {
    switch (c) {
    case HAKR_SYS_MMAP_FIXED_RW:
    case HAKR_SYS_MMAP_FIXED_NONE:
    case HAKR_SYS_MMAP_OTHER:
    case HAKR_SYS_MUNMAP:
    case HAKR_SYS_MREMAP:
    case HAKR_SYS_MADV_DONTNEED:
    case HAKR_SYS_MADV_FREE:
    case HAKR_SYS_MADV_REMOVE:
    case HAKR_SYS_MADV_PAGEOUT:
    case HAKR_SYS_BRK_SHRINK:
    case HAKR_SYS_PROCESS_MADVISE:
        return 1;
    default:
        return 0;
    }
}

const char *hakr_sys_call(unsigned c) {
    return c < HAKR_SYS_COUNT ? names[c].call : "?";
}

const char *hakr_sys_detail(unsigned c) {
    return c < HAKR_SYS_COUNT ? names[c].detail : "?";
}

const char *hakr_sys_short_name(unsigned c) {
    const char *detail = hakr_sys_detail(c);
    return strncmp(detail, "MADV_", 5) == 0 ? detail : hakr_sys_call(c);
}

const char *hakr_sys_name(char buf[HAKR_SYS_NAME_LEN], unsigned c) {
    const char *name = hakr_sys_short_name(c), *detail = hakr_sys_detail(c);
    int rest = detail[0] != '\0' && name != detail;
    snprintf(buf, HAKR_SYS_NAME_LEN, "%s%s%s", name, rest ? " " : "", rest ? detail : "");
    return buf;
}
