# A program that runs with the library: start, status, rotate, stop, again; a library that starts its own
# collector; the flight recorder; limits; the program's own memory calls.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

RT=$LIB/libhaktrace.so
started=
trap '[ -z "$started" ] || kill $started 2>/dev/null || true' EXIT

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local tries=$(($1 * 50))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.02
    done
}
ops_of() { haktrace status --json "$1" | sed -n 's/.*"ops": \([0-9]*\).*/\1/p'; }
sound() { # FILE: verifies, nothing lost
    "$STRESS/trace_check" "$1" >check || fail "$1 does not verify"
    grep -qx 'total dropped 0' check && grep -qx 'total implied 0' check || fail "$1: $(grep total check)"
}

# dormant, then recorded, and twice
LD_PRELOAD=$RT "$STRESS/trace_beat" 3 end >made & pid=$!
started=$pid
wait_for 5 grep -q libhaktrace "/proc/$pid/maps" || fail "the library is not loaded"
haktrace status $pid 2>err && fail "status of a dormant one: exit code 0"
grep -q 'not being recorded' err || fail "status of a dormant one: $(cat err)"
haktrace start -o a.zst $pid 2>err || fail "start: exit code $?: $(cat err)"
haktrace start -o b.zst $pid 2>err && fail "a second start was accepted"
grep -q 'is being recorded' err || fail "a second start: $(cat err)"
sleep 0.3
[ "$(ops_of $pid)" -gt 10000 ] || fail "status: $(haktrace status $pid)"
haktrace rotate $pid 2>err || fail "rotate: exit code $?: $(cat err)"
sleep 0.2
haktrace stop $pid 2>err || fail "stop: exit code $?: $(cat err)"
haktrace status $pid 2>/dev/null && fail "it is still recorded after the stop"
[ -e a.$pid.zst ] || fail "rotate made no second file: $(echo a*)"
for f in a.zst a.$pid.zst; do
    sound "$f"
    [ "$(grep -c ' malloc 300[123] ' check)" = 3 ] || fail "$f: not all threads: $(cat check)"
    haktrace info "$f" | grep -q 'ended by *the recording was stopped' || fail "$f: $(haktrace info "$f" | grep 'ended by')"
done
# of the second file, ops are a thousand pairs at a time or so: nothing goes on after the stop
before=$(stat -c %s a.$pid.zst)
haktrace start -q -o again.zst $pid 2>err || fail "start again: $(cat err)"
sleep 0.2
touch end
wait $pid || fail "the program: exit code $?"
started=
wait_for 5 haktrace verify -q again.zst || fail "started again: $(haktrace verify again.zst 2>&1)"
sound again.zst
# what was allocated before the start is unknown, and only that
grep -qx 'total foreign 3' check || fail "foreign: $(grep foreign check)"
[ "$(stat -c %s a.$pid.zst)" = "$before" ] || fail "a file grew after the stop"
haktrace start -o no.zst $pid 2>err && fail "start of a dead process"
grep -q 'no process' err || fail "$(cat err)"
rm -f end

# stop from outside of a recording by haktrace -o: the program goes on, and its exit code is passed on
haktrace -o l.zst -- "$STRESS/trace_beat" 2 end >made 2>err & tracer=$!
started=$tracer
wait_for 5 pgrep -P $tracer || fail "nothing was started"
pid=$(pgrep -P $tracer)
wait_for 5 haktrace status "$pid" || fail "no status"
haktrace stop "$pid" 2>stop.err || fail "stop: $(cat stop.err)"
kill -0 "$pid" || fail "the program ended with its recording"
touch end
wait $tracer || fail "exit code $?: $(cat err)"
started=
sound l.zst
rm -f end

# a rotation that fails: what was recorded is sound, the program goes on, the collector stays to be stopped
mkdir away
LD_PRELOAD=$RT "$STRESS/trace_beat" 2 end >made & pid=$!
started=$pid
wait_for 5 grep -q libhaktrace "/proc/$pid/maps" || fail "the library is not loaded"
haktrace start -q -o away/r.zst $pid 2>err || fail "start: $(cat err)"
sleep 0.1
mv away gone
haktrace rotate $pid 2>err && fail "a rotation into a folder that is gone: exit code 0"
grep -q 'could not be written' err || fail "a rotation that fails: $(cat err)"
sleep 0.1
haktrace stop $pid 2>err || fail "stop after it: $(cat err)"
kill -0 $pid || fail "the program ended with a rotation"
touch end
wait $pid || fail "the program: exit code $?"
started=
sound gone/r.zst
rm -f end

# LD_PRELOAD alone: every op from the first to the last, as the program says; nothing left in its environment
HAKTRACE_OUTPUT=$PWD/own-%n.zst LD_PRELOAD=$RT "$STRESS/trace_known" 4 500 >expected || fail "alone: exit code $?"
wait_for 5 haktrace verify -q own-trace_known.zst || fail "alone: $(haktrace verify own-trace_known.zst 2>&1)"
counts_equal "LD_PRELOAD alone" expected own-trace_known.zst
haktrace info own-trace_known.zst | grep -q 'from the first op on *yes' || fail "it does not claim the whole life"
HAKTRACE_OUTPUT=$PWD/env.zst HAKTRACE_OPTIONS='--ring-size=64KiB' LD_PRELOAD=$RT env >env.out
! grep -e HAKTRACE -e LD_PRELOAD env.out || fail "our settings reach the program's children"
# a collector that cannot start: the program runs as ever
HAKTRACE_OUTPUT=/nonexistent/x.zst LD_PRELOAD=$RT "$STRESS/trace_known" 2 100 >expected || fail "no output: exit code $?"
HAKTRACE_TOOL=/nonexistent HAKTRACE_OUTPUT=$PWD/no.zst LD_PRELOAD=$RT "$STRESS/trace_known" 2 100 >expected || fail "no tool"
[ ! -e no.zst ] || fail "a trace without a collector"

# guest manners: any of 0 to 2 closed; a host that adopts orphans gets no collector; wait() sees nothing of ours
for closed in '<&-' '>&-' '<&- >&-' '<&- >&- 2>&-'; do
    rm -f closed.zst
    (eval "HAKTRACE_OUTPUT=$PWD/closed.zst LD_PRELOAD=$RT exec $STRESS/trace_known 1 100 $closed") >/dev/null || true
    wait_for 5 haktrace verify -q closed.zst || fail "$closed: no trace"
    "$STRESS/trace_check" closed.zst | grep -qx '1 malloc 3001 100' || fail "$closed: $(haktrace info closed.zst | grep -m1 ops)"
done
cat >waits.c <<'END'
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) { /* exit code 0: no child that is not ours */
    if (argc > 1) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        setenv("LD_PRELOAD", argv[1], 1);
        execl(argv[0], argv[0], NULL);
    }
    free(malloc(100));
    alarm(5);
    if (fork() == 0) _exit(0);
    while (waitpid(-1, NULL, __WALL) > 0) continue;
    return errno != ECHILD;
}
END
if gcc -o waits waits.c 2>/dev/null; then
    HAKTRACE_OUTPUT=$PWD/waits.zst LD_PRELOAD=$RT ./waits || fail "waiting for all children: exit code $?"
    wait_for 5 haktrace verify -q waits.zst || fail "no trace of one that waits"
    HAKTRACE_OUTPUT=$PWD/sub.zst ./waits "$RT" || fail "a subreaper: exit code $?"
    [ ! -e sub.zst ] || fail "a subreaper got a collector for a child"
fi

# several programs with one environment, at once and one after another in one's place: a file each, all sound
one=$PWD/each.zst
HAKTRACE_OUTPUT=$one HAKTRACE_OPTIONS=--follow=exec LD_PRELOAD=$RT \
    sh -c '"$0" 1 50; "$0" 1 60; exec "$0" 1 70' "$STRESS/trace_known" >/dev/null || fail "following: exit code $?"
four() { [ "$(find . -name "each*.zst" | wc -l)" = 4 ] && haktrace verify -q each*.zst; }
wait_for 5 four || fail "a shell and three programs: $(ls each*) $(haktrace verify each*.zst 2>&1)"
for n in 50 60 70; do
    for f in each*.zst; do "$STRESS/trace_check" "$f"; done | grep -qx "1 malloc 3001 $n" || fail "the program of $n is in no file"
done
rm -f each*.zst
# shellcheck disable=SC2034 # counts
for i in 1 2 3; do HAKTRACE_OUTPUT=$one LD_PRELOAD=$RT "$STRESS/trace_known" 2 2000 >/dev/null & done
wait
three() { haktrace verify -q each*.zst && ! fuser -s each*.zst 2>/dev/null; }
wait_for 5 three || fail "three at once: $(haktrace verify each*.zst 2>&1)"
for f in each*.zst; do sound "$f"; done
haktrace -q -o busy.zst -- sleep 1 & tracer=$!
wait_for 5 test -s busy.zst || fail "no file"
haktrace -q -o busy.zst -- true 2>err && fail "two recordings into one file"
grep -q 'is being written by another process' err || fail "two recordings: $(cat err)"
haktrace cut -o busy.zst own-trace_known.zst 2>/dev/null # replaces the name, not what is being written
wait $tracer || fail "the first recording: exit code $?"

# why there is no recording can be asked
for why in 'HAKTRACE_OUTPUT=/nonexistent/x.zst cannot create /nonexistent/x.zst' \
    'HAKTRACE_OPTIONS=--bogus HAKTRACE_OPTIONS' 'HAKTRACE_TOOL=/nonexistent no haktrace was found'; do
    env HAKTRACE_OUTPUT="$PWD/none.zst" "${why%% *}" LD_PRELOAD="$RT" "$STRESS/trace_beat" 1 end >made & pid=$!
    started=$pid
    reason() { ! haktrace status "$pid" 2>err && grep -q "not being recorded: .*${why#* }" err; }
    wait_for 10 reason || fail "${why%% *}: $(cat err)"
    touch end
    wait $pid || fail "the program: exit code $?"
    rm -f end made
done
started=

# a signal to the collector ends the recording in good order, and the program goes on
for signal in INT TERM HUP; do
    LD_PRELOAD=$RT "$STRESS/trace_beat" 2 end >made & pid=$!
    started=$pid
    wait_for 5 grep -q libhaktrace "/proc/$pid/maps" || fail "the library is not loaded"
    # a shell's background jobs ignore SIGINT: not this one
    python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
        haktrace start --foreground -o "$signal.zst" $pid 2>err & collector=$!
    wait_for 5 haktrace status $pid || fail "$signal: not recorded: $(cat err)"
    haktrace snapshot $pid 2>snap.err && fail "a snapshot without a window"
    grep -q 'not recorded into a window' snap.err || fail "snapshot: $(cat snap.err)"
    sleep 0.1
    kill -s "$signal" $collector
    wait $collector || fail "$signal: exit code $?: $(cat err)"
    kill -0 $pid || fail "$signal ended the program"
    sound "$signal.zst"
    haktrace info "$signal.zst" | grep -q 'ended by *the recording was stopped' || fail "$signal: how it ended"
    touch end
    wait $pid || fail "the program: exit code $?"
    rm -f end
done
started=

# many cycles of start and stop take no more of the program's memory each
LD_PRELOAD=$RT "$STRESS/trace_beat" 3 end >made & pid=$!
started=$pid
wait_for 5 grep -q libhaktrace "/proc/$pid/maps"
for i in $(seq 8); do
    haktrace start -q -o cycle.zst $pid && sleep 0.05 && haktrace stop $pid 2>/dev/null || fail "cycle $i"
    rm -f cycle*.zst
done
shmem=$(sed -n 's/^RssShmem:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
size=$(sed -n 's/^VmSize:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
[ "$shmem" -lt 8000 ] && [ "$size" -lt 6000000 ] || fail "after 8 cycles RssShmem is $shmem kB, VmSize $size kB"
touch end
wait $pid || fail "the program: exit code $?"
started=
rm -f end

# a collector that was killed: said, and another takes over
LD_PRELOAD=$RT "$STRESS/trace_beat" 3 end >made & pid=$!
started=$pid
wait_for 5 grep -q libhaktrace "/proc/$pid/maps" || fail "the library is not loaded"
haktrace start -q -o k.zst $pid || fail "start: exit code $?"
wait_for 5 eval '[ "$(ops_of $pid)" -gt 1000 ]' || fail "nothing was recorded"
kill -9 "$(haktrace status --json $pid | sed -n 's/.*"collector_pid": \([0-9]*\).*/\1/p')"
wait_for 5 eval 'haktrace status $pid 2>&1 | grep -q "its collector has died"' || fail "status: $(haktrace status $pid 2>&1)"
haktrace start -q -o l.zst $pid || fail "start beside a dead collector: exit code $?"
wait_for 5 eval '[ "$(ops_of $pid)" -gt 10000 ]' || fail "the second recording: $(haktrace status $pid 2>&1)"
haktrace stop $pid 2>err || fail "stop: exit code $?: $(cat err)"
touch end
wait $pid || fail "the program: exit code $?"
started=
rm -f end
sound l.zst
[ "$(haktrace info --json l.zst | sed -n 's/^ *"threads": \([0-9]*\),.*/\1/p' | head -n 1)" -ge 3 ] || fail "not all threads are in the second recording"

# flight recorder: at death the last ops; on SIGUSR2 and snapshot, files of their own
haktrace -q --window=256KiB -o w.zst -- "$STRESS/trace_known" 4 2000 >expected || fail "window: exit code $?"
sound w.zst
ops=$(haktrace info --json w.zst | sed -n 's/^ *"ops": \([0-9]*\),.*/\1/p' | head -n 1)
[ "$ops" -gt 4000 ] && [ "$ops" -lt 5500 ] || fail "a window of 256 KiB holds $ops ops"
haktrace dump w.zst | grep -q '^event .*window' || fail "the trace does not say that ops were left out"
haktrace -q --window=1s -o v.zst -- "$STRESS/trace_beat" 1 end >made & tracer=$!
started=$tracer
wait_for 5 pgrep -P $tracer && pid=$(pgrep -P $tracer) && wait_for 5 haktrace status "$pid" || fail "nothing was started"
haktrace snapshot "$pid" 2>err && [ -e v.zst ] || fail "snapshot: $(cat err)"
kill -USR2 $tracer
wait_for 5 [ -e "v.$pid.zst" ] || fail "SIGUSR2 wrote nothing: $(echo v*)"
touch end
wait $tracer || fail "exit code $?"
started=
for f in v*.zst; do sound "$f"; done
[ "$(echo v*.zst | wc -w)" = 3 ] || fail "files of the window: $(echo v*.zst)"
rm -f end

# limits: the program goes on to its end
haktrace --max-size=32KiB -o s.zst -- "$BIN/bench_random_mixed" 3000000 4000 1 >out 2>err || fail "--max-size: exit code $?"
grep -q 'Mops/s' out && grep -q 'ended by a limit' err || fail "--max-size: $(cat err)"
[ "$(stat -c %s s.zst)" -le 32768 ] && [ "$(stat -c %s s.zst)" -gt 12000 ] || fail "--max-size: $(stat -c %s s.zst) bytes"
haktrace info s.zst | grep -q 'ended by *a limit' || fail "--max-size: $(haktrace info s.zst | grep 'ended by')"
sound s.zst
cat >limits.c <<'END'
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    uint64_t x = 88172645463325252ull;
    for (int i = 0; i < 400000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        if (argc == 1)
            free(malloc(x >> 2 | 1ull << 62)); /* nothing that compresses */
        else
            munmap(mmap(NULL, 4096 + (x >> 20 & 0xfffff), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    }
    (void)argv;
    return 0;
}
END
if gcc -O0 -fno-builtin -o limits limits.c 2>/dev/null; then
    for args in '' 'events'; do
        for size in 65536 204800 1048576; do
            # shellcheck disable=SC2086
            haktrace -q --mmap --max-size=$size -o s.zst -- ./limits $args || fail "--max-size=$size: exit code $?"
            got=$(stat -c %s s.zst)
            [ "$got" -le $size ] && [ "$got" -gt $((size / 2)) ] || fail "--max-size=$size ${args:-sizes}: $got bytes"
            sound s.zst
        done
    done
fi
haktrace --max-time=100ms -o s.zst -- sh -c 'sleep 0.5; exit 3' 2>err && rc=0 || rc=$?
[ "$rc" = 3 ] && grep -q 'ended by a limit' err || fail "--max-time: exit code $rc: $(cat err)"

# the program's own memory calls
haktrace -q --mmap -o m.zst -- /usr/bin/python3 -c 'import mmap
m = mmap.mmap(-1, 123456); m.madvise(mmap.MADV_DONTNEED); m.resize(250000); m.close()' || fail "--mmap: exit code $?"
haktrace verify -q m.zst
haktrace dump m.zst | grep '^event' >events
for event in 'mmap address=[0-9]* length=123456 prot=3 flags=33' 'madvise address=[0-9]* length=123456 advice=4' \
    'mremap old_address=[0-9]* old_length=123456 address=[0-9]* length=250000' 'munmap address=[0-9]* length=250000'; do
    grep -q "$event" events || fail "--mmap: no $event: $(cat events)"
done
haktrace -q -o m.zst -- /usr/bin/python3 -c 'import mmap; mmap.mmap(-1, 123456).close()'
! haktrace dump m.zst | grep '^event' || fail "memory calls without --mmap"

# a malloc of its own is said
printf '%s\n' '#include <stddef.h>' 'static char heap[1 << 20]; static size_t at;' \
    'void *malloc(size_t n) { void *p = heap + at; at += (n + 31) & ~15ul; return p; }' 'void free(void *p) { (void)p; }' \
    'int main(void) { free(malloc(9)); return 0; }' >own.c
if gcc -O0 -fno-builtin -o own own.c 2>/dev/null; then
    haktrace -o t.zst -- ./own 2>err || fail "own malloc: exit code $?"
    grep -q 'brings a malloc of its own, in ./own' err || fail "own malloc: $(cat err)"
fi
echo ok
