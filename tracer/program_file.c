#include "tracer/program_file.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define SECTIONS_MAX 4096u
#define SECTION_MAX  (256u << 20) /* a longer one is passed over */

struct elf {
    FILE *f;
    Elf64_Ehdr head;
    Elf64_Shdr *sections;
    unsigned count;
};

/* `bytes` of the file, with a 0 behind; NULL where they are not all there. */
static void *load(FILE *f, uint64_t offset, uint64_t bytes) {
    if (bytes > SECTION_MAX || offset > INT64_MAX || fseeko(f, (off_t)offset, SEEK_SET) != 0)
        return NULL;
    char *p = malloc(bytes + 1);
    if (p != NULL && fread(p, 1, bytes, f) != bytes) {
        free(p);
        return NULL;
    }
    if (p != NULL)
        p[bytes] = '\0';
    return p;
}

static void *load_section(const struct elf *e, const Elf64_Shdr *s) {
    return s->sh_type == SHT_NOBITS ? NULL : load(e->f, s->sh_offset, s->sh_size);
}

/* ---- symbols ------------------------------------------------------------------------------ */

static int is_one_of(const char *name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0)
            return 1;
    }
    return 0;
}

static void judge(struct hakt_program_file *p, const Elf64_Sym *symbol, const char *name) {
    static const char *const family[] = {
        "malloc",         "calloc",        "realloc",  "reallocarray",
        "posix_memalign", "aligned_alloc", "memalign", NULL};
    static const char *const own[] = {
        "malloc",          "je_malloc", "_rjem_malloc", "mi_malloc",  "tc_malloc",
        "scalable_malloc", "rpmalloc",  "sn_malloc",    "hak_malloc", NULL};
    if (symbol->st_shndx == SHN_UNDEF)
        p->imports_malloc |= is_one_of(name, family) || strncmp(name, "_Znw", 4) == 0 ||
                             strncmp(name, "_Zna", 4) == 0;
    else if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && is_one_of(name, own))
        snprintf(p->allocator, sizeof(p->allocator), "%s", name);
}

static void read_symbols(struct hakt_program_file *p, const struct elf *e, const Elf64_Shdr *s) {
    if (s->sh_link >= e->count)
        return;
    const Elf64_Shdr *names_section = &e->sections[s->sh_link];
    Elf64_Sym *symbols = load_section(e, s);
    char *names = symbols != NULL ? load_section(e, names_section) : NULL;
    for (uint64_t i = 0; names != NULL && i < s->sh_size / sizeof(*symbols); i++) {
        if (symbols[i].st_name < names_section->sh_size)
            judge(p, &symbols[i], names + symbols[i].st_name);
    }
    free(symbols);
    free(names);
}

static void read_symbols_of_type(struct hakt_program_file *p, const struct elf *e, uint32_t type) {
    for (unsigned i = 0; i < e->count; i++) {
        if (e->sections[i].sh_type == type)
            read_symbols(p, e, &e->sections[i]);
    }
}

/* A stripped program has no symbols of its own, but the names of the settings that its allocator
 * looks for. */
static void read_strings(struct hakt_program_file *p, const struct elf *e) {
    static const struct {
        const char *text, *allocator;
    } known[] = {{"MALLOC_CONF", "jemalloc"}, {"MIMALLOC_", "mimalloc"}, {"TCMALLOC_", "tcmalloc"}};
    for (unsigned i = 0; i < e->count && *p->allocator == '\0'; i++) {
        const Elf64_Shdr *s = &e->sections[i];
        if (s->sh_type != SHT_PROGBITS || s->sh_flags & (SHF_WRITE | SHF_EXECINSTR) ||
            !(s->sh_flags & SHF_ALLOC))
            continue;
        char *bytes = load_section(e, s);
        for (size_t k = 0; bytes != NULL && k < sizeof(known) / sizeof(*known); k++) {
            if (memmem(bytes, s->sh_size, known[k].text, strlen(known[k].text)) != NULL)
                snprintf(p->allocator, sizeof(p->allocator), "%s", known[k].allocator);
        }
        free(bytes);
    }
}

/* ---- the file ----------------------------------------------------------------------------- */

static int has_loader(const struct elf *e) {
    Elf64_Phdr ph;
    for (unsigned i = 0; i < e->head.e_phnum; i++) {
        uint64_t at = e->head.e_phoff + (uint64_t)i * e->head.e_phentsize;
        if (at > INT64_MAX || fseeko(e->f, (off_t)at, SEEK_SET) != 0 ||
            fread(&ph, sizeof(ph), 1, e->f) != 1)
            break;
        if (ph.p_type == PT_INTERP)
            return 1;
    }
    return 0;
}

static int is_elf(const Elf64_Ehdr *head) {
    return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0;
}

void hakt_program_file_read(struct hakt_program_file *p, const char *path) {
    struct elf e = {.f = fopen(path, "rbe")};
    *p = (struct hakt_program_file){0};
    if (e.f == NULL)
        return;
    if (fread(&e.head, sizeof(e.head), 1, e.f) == 1 && is_elf(&e.head) &&
        e.head.e_ident[EI_CLASS] == ELFCLASS64) {
        p->is_elf = 1;
        p->is_dynamic = has_loader(&e);
        e.count = e.head.e_shentsize == sizeof(Elf64_Shdr) && e.head.e_shnum <= SECTIONS_MAX
                      ? e.head.e_shnum
                      : 0;
        e.sections = load(e.f, e.head.e_shoff, e.count * sizeof(Elf64_Shdr));
        e.count = e.sections != NULL ? e.count : 0;
        p->imports_malloc = e.count == 0; /* nothing is known against it */
        read_symbols_of_type(p, &e, SHT_DYNSYM);
        if (!p->imports_malloc)
            read_symbols_of_type(p, &e, SHT_SYMTAB);
        if (!p->imports_malloc && *p->allocator == '\0')
            read_strings(p, &e);
        free(e.sections);
    }
    fclose(e.f);
}

static int is_of_another_word_size(const char *path) {
    Elf64_Ehdr head; /* both classes agree on e_ident */
    FILE *f = fopen(path, "rbe");
    int is = f != NULL && fread(&head, sizeof(head), 1, f) == 1 && is_elf(&head) &&
             head.e_ident[EI_CLASS] != ELFCLASS64;
    if (f != NULL)
        fclose(f);
    return is;
}

const char *hakt_why_not_loaded(const char *program) {
    struct hakt_program_file p;
    struct stat st;
    if (stat(program, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID)) != 0)
        return "it is setuid or setgid, and the system preloads nothing into such programs";
    if (getxattr(program, "security.capability", NULL, 0) > 0)
        return "it has file capabilities, and the system preloads nothing into such programs";
    if (is_of_another_word_size(program))
        return "it is a program of another word size than the library";
    hakt_program_file_read(&p, program);
    if (p.is_elf && !p.is_dynamic)
        return "it is statically linked, and nothing can be preloaded into it";
    return "it did not get as far, or brings a malloc of its own";
}
