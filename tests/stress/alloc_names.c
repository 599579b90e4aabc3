/*
 * glibc's other names for malloc's functions: under a preloaded allocator their blocks and free's
 * must be of one allocator, else free aborts. Prints "ok". (Apart from alloc_api, as a recorder
 * that wraps malloc's public names alone sees these frees as foreign.)
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    static const char *const names[] = {"__libc_malloc", "__libc_valloc", "__libc_pvalloc"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *(*make)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, names[i]);
        if (!make) {
            printf("FAILED: %s is missing\n", names[i]);
            return 1;
        }
        for (size_t n = 10; n < 1000000; n *= 10)
            free(make(n));
    }
    static const char *const drops[] = {"__libc_free", "cfree"};
    for (unsigned i = 0; i < sizeof drops / sizeof drops[0]; i++) {
        void (*drop)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, drops[i]);
        if (drop) /* glibc itself has no cfree for new programs */
            drop(malloc(100));
    }
    puts("ok");
    return 0;
}
