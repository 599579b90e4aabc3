/*
 * A program that opens libhakmem.so as it does a plugin, uses its malloc by hand, and closes it
 * while a thread that did so too still runs; then it forks. What the library left behind in the
 * process (a destructor of thread-local data, handlers of fork, a thread) must still be there.
 * Usage: alloc_dlopen LIBRARY.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);
static atomic_int used, closed;

static int use(void) {
    char *small = their_malloc(100), *large = their_malloc(1000000);
    if (small == NULL || large == NULL)
        return 1;
    memset(small, 1, 100);
    memset(large, 1, 1000000);
    their_free(small);
    their_free(large);
    return 0;
}

static void *run(void *arg) {
    if (use() != 0)
        arg = NULL;
    used = 1;
    while (!closed)
        usleep(1000);
    return arg;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        void *result, *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        int status;
        if (library == NULL) {
            puts(dlerror());
            return 1;
        }
        *(void **)&their_malloc = dlsym(library, "malloc");
        *(void **)&their_free = dlsym(library, "free");
        used = closed = 0;
        if (use() != 0 || pthread_create(&thread, NULL, run, &used) != 0)
            return 1;
        while (!used)
            usleep(1000);
        dlclose(library);
        closed = 1;
        pthread_join(thread, &result);
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        if (result == NULL || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    puts("ok");
    return 0;
}
