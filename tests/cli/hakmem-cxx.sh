#!/bin/bash
# C++'s operators new and delete under the library: every form, no memory, a program's own operators.
set -eu
command -v g++ >/dev/null || { echo "skip: no g++"; exit 77; }
data=$TOP/tests/stress/data
g++ -std=c++17 -O1 -Wno-alloc-size-larger-than -o operators "$data/operators.cc"
g++ -std=c++17 -O1 -o own_new "$data/own_new.cc"
./operators # libstdc++'s own: checks the test
LD_PRELOAD=$LIB/libhakmem.so ./operators >out || { cat out; exit 1; }
grep -q '^0 failed, new from .*libhakmem.so$' out || { cat out; exit 1; }
for level in 0 1 2 3; do
    HAKMEM_SAFE=$level LD_PRELOAD=$LIB/libhakmem.so ./own_new
    HAKMEM_SAFE=$level LD_PRELOAD=$LIB/libhakmem.so ./operators >out || { cat out; exit 1; }
done
# C++ that a program without it loads
g++ -std=c++17 -O1 -Wno-alloc-size-larger-than -shared -fPIC -o plugin.so "$data/plugin.cc"
cat >host.c <<'END'
#include <dlfcn.h>
int main(void) {
    void *library = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
    int (*plugin)(void) = library ? (int (*)(void))dlsym(library, "plugin") : 0;
    return plugin ? plugin() : 9;
}
END
gcc -o host host.c
./host
LD_PRELOAD=$LIB/libhakmem.so ./host
echo "ok $(basename "$0" .sh)"
