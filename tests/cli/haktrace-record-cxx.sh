# C++'s operators: each call is recorded once, whether they call malloc (libstdc++) or belong to the
# allocator (mimalloc, jemalloc, tcmalloc), and in a C++ library that a C program loads.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

g++ -std=c++17 -O1 -o operators "$TOP/tests/stress/data/new_delete.cc" 2>cc.err || {
    echo "no g++: $(head -n 1 cc.err)"
    exit 77
}

# trace_check of "failed" counts what libc's malloc refused on behalf of the new that throws
check() { # NAME PRELOAD [ARG]
    LD_PRELOAD=$2 haktrace -o t.zst -- ./operators ${3:+"$3"} >expected 2>err || fail "$1: exit code $?: $(cat err)"
    "$STRESS/trace_check" t.zst >check || fail "$1: the trace does not verify"
    for none in dropped foreign implied unfinished; do
        grep -qx "total $none 0" check || fail "$1: $(grep "total $none" check)"
    done
    grep -v -e '^total' -e '^end' check | sort >got
    sort expected >want
    diff want got >diff.out || fail "$1: ops differ (< expected, > recorded): $(head -n 20 diff.out)"
    ran="$ran $1"
}

ran=
check libc ''
check hakmem "$LIB/libhakmem.so"
for name in libmimalloc.so.2 libjemalloc.so.2 libtcmalloc_minimal.so.4; do
    path=$(ldconfig -p | sed -n "s/.*$name .*x86-64.* => //p" | head -n 1)
    [ $name = libmimalloc.so.2 ] && arg=no-throw || arg= # as C, it ends the program instead
    [ -z "$path" ] || check $name "$path" "$arg"
done

# the operators of a library that a C program loads, out of sight of the other libraries
cat >plugin.cc <<'END'
#include <new>
extern "C" int run(int n) {
    for (int i = 0; i < n; i++) operator delete(operator new(3001));
    try { operator new(static_cast<std::size_t>(-1) / 4); } catch (const std::bad_alloc &) { return 1; }
    return 0;
}
END
cat >main.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *plugin = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
    int (*run)(int) = plugin ? (int (*)(int))dlsym(plugin, "run") : NULL;
    printf("1 malloc 3001 700\n1 free 3001 700\n");
    return run == NULL || run(700) != 1 || dlclose(plugin) != 0;
}
END
g++ -O1 -shared -fPIC -o plugin.so plugin.cc
gcc -O1 -o operators main.c
check plugin ''

# a constructor, inside dlopen, that waits for a thread with operators of its own: no waiting for the loader
cat >plugin.cc <<'END'
#include <thread>
struct starter { starter() { std::thread([] { for (int i = 0; i < 700; i++) delete[] new char[3001]; }).join(); } } instance;
extern "C" int run(int) { return 1; }
END
g++ -O0 -shared -fPIC -pthread -o plugin.so plugin.cc
sed -i 's/int main(void) {/unsigned alarm(unsigned); int main(void) { alarm(20);/' main.c
gcc -O1 -pthread -o operators main.c
check constructor ''

# glibc's second names
cat >second.c <<'END'
#include <stdio.h>
#include <stdlib.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void __libc_free(void *);
int main(void) {
    for (int i = 0; i < 300; i++) {
        __libc_free(__libc_malloc(3001));
        __libc_free(__libc_realloc(__libc_calloc(1, 3101), 3201));
        __libc_free(__libc_memalign(64, 3401));
    }
    puts("1 malloc 3001 300\n1 free 3001 300\n1 calloc 3101 300\n1 realloc 3201 300\n1 free 3201 300\n1 memalign 3401 300\n1 free 3401 300");
    return 0;
}
END
gcc -O1 -fno-builtin -o operators second.c
check second-names ''
# an interposer that is made of them is the allocator: one op a call
cat >inter.c <<'END'
#include <stddef.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void free(void *p) { __libc_free(p); }
END
gcc -O1 -fno-builtin -shared -fPIC -o inter.so inter.c
cat >plain.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    for (int i = 0; i < 300; i++) {
        free(malloc(3001));
        free(realloc(calloc(1, 3101), 3201));
    }
    puts("1 malloc 3001 300\n1 free 3001 300\n1 calloc 3101 300\n1 realloc 3201 300\n1 free 3201 300");
    return 0;
}
END
gcc -O1 -fno-builtin -o operators plain.c
check interposer "$PWD/inter.so"
echo "ok:$ran"
