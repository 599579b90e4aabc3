#!/bin/bash
# An allocator that looks at its callers, and one that throws and catches, is replayed as any other:
# its own frames are all there, and the walk ends where the time pass's code begins, which lies in
# no object that an unwinder knows.
set -euo pipefail
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-$TOP/build/bin}
[ -z "$(ls)" ] || cd "$(mktemp -d)"
. "$TOP/tests/cli/hakreplay.lib"
command -v g++ >/dev/null || { echo "skip: no g++"; exit 77; }
cat >unwinds.cc <<'END_C'
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <unistd.h>
#include <unwind.h>
#define EXPORT extern "C" __attribute__((visibility("default")))
extern "C" void *__libc_malloc(size_t);
extern "C" void *__libc_calloc(size_t, size_t);
extern "C" void *__libc_realloc(void *, size_t);
extern "C" void __libc_free(void *);
static thread_local bool inside;
static thread_local unsigned calls;
static unsigned long looked, whole, caught, least = 1000;

static _Unwind_Reason_Code count(struct _Unwind_Context *, void *n) {
    ++*static_cast<unsigned *>(n);
    return _URC_NO_REASON;
}
__attribute__((noinline)) static void throw_from(int depth) {
    if (depth == 0)
        throw 42;
    throw_from(depth - 1);
    __asm__ volatile("");
}
static bool is_mine(void *frame) {
    Dl_info me, other;
    return dladdr(reinterpret_cast<void *>(&is_mine), &me) != 0 && dladdr(frame, &other) != 0 &&
           me.dli_fbase == other.dli_fbase;
}
__attribute__((noinline)) static void look() {
    void *frames[32];
    unsigned walk = 0, n = static_cast<unsigned>(backtrace(frames, 32));
    _Unwind_Backtrace(count, &walk);
    unsigned own = 0;
    while (own < n && is_mine(frames[own]))
        own++;
    looked++;
    whole += own >= 2 && own < n && walk >= n; /* up to the call that malloc or free came from */
    least = n < least ? n : least;
    try {
        throw_from(5);
    } catch (int x) {
        caught += x == 42;
    }
    static int fd = open(getenv("UNWINDS"), O_WRONLY);
    char text[100];
    int length = snprintf(text, sizeof text, "%9lu %9lu %9lu %9lu\n", looked, whole, caught, least);
    if (pwrite(fd, text, static_cast<size_t>(length), 0) != length)
        abort();
}
static void look_sometimes() {
    if (inside || ++calls % 64 != 0)
        return;
    inside = true;
    look();
    inside = false;
}
EXPORT void *malloc(size_t n) {
    look_sometimes();
    return __libc_malloc(n);
}
EXPORT void free(void *p) {
    look_sometimes();
    __libc_free(p);
}
EXPORT void *calloc(size_t n, size_t size) { return __libc_calloc(n, size); }
EXPORT void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
END_C
g++ -O1 -fno-builtin -shared -fPIC -o unwinds.so unwinds.cc

haktrace gen random_mixed 20000 400 1 -o t.zst >/dev/null
for pass in time latency account; do
    : >told
    UNWINDS=$PWD/told hakreplay t.zst -a "unwinds=$PWD/unwinds.so" --passes=$pass -r 1 \
        --no-warm-up --no-db --no-control >out 2>err || fail "$pass: $(cat out err)"
    read -r looked whole caught least <told
    { [ "$looked" -gt 250 ] && [ "$whole" = "$looked" ] && [ "$caught" = "$looked" ]; } ||
        fail "$pass: $looked looked, $whole saw all of the allocator, $caught caught, $least frames at least"
    echo "$pass: at least $least frames"
done
echo "ok hakreplay-unwind"
