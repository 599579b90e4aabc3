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
LD_PRELOAD=$LIB/libhakmem.so ./own_new
echo "ok $(basename "$0" .sh)"
