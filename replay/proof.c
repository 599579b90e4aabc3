#include "replay/proof.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file that an address lies in; 0 or -1. */
static int file_of(const void *addr, struct stat *st, const char **path) {
    Dl_info info;
    if (dladdr(addr, &info) == 0 || info.dli_fname == NULL)
        return -1;
    *path = info.dli_fname;
    return stat(info.dli_fname, st);
}

struct build_id_search {
    uintptr_t addr;
    char *hex;
    size_t len;
};

static void copy_build_id(const char *note, size_t size, char *hex, size_t len) {
    size_t at = 0;
    while (at + sizeof(ElfW(Nhdr)) <= size) {
        const ElfW(Nhdr) *n = (const void *)(note + at);
        size_t name = at + sizeof *n, desc = name + ((n->n_namesz + 3u) & ~3u);
        if (desc + n->n_descsz > size)
            return;
        if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
            memcmp(note + name, "GNU", 4) == 0) {
            for (size_t i = 0; i < n->n_descsz && 2 * i + 2 < len; i++)
                snprintf(hex + 2 * i, 3, "%02x", (unsigned char)note[desc + i]);
            return;
        }
        at = desc + ((n->n_descsz + 3u) & ~3u);
    }
}

static int visit_object(struct dl_phdr_info *o, size_t size, void *arg) {
    (void)size;
    struct build_id_search *s = arg;
    int holds = 0;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        uintptr_t from = o->dlpi_addr + p->p_vaddr;
        holds |= p->p_type == PT_LOAD && s->addr >= from && s->addr < from + p->p_memsz;
    }
    if (!holds)
        return 0;
    for (int i = 0; i < o->dlpi_phnum && s->hex[0] == '\0'; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        if (p->p_type == PT_NOTE)
            copy_build_id((const char *)(o->dlpi_addr + p->p_vaddr), p->p_memsz, s->hex, s->len);
    }
    return 1;
}

/* Copies the build id of the mapped object that holds addr as hex, "" if it has none. */
static void build_id(const void *addr, char *hex, size_t len) {
    struct build_id_search s = {(uintptr_t)addr, hex, len};
    hex[0] = '\0';
    dl_iterate_phdr(visit_object, &s);
}

/* The library's own `name`, or NULL. */
static void *own(const struct hakr_ctl *c, const char *name) {
    struct stat st;
    const char *path;
    void *f = dlsym(RTLD_DEFAULT, name);
    if (f == NULL || file_of(f, &st, &path) != 0 || st.st_dev != c->lib_dev ||
        st.st_ino != c->lib_ino)
        return NULL;
    return f;
}

/* ---- stand-ins for entry points that a library lacks ---------------------------------------- */

static int (*base_posix_memalign)(void **, size_t, size_t);
static void *(*base_aligned)(size_t, size_t); /* aligned_alloc or memalign */

static void *stand_in_memalign(size_t align, size_t size) {
    void *p = NULL;
    if (base_aligned != NULL)
        return base_aligned(align, size);
    if (base_posix_memalign == NULL)
        return NULL; /* the library has nothing to make it from: refused, which is counted */
    if (align < sizeof(void *))
        align = sizeof(void *);
    return base_posix_memalign(&p, align, size) == 0 ? p : NULL;
}

static int stand_in_posix_memalign(void **p, size_t align, size_t size) {
    void *q = stand_in_memalign(align, size);
    if (q == NULL)
        return 12; /* ENOMEM */
    *p = q;
    return 0;
}

static void *stand_in_valloc(size_t size) {
    return stand_in_memalign(4096, size);
}

static void *stand_in_pvalloc(size_t size) {
    return stand_in_memalign(4096, (size + 4095) & ~(size_t)4095);
}

static void *stand_in_reallocarray(void *p, size_t n, size_t size) {
    return realloc(p, n * size);
}

static void *choose(struct hakr_ctl *c, const char *name, void *stand_in) {
    void *f = own(c, name);
    if (f != NULL)
        return f;
    size_t n = strlen(c->substituted);
    snprintf(c->substituted + n, sizeof c->substituted - n, "%s%s", n != 0 ? " " : "", name);
    return stand_in;
}

static void fill_rare(struct hakr_ctl *c, struct hakr_rare *r) {
    *(void **)&base_posix_memalign = own(c, "posix_memalign");
    *(void **)&base_aligned = own(c, "aligned_alloc");
    if (base_aligned == NULL)
        *(void **)&base_aligned = own(c, "memalign");
    *(void **)&r->memalign = choose(c, "memalign", (void *)stand_in_memalign);
    *(void **)&r->aligned_alloc = choose(c, "aligned_alloc", (void *)stand_in_memalign);
    *(void **)&r->posix_memalign = choose(c, "posix_memalign", (void *)stand_in_posix_memalign);
    *(void **)&r->valloc = choose(c, "valloc", (void *)stand_in_valloc);
    *(void **)&r->pvalloc = choose(c, "pvalloc", (void *)stand_in_pvalloc);
    *(void **)&r->reallocarray = choose(c, "reallocarray", (void *)stand_in_reallocarray);
}

int hakr_is_recorded(void) {
    struct stat st;
    const char *path, *slash;
    if (file_of((void *)malloc, &st, &path) != 0)
        return 0;
    slash = strrchr(path, '/');
    return strcmp(slash != NULL ? slash + 1 : path, "libhaktrace.so") == 0;
}

int hakr_prove(struct hakr_ctl *c, struct hakr_rare *rare) {
    static const struct {
        const char *name;
        void *bound; /* what the driver's own calls go to */
    } basic[] = {{"malloc", (void *)malloc},
                 {"calloc", (void *)calloc},
                 {"realloc", (void *)realloc},
                 {"free", (void *)free}};
    struct stat st;
    const char *path = "?";
    if (c->recorded) { /* the recorder stands before the C library */
        if (!hakr_is_recorded() || file_of((void *)malloc, &st, &path) != 0) {
            snprintf(c->message, sizeof c->message, "the recorder is not there");
            return -1;
        }
        c->lib_dev = st.st_dev;
        c->lib_ino = st.st_ino;
    } else if (c->libc) {
        if (file_of((void *)gnu_get_libc_version, &st, &path) != 0) {
            snprintf(c->message, sizeof c->message, "cannot tell where the C library is");
            return -1;
        }
        c->lib_dev = st.st_dev;
        c->lib_ino = st.st_ino;
    }
    for (size_t i = 0; i < sizeof basic / sizeof *basic; i++) {
        if (file_of(basic[i].bound, &st, &path) == 0 && st.st_dev == c->lib_dev &&
            st.st_ino == c->lib_ino && dlsym(RTLD_DEFAULT, basic[i].name) == basic[i].bound)
            continue;
        snprintf(c->lib_path, sizeof c->lib_path, "%s", path);
        snprintf(c->message, sizeof c->message, "%s resolves into %s", basic[i].name, path);
        return -1;
    }
    snprintf(c->lib_path, sizeof c->lib_path, "%s", path);
    build_id(basic[0].bound, c->build_id, sizeof c->build_id);
    fill_rare(c, rare);
    return 0;
}

hakr_hakmem_ctl *hakr_find_hakmem(const struct hakr_ctl *c) {
    hakr_hakmem_ctl *f;
    *(void **)&f = own(c, "hakmem_ctl");
    return f;
}

int hakr_prove_policy(struct hakr_ctl *c, hakr_hakmem_ctl *hakmem) {
    size_t len = sizeof c->policy;
    if (hakmem == NULL) {
        if (c->want_policy[0] == '\0')
            return 0;
        snprintf(c->message, sizeof c->message,
                 "the library has no hakmem_ctl: the policy in force is not known");
        return -1;
    }
    int rc = hakmem("policy", c->policy, &len, NULL, 0);
    if (rc != 0) {
        c->policy[0] = '\0';
        snprintf(c->message, sizeof c->message, "hakmem_ctl policy: %s", strerror(rc));
        return -1;
    }
    if (c->want_policy[0] == '\0' || strcmp(c->policy, c->want_policy) == 0)
        return 0;
    snprintf(c->message, sizeof c->message, "the policy in force is %.100s, asked for: %.100s",
             c->policy, c->want_policy);
    return -1;
}
