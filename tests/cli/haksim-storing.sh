#!/bin/bash
# haksim: what is evaluated is shown whole, also where it cannot be stored (a file that may not grow) and where
# the reader is slow and a signal comes while the table is written; what the store says of the command.
set -eu

fail() {
    echo "$*"
    exit 1
}

haktrace gen -o t.zst random_mixed 100000 4000 1
list='decay:ms=1..10000*1.01'

# Some results are stored, then the file may grow no more: all are shown, and it is said how many are kept.
haksim t.zst --db=small.db -p never >/dev/null
size=$(($(stat -c %s small.db) / 1024))
rc=0
(ulimit -f $((size + 600)) && haksim t.zst --db=small.db -p "$list" --csv) >out 2>err || rc=$?
[ $rc = 1 ] || fail "exit code $rc: $(cat err)"
haksim t.zst --no-db -p "$list" --csv >whole
n=$(($(wc -l <whole) - 1))
[ "$n" -gt 500 ] || fail "only $n policies"
cmp <(cut -d, -f1-9 out) <(cut -d, -f1-9 whole) || fail "not all is shown: $(wc -l out whole)"
said=$(grep -oE '[0-9]+ results are stored' err | cut -d' ' -f1) || fail "says: $(cat err)"
held=$(sqlite3 small.db "SELECT count(*) - 1 FROM run WHERE pass = 'sim' AND status = 'ok'")
[ "$held" = "$said" ] && [ "$held" -lt "$n" ] || fail "$held are stored, it says $said"
[ "$(sqlite3 small.db "SELECT group_concat(state) FROM (SELECT state FROM experiment ORDER BY id)")" != done,done ] ||
    fail "the experiment counts as done"

# The prices are shown all the same.
rc=0
sqlite3 small.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
(ulimit -f 32 && haksim calibrate -r 1 --db=small.db) >out 2>err || rc=$?
[ $rc = 1 ] && grep -q '^fault_ns' out && grep -q 'small.db' err || fail "calibrate: exit code $rc: $(cat out err)"

# A signal while the table goes to a slow reader: every row arrives, whole. Under nohup a SIGHUP is none.
python3 - "$list" "$n" <<'END2'
import fcntl, signal, subprocess, sys, time
for sig, before in (signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGHUP, []), (signal.SIGHUP, ["nohup"]):
    p = subprocess.Popen([*before, "haksim", "t.zst", "-p", sys.argv[1], "--no-db"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    fcntl.fcntl(p.stdout, 1031, 4096)  # F_SETPIPE_SZ
    head = p.stdout.read(1)  # it writes: all is evaluated
    for _ in range(200):  # until it waits for the reader
        state = open(f"/proc/{p.pid}/wchan").read() if p.poll() is None else "gone"
        if "pipe" in state:
            break
        time.sleep(0.02)
    p.send_signal(sig)
    text, err = head + p.stdout.read(), p.stderr.read().decode()
    rows = [line.split() for line in text.decode().splitlines() if line.startswith("decay:")]
    ended = 0 if before else 1
    assert p.wait() == ended and ("interrupted" in err) == (ended == 1) and "cannot write" not in err, (sig, err)
    assert len(rows) == int(sys.argv[2]) and all(len(r) == 8 for r in rows), (sig, len(rows), err)
END2

# The store: the command as it can be typed again, and the time that it took.
haksim calibrate -r 3 --db=c.db >/dev/null
haksim t.zst --db=c.db -p never >/dev/null
sqlite3 c.db 'SELECT args FROM experiment ORDER BY id' >args
printf '%s\n' 'haksim calibrate -r 3 --db=c.db' 'haksim --db=c.db -p never t.zst' | diff - args || fail "commands"
python3 - <<'END3'
import sqlite3
took = [(b - a) / 1e6 for a, b in sqlite3.connect("c.db").execute(
    "SELECT started_unix_ns, finished_unix_ns FROM experiment ORDER BY id")]
assert took[0] > 3, took  # ms; three rounds take longer than that by far
END3
echo "ok haksim-storing"
