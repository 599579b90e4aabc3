#!/bin/bash
# The policy in force is asked of hakmem itself: a run under another one than was asked for fails,
# the default one is stored, and the recorded time reaches the allocator in order.
# timeout: 180
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# looks like hakmem, says that its policy is "never", and keeps the times it is told
cat >deaf.c <<'END_C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
void *malloc(size_t size) { return __libc_malloc(size); }
void *calloc(size_t k, size_t size) { return __libc_calloc(k, size); }
void *realloc(void *p, size_t size) { return __libc_realloc(p, size); }
void *aligned_alloc(size_t a, size_t size) { return __libc_memalign(a, size); }
void free(void *p) { __libc_free(p); }
int hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len)
{
    if (strcmp(name, "policy") == 0) {
        memcpy(out, "never", 6);
        *out_len = 6;
        return 0;
    }
    if (strcmp(name, "clock") == 0 && in_len == 8) {
        uint64_t ns;
        char line[32];
        memcpy(&ns, in, 8);
        int fd = open(getenv("CLOCK_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        int n = snprintf(line, sizeof line, "%llu\n", (unsigned long long)ns);
        if (write(fd, line, n) != n)
            abort();
        close(fd);
        return 0;
    }
    return ENOENT;
}
END_C
gcc -O1 -fno-builtin -shared -fPIC -o deaf.so deaf.c
"$BIN/haktrace" gen -o t.zst random_mixed 20000 400 1
rc=0
"$BIN/hakreplay" t.zst -a "libc,hakmem=$PWD/deaf.so" --policy=never,eager -r 1 --db p.db --json >out.json 2>err || rc=$?
[ $rc = 1 ] || fail "wrong policy: exit code $rc: $(cat err)"
python3 - <<'END_P' || fail "wrong policy: see above"
import json
d = json.load(open("out.json"))
rows = {(r["allocator"], r["policy"]): r for r in d["results"] if r["role"] == "variant"}
print(list(rows))
assert rows[("libc", None)]["status"] == "ok"
assert rows[("hakmem", "never")]["status"] == "ok", rows
bad = [r for r in d["results"] if r["status"] == "failed"]
assert len(bad) == 1 and bad[0]["ns_per_op"] is None and bad[0]["syscalls"] is None, bad
assert bad[0]["error"] == "the policy in force is never, asked for: eager", bad
END_P

# the real one, without --policy
"$BIN/hakreplay" t.zst -a hakmem,libc -r 1 --db real.db --json >out.json
python3 - <<'END_P' || fail "default policy"
import json, sqlite3
d = json.load(open("out.json"))
policy = {r["allocator"]: r["policy"] for r in d["results"]}
got = sqlite3.connect("real.db").execute("select distinct allocator, policy from run where pass<>'control'").fetchall()
print(policy, got)
assert policy["hakmem"] and policy["libc"] is None
assert sorted(got) == [("hakmem", policy["hakmem"]), ("libc", None)], got
END_P

# the times: of a recording with pauses, ascending, close to 100 us apart at least, to the end
PYTHONMALLOC=malloc "$BIN/haktrace" -o rec.zst -- "$(python3 -c 'import sys; print(sys.executable)')" -c '
import threading, time
def f():
    for i in range(20):
        x = [bytes(300) for j in range(100)]
        time.sleep(0.01)
t = [threading.Thread(target=f) for i in range(3)]
[x.start() for x in t]; [x.join() for x in t]' 2>/dev/null
"$BIN/haktrace" dump rec.zst >rec.dump
for clock in virtual real; do
    "$BIN/hakreplay" rec.zst -a "hakmem=$PWD/deaf.so:CLOCK_LOG=$PWD/$clock" --clock=$clock --passes=account \
        --no-warm-up --no-db --json >out.json || fail "clock $clock: $(cat out.json)"
    grep -q "\"clock\": *\"$clock\"" out.json || fail "clock $clock: not said"
done
[ ! -e real ] || fail "the real clock was set"
python3 - <<'END_P' || fail "times: see above"
told = [int(x) for x in open("virtual")]
last = int(open("rec.dump").read().rsplit("\n", 2)[-2].split()[1].replace(".", ""))
print(len(told), told[:3], told[-1], last)
assert len(told) > 3  # how many depends on how the sleeping threads wake
assert all(a < b for a, b in zip(told, told[1:])), "not ascending"
assert told[-1] > 180e6, "the pauses are missing"
END_P
echo "ok hakreplay-policy"
