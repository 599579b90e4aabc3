# Other people's programs: the same output traced as untraced, and the trace verifies.
# timeout: 180
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

checked=0
# same NAME COMMAND...: both runs print the same and end the same
same() {
    local name=$1 rc1=0 rc2=0
    shift
    command -v "$1" >/dev/null || { echo "$name: not installed"; return 0; }
    "$@" >plain 2>plain.err || rc1=$?
    haktrace -q -o "$name.zst" -- "$@" >traced 2>traced.err || rc2=$?
    [ $rc1 = $rc2 ] || fail "$name: exit code $rc1 untraced, $rc2 traced: $(tail -n 5 traced.err)"
    cmp plain traced || fail "$name: its output differs"
    cmp plain.err traced.err || fail "$name: its errors differ: $(diff plain.err traced.err | head -n 5)"
    "$STRESS/trace_check" "$name.zst" >check || fail "$name: the trace does not verify"
    grep -qx 'total dropped 0' check && grep -qx 'total implied 0' check && grep -qx 'total foreign 0' check ||
        fail "$name: $(grep total check)"
    checked=$((checked + 1))
}

export PYTHONMALLOC=malloc PYTHONHASHSEED=1
same python /usr/bin/python3 -c '
import json, threading
def work(n):
    for i in range(300):
        json.loads(json.dumps([{"k%d" % j: "v" * (j % 50)} for j in range(i % 60)]))
ts = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sum(len(json.dumps(list(range(i)))) for i in range(200)))'
unset PYTHONMALLOC
cat >a.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void) { puts("hello"); return 0; }
END
cat >a.cc <<'END'
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
thread_local std::string name;
static void work(int n) {
    name = std::string(100, 'a' + n);
    std::map<std::string, std::vector<int>> m;
    for (int i = 0; i < 2000; i++)
        try {
            m[name + std::to_string(i % 100)].push_back(i);
            if (i % 7 == 0) throw std::runtime_error(name);
        } catch (const std::exception &e) { m.erase(e.what()); }
}
int main() {
    std::vector<std::thread> ts;
    for (int i = 0; i < 6; i++) ts.emplace_back(work, i);
    for (auto &t : ts) t.join();
    std::puts("done");
    return 3;
}
END
same cc1 "$(gcc -print-prog-name=cc1)" -quiet a.c -o a.s
if g++ -O1 -pthread -o threads a.cc 2>/dev/null; then
    same c++ ./threads
fi
# the program's first op comes from within libc, with a lock of its locales held (postgres' initdb)
cat >early.c <<'END'
#define _GNU_SOURCE
#include <locale.h>
int early_there;
__attribute__((constructor)) static void first(void) {
    early_there = newlocale(LC_ALL_MASK, "POSIX", NULL) != NULL;
}
END
cat >locale.c <<'END'
#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
extern int early_there;
int main(void) {
    const char *error = dlerror(); /* of the recorder's look-ups */
    free(malloc(10));
    printf("%d %s %s\n", early_there, error ? error : "no error", setlocale(LC_ALL, "C"));
    return 0;
}
END
gcc -shared -fPIC -o libearly.so early.c
gcc -o locale locale.c -L. -learly -Wl,-rpath,"$PWD" -ldl
same locale ./locale # a hang ends at this test's limit
git init -q repo && cp a.c a.cc repo && (cd repo && git add . && git -c user.name=a -c user.email=b commit -qm one)
same git git -C repo log --stat -p
same sqlite sqlite3 :memory: 'with recursive n(i) as (select 1 union all select i+1 from n where i<20000) select count(*), sum(length(hex(i))) from n;'
same perl perl -e 'my %h; $h{$_ % 997} .= "x" x ($_ % 50) for 1..20000; print length(join "", values %h), "\n"'
same bash bash -c 'a=(); for i in {1..2000}; do a+=("v$i"); done; echo "${#a[@]}"; false'

if command -v redis-server >/dev/null; then
    haktrace -o redis.zst -- redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' >redis.log 2>redis.err &
    tracer=$!
    for _ in $(seq 100); do [ -S redis.sock ] && break; sleep 0.05; done
    redis-benchmark -s "$PWD/redis.sock" -q -n 5000 -t set,lpush,lrange_100 >bench.log 2>&1 || fail "redis-benchmark: $(tail -n 3 bench.log)"
    redis-cli -s "$PWD/redis.sock" shutdown nosave
    wait $tracer || fail "redis-server: exit code $?: $(tail -n 3 redis.log)"
    "$STRESS/trace_check" redis.zst >check || fail "redis: the trace does not verify"
    grep -qx 'total dropped 0' check && grep -qx 'total implied 0' check && grep -qx 'total foreign 0' check ||
        fail "redis: $(grep total check)"
    checked=$((checked + 1))
fi
[ $checked -ge 3 ] || fail "only $checked programs are installed"
echo "ok: $checked programs"
