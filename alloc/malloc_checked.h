/* Safety level 1 at full speed: see malloc_checked.c. */
#ifndef ALLOC_MALLOC_CHECKED_H
#define ALLOC_MALLOC_CHECKED_H

/* Once, from the first constructor, after the settings were read. */
void hak_checked_install(void);

#endif
