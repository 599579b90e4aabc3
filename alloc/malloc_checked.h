/* Safety level 1 at full speed: see malloc_checked.c. */
#ifndef ALLOC_MALLOC_CHECKED_H
#define ALLOC_MALLOC_CHECKED_H

/* Once, from the first constructor, after the settings were read. */
void hak_checked_install(void);

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define HAK_CHECKED_IN_PLACE

/* Never runs, and costs nothing: room within a function, behind its code, for what takes its place
 * at level 1. */
#define HAK_ROOM_BYTES  96
#define HAK_ROOM_FILLED 0xcc
#define HAK_ROOM()                                                                                 \
    do {                                                                                           \
        __label__ room;                                                                            \
        __asm__ goto("" : : : : room);                                                             \
        break;                                                                                     \
    room:                                                                                          \
        __asm__ volatile(".skip %c0, %c1" : : "i"(HAK_ROOM_BYTES), "i"(HAK_ROOM_FILLED));          \
        __builtin_unreachable();                                                                   \
    } while (0)
#else
#define HAK_ROOM() ((void)0)
#endif

#endif
