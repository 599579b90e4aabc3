#include "replay/raw.h"

/* The number comes first, the six arguments after it; the kernel wants them in rax, rdi, rsi, rdx,
 * r10, r8, r9. A function in assembler, because the address after its one `syscall` must be known
 * and must not be inlined anywhere. */
#if defined(__x86_64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".globl hakr_raw\n"
        ".hidden hakr_raw\n"
        ".type hakr_raw, @function\n"
        "hakr_raw:\n"
        "    movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    movq %rdx, %rsi\n"
        "    movq %rcx, %rdx\n"
        "    movq %r8, %r10\n"
        "    movq %r9, %r8\n"
        "    movq 8(%rsp), %r9\n"
        "    syscall\n"
        ".globl hakr_raw_ip\n"
        ".hidden hakr_raw_ip\n"
        "hakr_raw_ip:\n"
        "    ret\n"
        ".size hakr_raw, . - hakr_raw\n");
#else
_Static_assert(0, "hakreplay knows the system call convention of x86-64 only");
#endif
