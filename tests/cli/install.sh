# make install: tools and libraries land under DESTDIR and PREFIX, and work from there.
set -eu

make -s -C "$TOP" install DESTDIR="$PWD/root" PREFIX=/opt/hak >/dev/null
for file in bin/haktrace bin/hakreplay bin/haksim bin/hakdb lib/libhakmem.so lib/libhaktrace.so; do
    [ -s "root/opt/hak/$file" ] || {
        echo "$file is not installed"
        exit 1
    }
done
for tool in haktrace hakreplay haksim hakdb; do
    "root/opt/hak/bin/$tool" --version | grep -q "^$tool [0-9]" || {
        echo "$tool --version: $("root/opt/hak/bin/$tool" --version)"
        exit 1
    }
done
# the recorder finds its library beside it, not in the tree
root/opt/hak/bin/haktrace -q -o t.zst -- /bin/ls / >/dev/null
root/opt/hak/bin/haktrace verify -q t.zst
LD_PRELOAD=$PWD/root/opt/hak/lib/libhakmem.so "$BIN/bench_random_mixed" 1000 10 1 |
    grep -qF "malloc from $PWD/root/opt/hak/lib/libhakmem.so"
