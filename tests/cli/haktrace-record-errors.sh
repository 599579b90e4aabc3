# Exit codes and messages: what cannot be recorded, and what ends a recording.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

# expect CODE PATTERN COMMAND...
expect() {
    local code=$1 pattern=$2 rc=0
    shift 2
    "$@" >out 2>err || rc=$?
    [ $rc = "$code" ] || fail "exit code $rc, not $code: $*: $(cat err)"
    [ -z "$pattern" ] || grep -q -- "$pattern" err || fail "no \"$pattern\" in the message of $*: $(cat err)"
}

expect 2 "'true' is no command.*haktrace -o FILE true" haktrace true
expect 2 'no output file' haktrace -q true
expect 2 'does not go with --window' haktrace -o t.zst --window=1MiB --max-size=1MiB -- true
expect 2 'no program' haktrace -o t.zst
expect 2 'power of two' haktrace -o t.zst --ring-size=100000 -- true
expect 2 'must be' haktrace -o t.zst --ring-size=1 -- true
expect 2 'not a choice' haktrace -o t.zst --on-full=maybe -- true
expect 2 "not a choice" haktrace -o t.zst --follow=all -- true
expect 127 'no such program' haktrace -o t.zst -- ./none
expect 127 'no such program' haktrace -o t.zst -- haktrace-none
echo text >text && chmod 644 text
expect 126 'cannot be executed' haktrace -o t.zst -- ./text
printf '#!/nonexistent/shell\n' >script && chmod 755 script
expect 127 'cannot start ./script.*No such file' haktrace -o t.zst -- ./script
[ ! -e t.zst ] || fail "a program that never ran left a trace"
mkfifo fifo
cat fifo >/dev/null &
expect 127 'cannot start' haktrace -o fifo -- ./script
wait $!
[ -p fifo ] || fail "what is no file was removed"
expect 1 'libhaktrace.so is not there' haktrace -o t.zst --library=/nonexistent/libhaktrace.so -- true
expect 1 'nonexistent' haktrace -o /nonexistent/t.zst -- sh -c 'echo ran >ran'
[ ! -e ran ] || fail "the program ran although the trace could not be written"

expect 0 ' ops, 1 threads, 0 dropped' haktrace -o t.zst -- sh -c :
expect 7 ' ops, ' haktrace -o t.zst -- sh -c 'exit 7'
expect 143 'killed by signal 15' haktrace -o t.zst -- sh -c 'kill -TERM $$'
expect 0 '' haktrace -q -o t.zst ls /
[ ! -s err ] || fail "-q is not quiet: $(cat err)"
expect 5 '' haktrace -q -o t.zst sh -c 'exit 5' # no -- needed; options after the program are its own

# of standard output, too, the summary tells the whole size, whatever a file named "-" has
echo - >./-
haktrace -o - -- sh -c 'exec >/dev/null; for i in 1 2 3 4 5 6 7 8 9; do :; done' 2>err | cat >piped.zst
haktrace verify -q piped.zst || fail "-o -: the trace does not verify"
size=$(awk -v n="$(stat -c %s piped.zst)" 'BEGIN { printf "%.2f KiB", n / 1024 }')
grep -q -- "haktrace: -: .* dropped, $size " err || fail "-o -: not $size: $(cat err)"

cat >a.c <<'END'
#include <stdlib.h>
int main(void) { free(malloc(10)); return 0; }
END
if gcc -static -o static a.c 2>/dev/null; then
    expect 0 '0 records: the program did not load the library: it is statically linked' haktrace -o t.zst -- ./static
    "$STRESS/trace_check" t.zst >check || fail "the empty trace does not verify"
fi

# an allocator that is linked in out of reach, and one that not even its symbols name
cat >hidden.c <<'END'
#include <stdlib.h>
static char arena[1 << 16];
static size_t used;
__attribute__((visibility("hidden"))) void *malloc(size_t n) {
    void *p = arena + used;
    used += (n + 15) / 16 * 16;
    return p;
}
__attribute__((visibility("hidden"))) void free(void *p) { (void)p; }
int main(int argc, char **argv) {
    (void)argv;
    for (int i = 0; i < 100; i++) free(malloc((size_t)argc));
    return argc > 1 && setenv("HAK_NONE", "a", 1) != 0; /* libc's own call is recorded */
}
END
gcc -O1 -fno-builtin -o hidden hidden.c
gcc -O1 -fno-builtin -s -o stripped hidden.c
expect 0 'hidden: 0 records: it has an allocator of its own linked into it (malloc)' haktrace -o t.zst ./hidden
expect 0 'hidden: it has an allocator .* of its libraries alone' haktrace -o t.zst ./hidden more
expect 0 'stripped: 0 records: .* no calls of the malloc family that a library could take' haktrace -o t.zst ./stripped
sed 's/return argc > 1/const char *volatile conf = "MALLOC_CONF"; & \&\& *conf/' hidden.c >named.c
gcc -O1 -fno-builtin -s -o named named.c
expect 0 'named: 0 records: .*(jemalloc)' haktrace -o t.zst ./named
expect 0 '' haktrace -o t.zst "$BIN/bench_random_mixed" 1000 100 1
if grep -q 'allocator of its own' err; then fail "false: $(cat err)"; fi

expect 0 'executed .*sleep in its place, which was not recorded' haktrace -o t.zst -- sh -c 'exec sleep 0.5'

# a trace that ends early says so, and not that the program allocates nothing
rc=0
haktrace -o >(head -c 100 >/dev/null) -- "$BIN/bench_random_mixed" 200000 400 1 >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'later records were discarded' err || fail "a reader that went away: $rc, $(cat err)"
if grep -q 'never called the malloc' err; then fail "false: $(cat err)"; fi

# with SIGCHLD ignored from the start there is still a status, and the program has it ignored
rc=0
(trap '' CHLD; exec haktrace -q -o t.zst -- grep -q '^SigIgn:.*[13579bdf]....$' /proc/self/status) || rc=$?
[ $rc = 0 ] || fail "SIGCHLD ignored: exit code $rc"

# a signal meant for the program reaches it, and the recording is closed
haktrace -o t.zst -- sh -c 'trap "exit 9" TERM; echo up >up; while :; do sleep 0.05; done' 2>err &
tracer=$!
while [ ! -e up ]; do sleep 0.02; done
# before that, its few ops are in the file while it goes on
for _ in $(seq 600); do
    seen=$(haktrace info --json t.zst 2>/dev/null | sed -n 's/^ *"ops": \([0-9]*\).*/\1/p' | head -n 1)
    [ "${seen:-0}" = 0 ] || break
    sleep 0.05
done
[ "${seen:-0}" -gt 0 ] || fail "nothing is in the file of a program that goes on"
kill -TERM $tracer
rc=0
wait $tracer || rc=$?
[ $rc = 9 ] || fail "SIGTERM: exit code $rc, not 9: $(cat err)"
"$STRESS/trace_check" t.zst >check || fail "the trace does not verify"

# the collector killed: the program goes on to its end, the rest is readable
rm -f board
haktrace -q -o t.zst --ring-size=8KiB -- "$STRESS/trace_kill" 2 "$PWD/board" 2>err &
tracer=$!
pid=0
while [ "$pid" = 0 ]; do
    sleep 0.02
    [ ! -s board ] || pid=$(od -An -t u8 -N 8 board | tr -d ' ')
done
sleep 1.3
kill -9 $tracer
wait $tracer 2>/dev/null || true
sleep 0.3
"$STRESS/trace_kill" "$PWD/board" >before
sleep 0.2
"$STRESS/trace_kill" "$PWD/board" >after
kill -9 "$pid"
paste before after | awk '$6 <= $3 { bad = 1 } END { exit bad }' || fail "the program stands still without its collector: $(paste before after)"
haktrace info t.zst >out 2>err || fail "a recording whose collector died cannot be read: $(cat err)"
grep -q '^complete  *no' out || fail "it says to be complete: $(grep complete out)"

# a full disk: the program goes on, the file is whole up to there
if mkdir full && unshare -rm sh -c "mount -t tmpfs -o size=64k none full" 2>/dev/null; then
    unshare -rm sh -c "mount -t tmpfs -o size=64k none full &&
        { haktrace -o full/t.zst -- $BIN/bench_random_mixed 3000000 4000 1 >out 2>err; echo \$? >rc; cp full/t.zst part.zst; }"
    [ "$(cat rc)" = 1 ] || fail "full disk: exit code $(cat rc), not 1: $(cat err)"
    grep -q 'No space left' err && grep -q 'the program ran on' err || fail "full disk: $(cat err)"
    grep -q 'Mops/s' out || fail "full disk: the program did not finish"
    haktrace info part.zst >out 2>err || fail "full disk: the file cannot be read: $(cat err)"
else
    echo "full disk: not tried, no mount namespace here"
fi

# a limit on file sizes is an error of writing, not the end of haktrace
rc=0
(ulimit -f 64; exec haktrace --max-threads=2 --ring-size=8KiB -o limited.zst -- "$BIN/bench_random_mixed" 1000000 4000 1) >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'File too large' err && grep -q 'Mops/s' out || fail "RLIMIT_FSIZE: exit code $rc: $(cat err)"
(ulimit -f 64; haktrace -o t.zst -- true) 2>err || true
grep -q 'ulimit -f' err || fail "RLIMIT_FSIZE below the buffers: $(cat err)"
haktrace info limited.zst >out 2>err || fail "RLIMIT_FSIZE: the file cannot be read: $(cat err)"
echo ok
