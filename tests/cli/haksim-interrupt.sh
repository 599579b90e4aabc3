#!/bin/bash
# haksim: an interrupt ends it in good order, wherever it is: exit code 1, no half document, nothing broken in the
# store. The moment is held still, not waited for: the process that drives the trace is stopped once it is there.
# timeout: 60
set -eu

fail() {
    echo "$*"
    exit 1
}

# name of the process, arguments: runs haksim with them, stops the first process of that name that it starts, sends
# haksim SIGTERM (a shell starts background jobs with SIGINT ignored), and lets the other go on once that signal
# was passed on to it.
interrupt() {
    local name=$1 pid child='' all rc=0 seen=''
    shift
    haksim "$@" >out 2>err &
    pid=$!
    until [ "$seen" = "$name" ]; do
        read -r all <"/proc/$pid/task/$pid/children" || ! grep -q '^State:.*Z' "/proc/$pid/status" || fail "it is over: $(cat err)"
        child=${all%% *} seen=''
        [ -z "$child" ] || read -r seen 2>/dev/null <"/proc/$child/comm" || true
    done
    kill -STOP "$child"
    until grep -q '^State:.*T' "/proc/$child/status" 2>/dev/null; do
        [ -e "/proc/$child" ] || fail "$*: $name has ended before it was stopped"
    done
    kill -TERM $pid
    # (never, if it is not passed on: the limit of time is the answer then)
    until grep -Eq '^ShdPnd:.*[1-9a-f]' "/proc/$child/status" 2>/dev/null || ! [ -e "/proc/$child" ]; do
        sleep 0.02
    done
    kill -CONT "$child" 2>/dev/null || true
    wait $pid || rc=$?
    [ $rc = 1 ] || fail "$*: exit code $rc: $(cat err)"
    grep -q interrupted err || fail "$*: says $(cat err)"
}

haktrace gen -o t.zst random_mixed 8000000 4000 1
haksim t.zst --mode=full -p never --db r.db >out 2>&1

# In the very first pass over the trace: nothing to show, and not a success.
interrupt haksim t.zst -p eager --no-db
[ ! -s out ] || fail "shows $(cat out)"

# In a full run; the store is whole, and what was there is.
interrupt haksim t.zst --mode=full -p eager,never,partial:1,partial:2,partial:3,partial:4 --db r.db
python3 - <<'END'
import sqlite3
db = sqlite3.connect("r.db")
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
assert db.execute("SELECT count(*) FROM run WHERE policy = 'never' AND status = 'ok'").fetchone()[0] >= 1
assert db.execute("SELECT count(*) FROM run WHERE status <> 'ok'").fetchone()[0] == 0
assert db.execute("SELECT count(*) FROM experiment WHERE state = 'running'").fetchone()[0] == 0
END
interrupt haksim t.zst --mode=full -p eager --no-db

# In a replay that --confirm has started.
haktrace gen -o s.zst random_mixed 100000 4000 1
haksim optimise s.zst -p partial:2 --db s.db >out
interrupt hakreplay optimise s.zst -p partial:2 --db=s.db --prices=reference --confirm

# And just before that is hakreplay: the process is still haksim's own, with its handlers.
cat >shim.c <<'END_C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int open64(const char *path, int flags, ...)
{
    if (strcmp(path, "/dev/null") == 0 && (flags & O_ACCMODE) == O_WRONLY) {
        unsetenv("LD_PRELOAD");
        raise(SIGSTOP);
    }
    return syscall(SYS_openat, AT_FDCWD, path, flags, 0644);
}
int open(const char *path, int flags, ...) __attribute__((alias("open64")));
END_C
gcc -O1 -shared -fPIC -o shim.so shim.c
replays() { sqlite3 s.db "SELECT count(*) FROM experiment WHERE tool = 'hakreplay'"; }
before=$(replays)
LD_PRELOAD=$PWD/shim.so haksim optimise s.zst -p partial:2 --db=s.db --prices=reference --confirm >out 2>err &
pid=$!
until grep -q '^State:.*T' "/proc/${child:-0}/status" 2>/dev/null; do
    read -r child rest <"/proc/$pid/task/$pid/children" || ! grep -q '^State:.*Z' "/proc/$pid/status" || fail "it is over: $(cat err)"
done
kill -TERM $pid
until grep -Eq '^ShdPnd:.*[1-9a-f]' "/proc/$child/status"; do sleep 0.02; done
kill -CONT "$child"
rc=0
wait $pid || rc=$?
[ $rc = 1 ] && grep -q interrupted err || fail "before hakreplay: exit code $rc: $(cat err)"
[ "$(replays)" = "$before" ] || fail "before hakreplay: it ran all the same"
echo "ok haksim-interrupt"
