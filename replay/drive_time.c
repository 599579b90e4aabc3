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
 *     the 30 runs of up to four ops. It does nothing else, so that all blocks fit into the cache.
 *   - The jump to the next block costs ten cycles less if its target is known when it is reached;
 *     so a bundle's last run begins with working that out. The bundle field of a word stands at bit
 *     4 and the block of field f lies at 16 * f: no table is looked at.
 *   - A call and its return cost 3.2 to 3.9 cycles (a jump 1.0), but 2.5 to 2.8 if the return goes
 *     to where 32 bytes begin.
 *   - A block run for the first time costs some 40 cycles more, and there are 2,046 of
 *     whole bundles: drive_place.c rehearses them.
 * What is left, measured on a virtual processor of 3.5 GHz, cycles an op: 4.4 where bundles repeat
 * and are guessed, all of it calls and returns; 2.5 to 3 for the guess that fails once in eleven
 * ops, some 30 cycles, half of which are the jump's own. Neither fewer stores nor fewer
 * instructions change that. Tried: bundles of 12 ops (5 % less where the blocks have been met, 5 %
 * more at other lengths of stream), other bundles of 5 to 13, runs of 2, 3, 5 and 6 (more calls, or
 * more code than the front end keeps), runs laid out at 16 to 128 bytes, no cursor (0.2 cycles
 * less), and a call for each three to six ops in code of the stream's own (no failed guess, but
 * each call is new to the front end: 50 % more where the stream repeats itself).
 */
#include "replay/drive_time.h"

#include <stddef.h>

/* What the code below takes as given. */
_Static_assert(offsetof(struct hakr_shm_thread, cursor) == 64, "CURSOR");
_Static_assert(HAKR_BUNDLE_SHIFT == 4 && HAKR_BUNDLE_MAX == 11 && HAKR_BUNDLE_LEAST == 4 &&
                   HAKR_SIZE_SHIFT == 16,
               "words");
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
 * Nothing here depends on where the code lies, but that it begins a cache line; `sites` lists the
 * calls to patch. hakr_at counts the bytes of a run (modulo 32), so that each call of the allocator
 * ends where 32 bytes begin: the macros know the lengths of their instructions.
 */
__asm__(".pushsection .text\n"
        ".set CURSOR, 64\n"
        ".set RUN_OTHER, 8\n"
        ".set NOTE_NULL, 16\n"
        ".set DO_MALLOC, 24\n"
        ".set DO_FREE, 32\n"
        ".set PLAN_AHEAD, 4096\n" /* bytes: the hardware does not fetch across pages */
        ".set SLOTS_AHEAD, 24\n"  /* ops: some 50 ns */

        /* op `hakr_i` of a run: what both kinds begin with */
        ".macro hakr_op far\n"
        ".if \\far\n"
        "    movl 8 * (hakr_i + SLOTS_AHEAD) + 4(%rbx), %eax\n"
        "    prefetchw (%r12, %rax, 8)\n"
        ".set hakr_at, hakr_at + 11\n"
        ".endif\n"
        "    leaq 8 * hakr_i + 8(%rbx), %rax\n"
        "    movq %rax, CURSOR(%r13)\n"
        ".set hakr_at, hakr_at + 8\n"
        ".endm\n"

        ".macro hakr_call name, kind, bit\n"
        ".if (27 - hakr_at) & 31\n"
        "    .nops (27 - hakr_at) & 31\n"
        ".endif\n"
        ".set hakr_at, 0\n"
        "3\\bit: call \\name\\()_\\kind\n"
        ".pushsection .rodata.\\name, \"a\"\n"
        "    .long 3\\bit\\()b - \\name\n"
        "    .long \\name\\()_\\kind - \\name\\()_malloc\n"
        ".popsection\n"
        ".endm\n"

        ".macro hakr_malloc name, bit, far\n"
        "    hakr_op \\far\n"
        "    movzwl 8 * hakr_i + 2(%rbx), %edi\n"
        ".set hakr_at, hakr_at + 4\n"
        "    hakr_call \\name, malloc, \\bit\n"
        "    movl 8 * hakr_i + 4(%rbx), %edx\n"
        "    movzwl 8 * hakr_i + 2(%rbx), %ecx\n"
        "    movq %rax, (%r12, %rdx, 8)\n"
        "    leaq -1(%rax, %rcx), %rcx\n"
        "    andq $-4096, %rcx\n" /* the page of the last byte: 0 for NULL alone */
        "    .byte 0x0f, 0x84\n    .long 2\\bit\\()f - . - 4\n" /* jz, always of this length */
        "    cmpq %rax, %rcx\n"
        "    cmovbq %rax, %rcx\n"
        "    movb $1, (%rax)\n"
        "    movb $1, (%rcx)\n"
        "1\\bit:\n"
        ".set hakr_at, hakr_at + 42\n"
        ".endm\n"

        ".macro hakr_free name, bit, far\n"
        "    hakr_op \\far\n"
        "    movl 8 * hakr_i + 4(%rbx), %edx\n"
        "    movq (%r12, %rdx, 8), %rdi\n"
        ".set hakr_at, hakr_at + 7\n"
        "    hakr_call \\name, free, \\bit\n"
        ".endm\n"

        ".macro hakr_null bit\n" /* what that malloc does with NULL */
        "2\\bit: movq %r13, %rdi\n"
        "    call *NOTE_NULL(%rbp)\n"
        "    jmp 1\\bit\\()b\n"
        ".endm\n"

        /* 12 bytes where `word` is further than 0(%rbx) */
        ".macro hakr_target word:vararg\n"
        "    movzwl \\word, %r14d\n"
        "    andl $-16, %r14d\n"
        "    addq %r15, %r14\n"
        ".endm\n"

        /* A run of one to four ops: `which` is a 1 and a bit for each. `last` ends its bundle, and
         * begins with working out the block to come. */
        ".macro hakr_ops name, which, last, far\n"
        ".set hakr_n, (\\which >= 2) + (\\which >= 4) + (\\which >= 8) + (\\which >= 16)\n"
        ".set hakr_n, -hakr_n\n" /* a comparison that holds is -1 */
        ".if hakr_n\n"
        ".if \\last\n"
        "    hakr_target 8 * hakr_n(%rbx)\n"
        ".set hakr_at, 12\n"
        ".else\n"
        "    subq $8, %rsp\n"
        ".set hakr_at, 4\n"
        ".endif\n"
        ".set hakr_i, 0\n"
        ".irp bit, 3, 2, 1, 0\n"
        ".if \\which >> (\\bit + 1)\n"
        ".if (\\which >> \\bit) & 1\n"
        "    hakr_malloc \\name, \\bit, \\far\n"
        ".else\n"
        "    hakr_free \\name, \\bit, \\far\n"
        ".endif\n"
        ".set hakr_i, hakr_i + 1\n"
        ".endif\n"
        ".endr\n"
        "    addq $8 * hakr_n, %rbx\n"
        ".if \\last\n"
        "    prefetcht0 PLAN_AHEAD(%rbx)\n" /* a bundle is longer than a line */
        "    prefetcht0 PLAN_AHEAD + 64(%rbx)\n"
        "    jmp *%r14\n"
        ".else\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".endif\n"
        ".irp bit, 3, 2, 1, 0\n"
        ".if \\which >> (\\bit + 1)\n"
        ".if (\\which >> \\bit) & 1\n"
        "    hakr_null \\bit\n"
        ".endif\n"
        ".endif\n"
        ".endr\n"
        ".endif\n"
        ".endm\n"

        ".macro hakr_block name, field\n"
        ".set hakr_p, \\field - 2\n" /* its pattern */
        ".if \\field < 4\n"
        "    jmp \\name\\()_other\n"
        ".elseif hakr_p < 32\n"
        "    jmp \\name\\()_last + hakr_run * hakr_p\n"
        ".elseif hakr_p < 512\n"
        "    call \\name\\()_run + hakr_run * (hakr_p >> 4)\n"
        "    jmp \\name\\()_last + hakr_run * (16 + (hakr_p & 15))\n"
        ".else\n"
        "    call \\name\\()_run + hakr_run * (hakr_p >> 8)\n"
        "    call \\name\\()_run + hakr_run * (16 + ((hakr_p >> 4) & 15))\n"
        "    jmp \\name\\()_last + hakr_run * (16 + (hakr_p & 15))\n"
        ".endif\n"
        ".endm\n"

        /* One driver: void name(void **slots, struct hakr_shm_thread *, const uint64_t *words,
         * const struct hakr_time_links *), with its code up to name_end; `run`: bytes from one run
         * of ops to the next. (.org: an error if what stands before it is longer.) */
        ".macro hakr_driver name, far, run\n"
        ".set hakr_run, \\run\n"
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
        ".set hakr_w, 0\n"
        ".rept 32\n"
        ".org \\name\\()_run + hakr_run * hakr_w\n"
        "    hakr_ops \\name, hakr_w, 0, \\far\n"
        ".set hakr_w, hakr_w + 1\n"
        ".endr\n"
        ".org \\name\\()_run + hakr_run * 32\n"
        "\\name\\()_last:\n"
        ".set hakr_w, 0\n"
        ".rept 32\n"
        ".org \\name\\()_last + hakr_run * hakr_w\n"
        "    hakr_ops \\name, hakr_w, 1, \\far\n"
        ".set hakr_w, hakr_w + 1\n"
        ".endr\n"
        ".org \\name\\()_last + hakr_run * 32\n"
        "\\name\\()_blocks:\n"
        ".set hakr_field, 0\n"
        ".rept 4096\n"
        ".org \\name\\()_blocks + 16 * hakr_field\n"
        "    hakr_block \\name, hakr_field\n"
        ".set hakr_field, hakr_field + 1\n"
        ".endr\n"
        ".org \\name\\()_blocks + 16 * 4096\n"
        "\\name\\()_end:\n"
        ".size \\name, . - \\name\n"
        ".pushsection .rodata.\\name, \"a\"\n"
        "\\name\\()_sites_end:\n"
        ".popsection\n"
        ".endm\n"

        "hakr_driver hakr_time_near, 0, 352\n"
        "hakr_driver hakr_time_far, 1, 512\n"
        ".popsection\n");
