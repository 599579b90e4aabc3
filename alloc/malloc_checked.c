/*
 * Safety level 1 at full speed. Level 0 must pay nothing for the others, not even a test; so at
 * level 1 the library writes other code over its own malloc, free and operator delete, once, while
 * the process has one thread (what kernels call alternatives). A jump there would be simpler, but
 * two taken jumps are 3 % of a malloc and a free. Where the system forbids writing to code, nothing
 * is lost but time: the fast paths miss (safe.h), and the slow entry does the same. Nor does it
 * matter if only some of the three were written to, or what malloc has given out before.
 *
 * The other code is below, in assembly, as it must be known how to move it: FIX marks each
 * displacement that counts from where the code lies, THREAD each that is the heap's place in a
 * thread's own memory, which is known by then, so that the look into the GOT is saved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alloc/malloc_checked.h"
#include "alloc/malloc_thread.h"
#include "alloc/safe.h"

#ifdef HAK_CHECKED_IN_PLACE

/* Our own functions, whoever else exports the names. */
extern unsigned char hak_malloc_entry[] __attribute__((visibility("hidden")));
extern unsigned char hak_free_entry[] __attribute__((visibility("hidden")));
extern unsigned char hak_delete_entry[] __attribute__((visibility("hidden")));

/* The images, and where in them there is something to mend: its own distance to each place, so that
 * the loader has nothing to do. */
extern const unsigned char hak_checked_malloc[] __attribute__((visibility("hidden")));
extern const unsigned char hak_checked_malloc_end[] __attribute__((visibility("hidden")));
extern const unsigned char hak_checked_free[] __attribute__((visibility("hidden")));
extern const unsigned char hak_checked_free_end[] __attribute__((visibility("hidden")));
struct mend {
    int32_t at;
    int32_t thread;
};
extern const struct mend hak_checked_mends[] __attribute__((visibility("hidden")));
extern const struct mend hak_checked_mends_end[] __attribute__((visibility("hidden")));

/* What ends right here, four bytes long. */
#define MEND(thread)                                                                               \
    "77: .pushsection .rodata.hak_checked, \"a\"\n"                                                \
    "    .long 77b - 4 - ., " #thread "\n"                                                         \
    "    .popsection\n"
/* Jumps are spelt out in bytes, so that no assembler makes a short one. */
#define FIX    MEND(0)
#define THREAD "    .byte 0x64, 0x48, 0x8b, 0x04, 0x25\n .long 0\n" MEND(1) /* mov %fs:0, %rax */

#ifdef __CET__
#define LANDING "    endbr64\n"
#else
#define LANDING ""
#endif

/* hak_fast_alloc and hak_safe_alloc in one, and hak_fast_free and hak_safe_free. A function, as
 * only there an assembly text may have operands; it never runs. */
__attribute__((used)) static void images(void) {
    __asm__ volatile(
        "    .pushsection .rodata.hak_checked, \"a\"\n"
        "    .balign 4\n"
        "hak_checked_mends:\n"
        "    .popsection\n"
        "    .pushsection .text\n"
        "    .balign 64\n"
        "hak_checked_malloc:\n" LANDING /* rdi: size */
            THREAD                      /* rax: the heap */
        "    lea 15(%%rdi), %%rcx\n"
        "    shr $4, %%rcx\n"
        "    cmp %[most], %%rcx\n"
        "    ja 1f\n"
        "    movzwl %c[fine](%%rax, %%rcx, 2), %%edx\n"
        "    add %%rax, %%rdx\n" /* the bin */
        "    mov (%%rdx), %%rax\n"
        "    test %%rax, %%rax\n"
        "    je 1f\n"
        "    mov (%%rax), %%rcx\n"
        "    movq $0, 8(%%rax)\n" /* no key any more */
        "    mov %%rcx, (%%rdx)\n"
        "    addl $1, %c[room](%%rdx)\n"
        "    ret\n"
        "1:  lea hak_empty_heap(%%rip), %%rsi\n" FIX /* its fast path misses */
        "    .byte 0xe9\n    .long hak_malloc_slow - . - 4\n" FIX "hak_checked_malloc_end:\n"
        "    .balign 64\n"
        "hak_checked_free:\n" LANDING /* rdi: the block */
            THREAD "    mov %%rdi, %%rdx\n"
        "    sub hak_hot+%c[base](%%rip), %%rdx\n" FIX "    shr %[shift], %%rdx\n"
        "    cmp hak_hot+%c[units](%%rip), %%rdx\n" FIX "    jae 1f\n"
        "    shl %[slab], %%rdx\n"
        "    add hak_hot+%c[meta](%%rip), %%rdx\n" FIX "    cmp (%%rdx), %%rax\n" /* its owner */
        "    jne 1f\n"
        "    movzwl %c[bin](%%rdx), %%esi\n"
        "    mov hak_safe+%c[key](%%rip), %%rcx\n" FIX "    movzwl %%di, %%r8d\n"
        "    add %%rax, %%rsi\n" /* the bin */
        "    xor %%rdi, %%rcx\n"
        "    cmp %%rcx, 8(%%rdi)\n"
        "    je 1f\n" /* it looks free */
        "    imul %c[inverse](%%rsi), %%r8d\n"
        "    cmp %c[inverse](%%rsi), %%r8d\n"
        "    jae 1f\n" /* no multiple of the block's size */
        "    mov %%rcx, 8(%%rdi)\n"
        "    mov (%%rsi), %%rcx\n"
        "    mov %%rcx, (%%rdi)\n"
        "    subl $1, %c[room](%%rsi)\n"
        "    mov %%rdi, (%%rsi)\n"
        "    js 2f\n"
        "    ret\n"
        "1:  mov %%rdi, %%rsi\n"
        "    mov %%rax, %%rdi\n"
        "    .byte 0xe9\n    .long hak_safe_free - . - 4\n" FIX /* and says what is wrong, if
                                                                   something is */
        "2:  mov %%rax, %%rdi\n"
        "    .byte 0xe9\n    .long hak_bin_overflow - . - 4\n" FIX "hak_checked_free_end:\n"
        "    .popsection\n"
        "    .pushsection .rodata.hak_checked, \"a\"\n"
        "hak_checked_mends_end:\n"
        "    .popsection\n"
        :
        : [most] "i"(HAK_FINE_MAX / 16), [fine] "i"(offsetof(struct hak_heap, fine)),
          [room] "i"(offsetof(struct hak_bin, room)), [base] "i"(offsetof(struct hak_hot, base)),
          [units] "i"(offsetof(struct hak_hot, units)), [meta] "i"(offsetof(struct hak_hot, meta)),
          [shift] "i"(HAK_UNIT_SHIFT), [slab] "i"(7), [bin] "i"(offsetof(struct hak_slab, bin_off)),
          [key] "i"(offsetof(struct hak_safe, key)),
          [inverse] "i"(offsetof(struct hak_bin, inverse)));
}
_Static_assert(sizeof(struct hak_slab) == 1 << 7, "free shifts by that");
_Static_assert(offsetof(struct hak_slab, owner) == 0 && offsetof(struct hak_bin, list) == 0,
               "read without a displacement");

/* Where the heap's pointer lies, from the thread's own address on, in all threads alike. */
static int32_t thread_offset(void) {
    char *self;
    __asm__("mov %%fs:0, %0" : "=r"(self)); /* where it points to itself */
    return (int32_t)((char *)&hak_checked_heap - self);
}

/* Bytes from a function's start to the end of its room; 0: it has none where it is looked for. */
static size_t room_of(const unsigned char *code) {
    enum { BODY_MOST = 128 };
    size_t run = 0;
    for (size_t i = 0; i < BODY_MOST + HAK_ROOM_BYTES; i++) {
        run = code[i] == HAK_ROOM_FILLED ? run + 1 : 0;
        if (run == HAK_ROOM_BYTES)
            return i + 1;
    }
    return 0;
}

static bool replace(unsigned char *code, const unsigned char *image, size_t n) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)code & ~(page - 1);
    size_t bytes = ((uintptr_t)code + n - first + page - 1) & ~(page - 1);
    unsigned char moved[256];
    if (n > room_of(code) || n > sizeof moved)
        return false;
    memcpy(moved, image, n);
    for (const struct mend *m = hak_checked_mends; m < hak_checked_mends_end; m++) {
        const unsigned char *at = (const unsigned char *)&m->at + m->at;
        int32_t v;
        if (at < image || at >= image + n)
            continue;
        memcpy(&v, at, sizeof v);
        v = m->thread ? thread_offset() : v + (int32_t)(image - code);
        memcpy(moved + (at - image), &v, sizeof v);
    }
    if (mprotect((void *)first, bytes, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    memcpy(code, moved, n);
    mprotect((void *)first, bytes, PROT_READ | PROT_EXEC);
    return true;
}

void hak_checked_install(void) {
    size_t of_malloc = (size_t)(hak_checked_malloc_end - hak_checked_malloc);
    size_t of_free = (size_t)(hak_checked_free_end - hak_checked_free);
    int saved = errno; /* a program begins with 0 */
    if (hak_safe.level != 1)
        return;
    replace(hak_malloc_entry, hak_checked_malloc, of_malloc);
    replace(hak_free_entry, hak_checked_free, of_free);
    replace(hak_delete_entry, hak_checked_free, of_free);
    errno = saved;
}

#else

void hak_checked_install(void) {}

#endif
