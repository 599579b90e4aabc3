/*
 * What the file of a program tells about why little or nothing of it was recorded. Files are
 * anybody's: whatever one claims is checked before it is followed.
 */
#ifndef TRACER_PROGRAM_FILE_H
#define TRACER_PROGRAM_FILE_H

struct hakt_program_file {
    int is_elf;         /* of this machine's word size; 0: what follows is not known */
    int is_dynamic;     /* it has a loader */
    int imports_malloc; /* its own calls of the malloc family, or of new, go out through names that
                           a preloaded library can take */
    char allocator[32]; /* one that is linked into it and cannot be reached, by a name of its; "" =
                           none was recognised */
};

void hakt_program_file_read(struct hakt_program_file *p, const char *path);

/* Why a program may not have loaded a preloaded library: a sentence. */
const char *hakt_why_not_loaded(const char *program);

#endif
