/*
 * The driver of the time pass: bundles of simple ops (plan_words.h) run without a jump between them
 * that has to be guessed.
 *
 * It is written in assembly, because an op costs the driver less by its instructions than by its
 * jumps. What was measured against an allocator that does nothing, with streams whose kinds
 * cannot be predicted, and led here:
 *   - A processor predicts an indirect call by the jumps before it, so behind a random bundle even
 *     `call *malloc` is mispredicted. Hence direct calls: drive_place.c copies this code to within
 *     reach of the allocator and patches the calls. Where it cannot, they go through one jump.
 *   - Calls that are spread over more places than the first level of the branch target buffer
 *     holds cost a bubble each. So a bundle's block is no code of its own: it calls one to three of
 *     the 14 runs of up to three ops.
 *   - The jump to the next block costs ten cycles less if its target is known when it is reached;
 *     so a block begins with working that out. The bundle field of a word stands at bit 6 and block
 *     b lies at 32 * b: no table is looked at.
 * What is left, measured on a virtual processor of 3.55 GHz, cycles an op: a call and its return
 * 3.2 to 3.8, whatever is called; the guess that fails once in nine ops 2.7; the calls of the runs
 * 1.1; blocks that are in no cache of the front end 0.7. Tried: bundles of 12 ops in runs of four
 * (8 % less, but 8 % more until all of its 4,096 blocks have been met, some 50,000 ops), other
 * bundles of 5 to 13 ops and runs of 2 to 6 (more code than the front end keeps), no cursor (0.2
 * cycles less), and a call for each three to six ops in code of the stream's own (no failed guess,
 * but each call is new to the front end: 50 % more where the stream repeats itself).
 */
#include "replay/drive_time.h"

#include <stddef.h>

/* What the code below takes as given. */
_Static_assert(offsetof(struct hakr_shm_thread, cursor) == 64, "CURSOR");
_Static_assert(HAKR_BUNDLE_SHIFT == 6 && HAKR_BUNDLE_MAX == 9 && HAKR_SIZE_SHIFT == 16, "words");
_Static_assert(HAKR_SIMPLE_MAX <= PAGE, "a simple block lies in two pages at most");
_Static_assert(offsetof(struct hakr_time_links, run_other) == 8, "RUN_OTHER");
_Static_assert(offsetof(struct hakr_time_links, note_null) == 16, "NOTE_NULL");
_Static_assert(offsetof(struct hakr_time_links, do_malloc) == 24, "DO_MALLOC");
_Static_assert(offsetof(struct hakr_time_links, do_free) == 32, "DO_FREE");

/*
 * Kept over calls:
 * rbx  the word to run (in a run of ops: the first of them)
 * rbp  struct hakr_time_links            r12  slots          r13  struct hakr_shm_thread
 * r14  the block to run next             r15  block 0
 * (rsp) the stream's first word. The stack is aligned for calls.
 *
 * An op stores the address of the word behind its own as the cursor. A malloc touches the first
 * byte of its block, and the first of its second page if it has one (else the same byte again).
 * Nothing here depends on where the code lies; `sites` lists the calls to patch.
 */
__asm__(".pushsection .text\n"
        ".set CURSOR, 64\n"
        ".set RUN_OTHER, 8\n"
        ".set NOTE_NULL, 16\n"
        ".set DO_MALLOC, 24\n"
        ".set DO_FREE, 32\n"
        ".set RUN, 320\n"         /* bytes of code from one run of ops to the next */
        ".set PLAN_AHEAD, 2048\n" /* bytes: the hardware does not fetch across pages */
        ".set SLOTS_AHEAD, 24\n"  /* ops: some 50 ns */

        /* op `hakr_i` of a run: what both kinds begin with */
        ".macro hakr_op far\n"
        ".if \\far\n"
        "    movl 8 * (hakr_i + SLOTS_AHEAD) + 4(%rbx), %eax\n"
        "    prefetchw (%r12, %rax, 8)\n"
        ".endif\n"
        "    leaq 8 * hakr_i + 8(%rbx), %rax\n"
        "    movq %rax, CURSOR(%r13)\n"
        ".endm\n"

        ".macro hakr_call name, kind, bit\n"
        "3\\bit: call \\name\\()_\\kind\n"
        ".pushsection .rodata.\\name, \"a\"\n"
        "    .long 3\\bit\\()b - \\name\n"
        "    .long \\name\\()_\\kind - \\name\\()_malloc\n"
        ".popsection\n"
        ".endm\n"

        ".macro hakr_malloc name, bit, far\n"
        "    hakr_op \\far\n"
        "    movzwl 8 * hakr_i + 2(%rbx), %edi\n"
        "    hakr_call \\name, malloc, \\bit\n"
        "    movl 8 * hakr_i + 4(%rbx), %edx\n"
        "    movzwl 8 * hakr_i + 2(%rbx), %ecx\n"
        "    movq %rax, (%r12, %rdx, 8)\n"
        "    leaq -1(%rax, %rcx), %rcx\n"
        "    andq $-4096, %rcx\n" /* the page of the last byte: 0 for NULL alone */
        "    jz 2\\bit\\()f\n"
        "    cmpq %rax, %rcx\n"
        "    cmovbq %rax, %rcx\n"
        "    movb $1, (%rax)\n"
        "    movb $1, (%rcx)\n"
        "1\\bit:\n"
        ".endm\n"

        ".macro hakr_free name, bit, far\n"
        "    hakr_op \\far\n"
        "    movl 8 * hakr_i + 4(%rbx), %edx\n"
        "    movq (%r12, %rdx, 8), %rdi\n"
        "    hakr_call \\name, free, \\bit\n"
        ".endm\n"

        ".macro hakr_null bit\n" /* what that malloc does with NULL */
        "2\\bit: movq %r13, %rdi\n"
        "    call *NOTE_NULL(%rbp)\n"
        "    jmp 1\\bit\\()b\n"
        ".endm\n"

        ".macro hakr_target word:vararg\n"
        "    movzwl \\word, %r14d\n"
        "    shrl $1, %r14d\n"
        "    andl $-32, %r14d\n"
        "    addq %r15, %r14\n"
        ".endm\n"

        /* A run of one to three ops: `which` is a 1 and a bit for each. `last` ends its bundle. */
        ".macro hakr_ops name, which, last, far\n"
        ".if \\which >= 2\n"
        ".set hakr_i, 0\n"
        ".irp bit, 2, 1, 0\n"
        ".if \\which >> (\\bit + 1)\n"
        ".set hakr_i, hakr_i + 1\n"
        ".endif\n"
        ".endr\n"
        ".if \\last == 0\n"
        "    subq $8, %rsp\n"
        ".endif\n"
        ".set hakr_i, 0\n"
        ".irp bit, 2, 1, 0\n"
        ".if \\which >> (\\bit + 1)\n"
        ".if (\\which >> \\bit) & 1\n"
        "    hakr_malloc \\name, \\bit, \\far\n"
        ".else\n"
        "    hakr_free \\name, \\bit, \\far\n"
        ".endif\n"
        ".set hakr_i, hakr_i + 1\n"
        ".endif\n"
        ".endr\n"
        "    addq $8 * hakr_i, %rbx\n"
        ".if \\last\n"
        "    prefetcht0 PLAN_AHEAD(%rbx)\n"
        "    jmp *%r14\n"
        ".else\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".endif\n"
        ".irp bit, 2, 1, 0\n"
        ".if \\which >> (\\bit + 1)\n"
        ".if (\\which >> \\bit) & 1\n"
        "    hakr_null \\bit\n"
        ".endif\n"
        ".endif\n"
        ".endr\n"
        ".endif\n"
        ".endm\n"

        ".macro hakr_block name, field\n"
        ".if \\field < 2\n"
        "    jmp \\name\\()_other\n"
        ".elseif \\field < 16\n"
        ".set hakr_n, 1 - (\\field >= 4) - (\\field >= 8)\n"
        "    hakr_target 8 * hakr_n(%rbx)\n"
        "    jmp \\name\\()_last + RUN * \\field\n"
        ".elseif \\field < 128\n"
        ".set hakr_n, 4 - (\\field >= 32) - (\\field >= 64)\n"
        "    hakr_target 8 * hakr_n(%rbx)\n"
        "    call \\name\\()_run + RUN * (\\field >> 3)\n"
        "    jmp \\name\\()_last + RUN * (8 + (\\field & 7))\n"
        ".else\n"
        ".set hakr_n, 7 - (\\field >= 256) - (\\field >= 512)\n"
        "    hakr_target 8 * hakr_n(%rbx)\n"
        "    call \\name\\()_run + RUN * (\\field >> 6)\n"
        "    call \\name\\()_run + RUN * (8 + ((\\field >> 3) & 7))\n"
        "    jmp \\name\\()_last + RUN * (8 + (\\field & 7))\n"
        ".endif\n"
        ".endm\n"

        /* One driver: void name(void **slots, struct hakr_shm_thread *, const uint64_t *words,
         * const struct hakr_time_links *), with its code up to name_end. (.org: an error if what
         * stands before it is longer.) */
        ".macro hakr_driver name, far\n"
        ".globl \\name, \\name\\()_end, \\name\\()_sites, \\name\\()_sites_end\n"
        ".hidden \\name, \\name\\()_end, \\name\\()_sites, \\name\\()_sites_end\n"
        ".type \\name, @function\n"
        ".pushsection .rodata.\\name, \"a\"\n"
        ".p2align 3\n"
        "\\name\\()_sites:\n"
        ".popsection\n"
        ".p2align 6\n"
        "\\name\\():\n"
        ".irp reg, rbx, rbp, r12, r13, r14, r15, rdx\n"
        "    pushq %\\reg\n"
        ".endr\n"
        "    movq %rdi, %r12\n"
        "    movq %rsi, %r13\n"
        "    movq %rdx, %rbx\n"
        "    movq %rcx, %rbp\n"
        "    leaq \\name\\()_blocks(%rip), %r15\n"
        "\\name\\()_next:\n"
        "    hakr_target (%rbx)\n"
        "    jmp *%r14\n"
        "\\name\\()_other:\n"
        "    movq (%rbp), %rdi\n"
        "    movq %r13, %rsi\n"
        "    movq (%rbx), %rdx\n"
        "    leaq 8(%rbx), %rcx\n"
        "    movq (%rsp), %r8\n"
        "    movq %rcx, CURSOR(%r13)\n"
        "    call *RUN_OTHER(%rbp)\n"
        "    movq %rax, %rbx\n"
        "    testq %rax, %rax\n"
        "    jnz \\name\\()_next\n"
        ".irp reg, rdx, r15, r14, r13, r12, rbp, rbx\n"
        "    popq %\\reg\n"
        ".endr\n"
        "    ret\n"
        "\\name\\()_malloc:\n" /* unpatched */
        "    jmp *DO_MALLOC(%rbp)\n"
        "\\name\\()_free:\n"
        "    jmp *DO_FREE(%rbp)\n"
        ".p2align 6\n"
        "\\name\\()_run:\n"
        ".irp which, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        ".org \\name\\()_run + RUN * \\which\n"
        "    hakr_ops \\name, \\which, 0, \\far\n"
        ".endr\n"
        ".org \\name\\()_run + RUN * 16\n"
        "\\name\\()_last:\n"
        ".irp which, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        ".org \\name\\()_last + RUN * \\which\n"
        "    hakr_ops \\name, \\which, 1, \\far\n"
        ".endr\n"
        ".org \\name\\()_last + RUN * 16\n"
        "\\name\\()_blocks:\n"
        ".set hakr_field, 0\n"
        ".rept 1024\n"
        ".org \\name\\()_blocks + 32 * hakr_field\n"
        "    hakr_block \\name, hakr_field\n"
        ".set hakr_field, hakr_field + 1\n"
        ".endr\n"
        ".org \\name\\()_blocks + 32 * 1024\n"
        "\\name\\()_end:\n"
        ".size \\name, . - \\name\n"
        ".pushsection .rodata.\\name, \"a\"\n"
        "\\name\\()_sites_end:\n"
        ".popsection\n"
        ".endm\n"

        "hakr_driver hakr_time_near, 0\n"
        "hakr_driver hakr_time_far, 1\n"
        ".popsection\n");
