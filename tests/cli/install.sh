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

# A program that is built against the library: header, pkg-config, SONAME and its links.
lib=$PWD/root/opt/hak/lib
[ "$(readlink "$lib/libhakmem.so")" = libhakmem.so.0 ]
[ -s "$(readlink -f "$lib/libhakmem.so")" ]
[ "$(readlink "$lib/libhakmem.so.0")" = "$(basename "$(readlink -f "$lib/libhakmem.so")")" ]
cat >program.c <<'END'
#include <hakmem.h>
#include <stdio.h>
int main(void) {
    char text[200];
    size_t n = sizeof text;
    int rc = hakmem_ctl("policy", text, &n, "never", 5);
    n = sizeof text;
    rc |= hakmem_ctl("policy", text, &n, NULL, 0);
    printf("%d %s\n", rc, text);
}
END
if command -v pkg-config >/dev/null; then
    read -ra flags <<<"$(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --define-variable=prefix="$PWD/root/opt/hak" --cflags --libs hakmem)"
else
    grep -q "^prefix=/opt/hak$" "$lib/pkgconfig/hakmem.pc"
    flags=("-I$PWD/root/opt/hak/include" "-L$lib" -lhakmem)
fi
"${CC:-cc}" -Wall -Werror -o program program.c "${flags[@]}"
[ "$(LD_LIBRARY_PATH=$lib ./program)" = "0 never" ]
if command -v c++ >/dev/null; then
    printf '#include <hakmem.h>\nint main() { return hakmem_ctl("version", 0, 0, 0, 0) == 0; }\n' >program.cc
    c++ -Wall -Werror -o program2 program.cc "${flags[@]}"
    LD_LIBRARY_PATH=$lib ./program2
fi
[ -s root/opt/hak/share/man/man7/hakmem.7 ]
[ -s root/opt/hak/share/man/man1/haktrace-rotate.1 ]
printf '#include <hakmem.h>\n' >old.c
"${CC:-cc}" -std=c89 -pedantic -Wall -Werror -fsyntax-only -Wno-long-long "-I$PWD/root/opt/hak/include" old.c

make -s -C "$TOP" uninstall DESTDIR="$PWD/root" PREFIX=/opt/hak
left=$(find root ! -type d)
[ -z "$left" ] || {
    echo "uninstall leaves: $left"
    exit 1
}
