#!/bin/bash
# What becomes of the results where they cannot be stored or shown: a disk that fills in the middle, a file
# size limit, a folder without leave, an output that is full, and interruptions, at each stage.
# timeout: 180
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"
haktrace gen -o t.zst random_mixed 20000 400 1

# a disk with DISK_LEFT bytes: what a database writes beyond them is refused; and SIGINT at a stage
cat >shim.c <<'END_C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int is_database(int fd)
{
    char link[64], name[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = readlink(link, name, sizeof name - 1);
    name[n > 0 ? n : 0] = '\0';
    return strstr(name, ".db") != NULL && strstr(name, "-shm") == NULL;
}
static int fits(int fd, size_t n)
{
    static long left = -1;
    if (getenv("DISK_LEFT") == NULL || !is_database(fd))
        return 1;
    if (left < 0)
        left = atol(getenv("DISK_LEFT"));
    if ((long)n > left) {
        errno = ENOSPC;
        return 0;
    }
    left -= n;
    return 1;
}
ssize_t pwrite64(int fd, const void *b, size_t n, off_t at) { return fits(fd, n) ? syscall(SYS_pwrite64, fd, b, n, at) : -1; }
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { return pwrite64(fd, b, n, at); }
ssize_t write(int fd, const void *b, size_t n) { return fits(fd, n) ? syscall(SYS_write, fd, b, n) : -1; }
int memfd_create(const char *name, unsigned flags)
{
    if (getenv("STOP_AT") != NULL && strcmp(name, getenv("STOP_AT")) == 0)
        raise(getenv("STOP_BY") != NULL ? atoi(getenv("STOP_BY")) : SIGINT);
    static int runs;
    if (getenv("RUNS_LEFT") != NULL && strcmp(name, "hakreplay-run") == 0 && runs++ == atoi(getenv("RUNS_LEFT"))) {
        errno = ENFILE;
        return -1;
    }
    return syscall(SYS_memfd_create, name, flags);
}
FILE *fopen64(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = (FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, "fopen64");
    if (getenv("HIDDEN") != NULL && strcmp(path, getenv("HIDDEN")) == 0) {
        errno = ENOENT;
        return NULL;
    }
    return real(path, mode);
}
FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }
END_C
gcc -O1 -shared -fPIC -o shim.so shim.c -ldl

state() { hakdb -d r.db --csv experiments | python3 -c 'import csv, sys; print(*(r["state"] for r in csv.DictReader(sys.stdin)))'; }

full() { # BYTES: a run on such a disk
    rm -f r.db*
    rc=0
    DISK_LEFT=$1 LD_PRELOAD=$PWD/shim.so hakreplay t.zst --passes=time -r 12 -a libc --db=r.db --json >out.json 2>err || rc=$?
    [ $rc = 1 ] || fail "$1 bytes left: exit code $rc: $(cat err)"
    grep -q 'the disk is full' err || fail "$1 bytes left: $(cat err)"
}
# nothing can be stored at all: said before anything is measured, with what else can be done
for left in 0 20000; do
    full $left
    [ ! -s out.json ] && grep -q -- '--no-db' err || fail "$left bytes left: $(cat err out.json)"
done
# some: all is measured and shown, and how many runs the database holds is true
seen=0
for left in 200000 300000 400000 500000; do
    full $left
    python3 - <<'END' || fail "$left bytes left: see above"
import json, re, sqlite3
d, err = json.load(open("out.json")), open("err").read()
db = sqlite3.connect("r.db")
held = db.execute("SELECT count(*) FROM run WHERE status = 'ok'").fetchone()[0]
said = [n for n in d["notes"] if n.startswith("Storing failed")]
print(held, said)
assert d["results"][0]["repeats"] == 12 and d["results"][0]["ns_per_op"] > 0 and len(d["runs"]) == 24, d["results"]
assert said == [f"Storing failed: r.db holds {held} of these 24 runs."] and 0 <= held < 24, said
assert f"{held} runs are stored; those that follow are only shown" in err, err
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
# each run that is there is whole
assert db.execute("SELECT count(*) FROM run WHERE id NOT IN (SELECT run_id FROM metric WHERE name = 'ns_per_op')").fetchone()[0] == 0
open("held", "w").write(str(held))
END
    seen=$((seen + $(cat held)))
    hakdb -d r.db check >out || fail "$left bytes left: check: $(cat out)"
    ! state | grep -q running || fail "$left bytes left: $(state)" # though not a byte was left to say so
done
[ $seen -gt 0 ] || fail "no run was ever stored"
# and where no run can be made afterwards, that is said as well
rm -f r.db*
rc=0
RUNS_LEFT=20 DISK_LEFT=300000 LD_PRELOAD=$PWD/shim.so hakreplay t.zst --passes=time -r 12 -a libc --db=r.db --json >out.json 2>err || rc=$?
[ $rc = 1 ] && grep -q 'the disk is full' err && grep -q 'Too many open files in system' err || fail "no more runs: $rc, $(cat err)"
grep -q '"Storing failed: r.db holds' out.json || fail "no more runs: $(cat out.json)"
# and once there is room again the same database takes more
hakreplay t.zst --passes=time -r 1 -a libc --db=r.db >out || fail "room again: $?"
hakdb -d r.db check >out || fail "room again: $(cat out)"

# a limit of the size of files, which shared memory has too, is no death without a word
for kib in 10 1000; do
    rm -f r.db*
    rc=0
    (ulimit -f $kib && exec hakreplay t.zst --passes=time -r 100 -a libc --db=r.db >out 2>err) || rc=$?
    [ $rc = 1 ] && grep -q 'r.db\|memfd' err || fail "ulimit -f $kib: exit code $rc: $(cat err)"
done
grep -q '^libc ' out && grep -q 'Storing failed: r.db holds' out || fail "ulimit -f: $(cat out err)"
rc=0
(ulimit -f 10 && exec hakdb -d new.db migrate >out 2>err) || rc=$?
[ $rc = 1 ] && grep -q 'new.db' err || fail "hakdb beyond ulimit -f: $rc, $(cat err)"

# a narrow stack is no crash
(ulimit -s 128 && exec hakreplay t.zst -r 1 -a libc,hakmem --no-db --json >out.json 2>err) || fail "ulimit -s 128: $?, $(cat out.json err)"

# a folder that may not be written
rc=0
hakreplay t.zst -r 1 -a libc --db=/proc/r.db >out 2>err || rc=$?
[ $rc = 1 ] && grep -q '/proc/r.db.*--no-db' err || fail "no leave: $rc, $(cat err)"

# what cannot be shown is an error, of help too
for tool in hakreplay haksim hakdb 'haksim optimise'; do
    for option in --help --usage --version; do
        rc=0
        $tool $option >/dev/full 2>err || rc=$?
        [ $rc = 1 ] && grep -q 'cannot write the output' err || fail "$tool $option: $rc, $(cat err)"
        [ "$(wc -l <err)" = 1 ] || fail "$tool $option: said twice: $(cat err)"
    done
done

# interrupted while the trace is read: code 1, said, nothing stored
for signal in 2 15 1; do
    rc=0
    STOP_AT=hakreplay-plan STOP_BY=$signal LD_PRELOAD=$PWD/shim.so hakreplay t.zst -a libc --db=early.db >out 2>err || rc=$?
    [ $rc = 1 ] && grep -q 'interrupted before the first run' err || fail "signal $signal: $rc, $(cat err)"
    [ ! -e early.db ] && [ ! -s out ] || fail "signal $signal: something was stored or shown"
done
# interrupted before the first run is done: the experiment is told as such, not left open
for signal in 2 15 1; do
    rm -f r.db*
    rc=0
    STOP_AT=hakreplay-run STOP_BY=$signal LD_PRELOAD=$PWD/shim.so hakreplay t.zst -a libc -r 3 --db=r.db --json >out.json 2>err || rc=$?
    [ $rc = 1 ] || fail "signal $signal in a run: exit code $rc: $(cat err)"
    python3 - <<'END' || fail "signal $signal in a run: $(cat out.json)"
import json, sqlite3
d, db = json.load(open("out.json")), sqlite3.connect("r.db")
assert d["interrupted"] and any(n.startswith("Interrupted") for n in d["notes"]), d
assert db.execute("SELECT state FROM experiment").fetchone()[0] == "interrupted"
assert d["results"][0]["ns_per_op"] is None and d["results"][0]["ratio"] is None, d["results"]
END
done
# nohup's choice stands
rc=0
(trap '' HUP && STOP_AT=hakreplay-run STOP_BY=1 LD_PRELOAD=$PWD/shim.so exec hakreplay t.zst -a libc -r 1 --passes=time --no-db >out 2>err) || rc=$?
[ $rc = 0 ] || fail "an ignored SIGHUP: exit code $rc"

# killed outright: what was finished is there and whole, and no run lives on
interposer hangs <<'END_C'
#include <stdio.h>
#include <unistd.h>
void *malloc(size_t size)
{
    static long n;
    if (size >= 16 && size < 1040 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) == 5000) {
        FILE *f = fopen("hanging", "w");
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
        for (;;)
            pause();
    }
    return __libc_malloc(size);
}
END_C
rm -f r.db*
hakreplay t.zst -a "libc,hangs=$PWD/hangs.so" -r 2 --no-warm-up --order=abba --passes=time --no-control --db=r.db >out 2>err &
pid=$!
while [ ! -s hanging ]; do
    sleep 0.05
    kill -0 $pid || fail "it ended by itself: $(cat out err)"
done
[ "$(state)" = running ] || fail "at work: $(state)"
# also where /proc hides the processes of other users
[ "$(HIDDEN=/proc/$pid/stat LD_PRELOAD=$PWD/shim.so state)" = running ] || fail "at work, hidden: $(HIDDEN=/proc/$pid/stat LD_PRELOAD=$PWD/shim.so state)"
hakdb -d r.db check >out && grep -q 'still at work' out || fail "at work: $(cat out)"
kill -KILL $pid
wait $pid 2>/dev/null || true
while [ -e "/proc/$(cat hanging)" ] && ! grep -q '^State:.*Z' "/proc/$(cat hanging)/status"; do sleep 0.05; done
[ "$(sqlite3 r.db "PRAGMA integrity_check; SELECT group_concat(allocator || ' ' || status) FROM run")" = "ok
libc ok" ] || fail "killed: $(sqlite3 r.db 'SELECT * FROM run')"
hakdb -d r.db check >out && grep -q 'never finished: its tool was killed' out || fail "killed: $(cat out)"
[ "$(state)" = interrupted ] || fail "killed: $(state)"
[ "$(sqlite3 r.db 'SELECT state FROM experiment')" = running ] || fail "reading has written"
hakreplay t.zst -a libc -r 1 --no-warm-up --passes=time --no-control --db=r.db >out 2>err || fail "after it: $(cat err)"
[ "$(sqlite3 r.db 'SELECT group_concat(state, " ") FROM (SELECT * FROM experiment ORDER BY id)')" = 'interrupted done' ] || fail "the next one did not tell"
# Of a process elsewhere nothing is known: another name space, another machine, an older file.
sqlite3 r.db "UPDATE experiment SET state = 'running', writer = replace(writer, 'pid:[', 'pid:[9') WHERE id = 1"
[ "$(state)" = 'running done' ] || fail "another name space: $(state)"
sqlite3 r.db "UPDATE experiment SET writer = NULL WHERE id = 1"
[ "$(state)" = 'running done' ] || fail "no writer: $(state)"
# This machine was booted since: gone.
sqlite3 r.db "UPDATE experiment SET writer = 'another-boot pid:[1] 1 1' WHERE id = 1"
[ "$(state)" = 'interrupted done' ] || fail "another boot: $(state)"
sqlite3 r.db "UPDATE machine SET identity = 'x'"
[ "$(state)" = 'running done' ] || fail "another machine: $(state)"
echo "ok hakreplay-storing"
