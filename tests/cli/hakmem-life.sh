#!/bin/bash
# Allocation before main, in constructors, at exit, in destructors of thread-local data, under signals,
# in libraries that come and go, in a thousand threads; at each safety level.
# timeout: 300
set -eu
cat >lib.c <<'END'
#include <stdlib.h>
#include <string.h>
static char *kept;
static __thread char *per_thread;
__attribute__((constructor)) static void come(void) { kept = strdup("kept"); per_thread = malloc(70000); }
__attribute__((destructor)) static void go(void) { free(kept); free(per_thread); }
void *make(size_t n) { return memset(malloc(n), 'm', n); }
END
${CC:-cc} -shared -fPIC -o lib.so lib.c
for level in 0 1 2 3; do
    for case in nothing threads thousand signals "library $PWD/lib.so"; do
        # shellcheck disable=SC2086 # a case and its argument
        HAKMEM_SAFE=$level LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_life" $case
    done
done
for case in threads thousand last child; do
    HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:1ms LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_life" $case
done
# opened and closed as a plugin
for setting in HAKMEM_SAFE=0 HAKMEM_SAFE=1 HAKMEM_SAFE=3 HAKMEM_BACKGROUND=1; do
    env $setting "$BIN/stress/alloc_dlopen" "$LIB/libhakmem.so"
done
