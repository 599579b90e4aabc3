#!/bin/bash
# Other allocators' settings: each is proved with the library itself, one that it does not know is told of
# wherever figures are, one that it knows changes what the allocator does; --knob crosses them.
# timeout: 120
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# bursts: what a release setting is about
python3 - >burst.txt <<'END'
for k in range(4):
    for i in range(3000):
        print(f"1: malloc 0x{i + 1:x} {2000 + i % 7 * 3000}")
    for i in range(3000):
        print(f"1: free 0x{i + 1:x}")
END
haktrace import -o burst.zst burst.txt 2>/dev/null
verdicts() { # FILE: "setting verdict" lines
    python3 -c 'import json, sys
for k in json.load(open(sys.argv[1]))["knobs"]: print(k["setting"], k["verdict"])' "$1"
}
run() { # NAME OPTION...
    local name=$1
    shift
    hakreplay burst.zst -r 1 --no-control --json "$@" >"$name.json" 2>"$name.err" || fail "$name: exit code $?: $(cat "$name.err")"
}
expect() { # NAME "SETTING VERDICT"...
    local name=$1
    shift
    printf '%s\n' "$@" >want
    verdicts "$name.json" >got
    cmp -s want got || fail "$name: $(diff want got)"
}

# the C library: every variable in each way
t=glibc.malloc
run libc --no-db --passes=time -a "libc:GLIBC_TUNABLES=$t.arena_max=2:$t.nonsense=3:$t.trim_threshold=abc:$t.hugetlb=0;MALLOC_ARENA_MAX=3;MALLOC_TYPO=3;X=1"
expect libc "$t.arena_max=2 in-force" "$t.nonsense=3 unknown" "$t.trim_threshold=abc refused" "$t.hugetlb=0 in-force" \
    'MALLOC_ARENA_MAX=3 in-force' 'MALLOC_TYPO=3 unknown' 'X=1 unknown'
for word in "$t.nonsense=3 is not a setting that this library knows: it changes nothing" \
    "$t.trim_threshold=abc is a setting of this library, but not with this value" \
    'MALLOC_TYPO=3 is not a setting that this library knows'; do
    grep -q "^hakreplay: libc: $word" libc.err || fail "not said at the start: $word: $(cat libc.err)"
    grep -q "\"libc: $word" libc.json || fail "not in the notes: $word"
done
grep -q arena_max libc.err && fail "a warning of what is in force: $(cat libc.err)"

# hakmem
run hakmem --db knobs.db --passes=time -a 'hakmem:HAKMEM_SAFE=1;HAKMEM_BACKGROUND=7;HAKMEM_TYPO=1,hakmem:HAKMEM_SAFE=2;HAKMEM_POLICY=eager'
expect hakmem 'HAKMEM_SAFE=1 in-force' 'HAKMEM_BACKGROUND=7 refused' 'HAKMEM_TYPO=1 unknown' 'HAKMEM_SAFE=2 in-force'
python3 - <<'END' || fail "the database does not tell"
import sqlite3
rows = sqlite3.connect("knobs.db").execute("SELECT allocator, status, error FROM run ORDER BY allocator").fetchall()
print(rows)
assert [r[1] for r in rows] == ["ok", "ok"], rows
assert "HAKMEM_BACKGROUND=7 is a setting of this library, but not with this value" in rows[0][2] and rows[1][2] is None, rows
END

# of other libraries: one whose names are looked for, and one that ends badly when it is asked
interposer reads <<'END_C'
#include <stdlib.h>
void *malloc(size_t size) { return __libc_malloc(getenv("READS_EXTRA") != NULL ? size + 10000 : size); }
END_C
interposer falls <<'END_C'
#include <stdlib.h>
static __attribute__((constructor)) void fall(void) { if (getenv("FALLS_NOW") != NULL) abort(); }
int mi_version(void) { return 0; }
END_C
run reads --no-db --passes=account --rest=0 -a "libc,reads=$PWD/reads.so,reads=$PWD/reads.so:READS_EXTRA=1,reads=$PWD/reads.so:READS_OTHER=1"
expect reads 'READS_EXTRA=1 known' 'READS_OTHER=1 unknown'
grep -q 'READS_EXTRA=1 is known to this library by its name; whether the value is in force cannot be asked' reads.json || fail "reads: $(cat reads.json)"
rc=0
hakreplay burst.zst -r 1 --no-control --no-db --json -a "libc,falls=$PWD/falls.so:FALLS_NOW=1" >falls.json 2>err || rc=$?
[ $rc = 1 ] || fail "falls: exit code $rc"
expect falls 'FALLS_NOW=1 unchecked'

# a setting that is in force has its effect, and one that is unknown has none
effects() { # ALLOCATOR KNOWN UNKNOWN
    if ! hakreplay burst.zst -a "$1" -r 1 --passes=time --no-db --no-control >/dev/null 2>err; then
        grep -q 'is not installed' err || fail "$1: $(cat err)"
        echo "not checked here: $(cat err)"
        return
    fi
    run "$1" --no-db --passes=account -a "$1,$1:$2,$1:$3" --rest=0
    python3 - "$@" <<'END' || fail "$1: see above"
import json, sys
name, known, unknown = sys.argv[1:]
d = json.load(open(name + ".json"))
r = {x["allocator"]: x for x in d["results"]}
k = {x["allocator"]: x for x in d["knobs"]}
plain, with_it, without = (r[name], r[f"{name}:{known}"], r[f"{name}:{unknown}"])
print(name, plain["library_version"], "calls", plain["syscalls"], with_it["syscalls"], without["syscalls"],
      k[f"{name}:{known}"]["verdict"], k[f"{name}:{unknown}"]["verdict"])
assert k[f"{name}:{known}"]["verdict"] == ("known" if name == "tcmalloc" else "in-force"), k
assert k[f"{name}:{unknown}"]["verdict"] == "unknown", k
assert abs(with_it["syscalls"] - plain["syscalls"]) > 20, "no effect"
# some release by the clock, which a busy machine stretches: a little more or less is none
assert abs(without["syscalls"] - plain["syscalls"]) < abs(with_it["syscalls"] - plain["syscalls"]) / 2, "an effect of an unknown setting"
assert name == "libc" or plain["library_version"], plain
END
}
effects libc GLIBC_TUNABLES=$t.mmap_threshold=8192 GLIBC_TUNABLES=$t.mmap_treshold=8192
effects jemalloc MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0 MALLOC_CONF=dirty_decay:0
if [ -e jemalloc.json ]; then # each pair by itself, also where the list has a mistake in it
    run pairs --no-db --passes=time -a jemalloc:MALLOC_CONF=narenas:0,dirty_decay_ms:0,muzzy_decay_ms:x,foo:1,
    expect pairs 'narenas:0 refused' 'dirty_decay_ms:0 in-force' 'muzzy_decay_ms:x refused' 'foo:1 unknown'
fi
effects tcmalloc TCMALLOC_AGGRESSIVE_DECOMMIT=1 TCMALLOC_AGGRESSIVE_RELEASE=1
mi=MIMALLOC_PURGE_DELAY # the name since 2.1; before: the other
hakreplay burst.zst -a "mimalloc:$mi=0" -r 1 --passes=time --no-db --no-control --json >mi.json 2>/dev/null &&
    [ "$(verdicts mi.json)" = "$mi=0 unknown" ] && mi=MIMALLOC_RESET_DELAY
effects mimalloc "$mi=0" MIMALLOC_PURGE_DELAYS=0
if [ -e mimalloc.json ]; then # a name that lacks its beginning is not read
    run bare --no-db --passes=time -a mimalloc:PAGE_RESET=1,mimalloc:VERBOSE=1
    expect bare 'PAGE_RESET=1 unknown' 'VERBOSE=1 unknown'
fi

# crossed into a matrix: values of two settings, without one of them, beside policies
run cross --no-db --passes=account --rest=0 -a "libc,hakmem,reads=$PWD/reads.so" --policy=eager,never \
    --knob="libc:GLIBC_TUNABLES=$t.arena_max=1|$t.arena_max=2" --knob="libc:MALLOC_TOP_PAD_=|4096" --knob='hakmem:HAKMEM_SAFE=0|1'
python3 - <<'END' || fail "cross: see above"
import json
d = json.load(open("cross.json"))
got = [(r["allocator"], r["policy"]) for r in d["results"]]
print(*got, sep="\n")
a = "libc:GLIBC_TUNABLES=glibc.malloc.arena_max="
assert sorted(got, key=str) == sorted([(a + "1;MALLOC_TOP_PAD_=4096", None), (a + "1", None), (a + "2;MALLOC_TOP_PAD_=4096", None),
    (a + "2", None), ("hakmem:HAKMEM_SAFE=0", "eager"), ("hakmem:HAKMEM_SAFE=0", "never"),
    ("hakmem:HAKMEM_SAFE=1", "eager"), ("hakmem:HAKMEM_SAFE=1", "never"), ("reads", None)], key=str), got
assert len(d["knobs"]) == 10 and all(k["verdict"] == "in-force" for k in d["knobs"]), d["knobs"]
END
# of a setting that several variants share it is said once, of each other one as well
run shared --no-db --passes=time -a hakmem:HAKMEM_TYPO=1 --policy=eager,never --knob='hakmem:HAKMEM_SLIP=|1'
[ "$(grep -c HAKMEM_TYPO shared.err)$(grep -c HAKMEM_SLIP shared.err)" = 11 ] || fail "shared: $(cat shared.err)"
python3 -c '
import json
d = json.load(open("shared.json"))
assert len(d["knobs"]) == 6, d["knobs"]
assert [sum(w in n for n in d["notes"]) for w in (": HAKMEM_TYPO", ": HAKMEM_SLIP")] == [1, 1], d["notes"]
# and they run in the order that they were given in: ratios are to the first
assert [(r["allocator"], r["policy"]) for r in d["results"]] == [("hakmem:HAKMEM_TYPO=1" + s, p) for s in ("", ";HAKMEM_SLIP=1") for p in ("eager", "never")], d["results"]' || fail "shared: see above"
refuse() { # PATTERN OPTION...
    local pattern=$1 rc=0
    shift
    hakreplay burst.zst -a libc,hakmem --no-db "$@" >out 2>err || rc=$?
    [ $rc = 2 ] && grep -q -- "$pattern" err || fail "$*: $rc, $(cat err)"
}
refuse 'is not ALLOCATOR:KEY=VALUE' --knob=libc
refuse 'is not ALLOCATOR:KEY=VALUE' --knob=libc:X
refuse 'does not name jemalloc' --knob=jemalloc:X=1
refuse 'X is set twice' -a 'libc:X=1;Y=2;X=3'
refuse 'HAKMEM_POLICY is set twice' -a 'hakmem:HAKMEM_POLICY=eager;HAKMEM_POLICY=never'
refuse 'X is set by libc:X=1 already' -a 'libc:X=1' --knob='libc:X=2|3'
refuse 'X is set by libc:X=2 already' --knob='libc:X=|2' --knob='libc:X=3'
refuse 'crossed by --policy' --knob='hakmem:HAKMEM_POLICY=eager|never'

# what a shell has set for allocators reaches neither the runs nor the questions
MIMALLOC_VERBOSE=1 MALLOC_CONF=dirty_decay_ms:0 PARTIAL_RELEASE_MIN_SLABS=4 hakreplay burst.zst -a hakmem,libc -r 1 --passes=time --no-db --json >env.json 2>err ||
    fail "environment: $?"
for v in MIMALLOC_VERBOSE MALLOC_CONF PARTIAL_RELEASE_MIN_SLABS; do
    grep -q "$v is set: not passed on" err || fail "no word on $v: $(cat err)"
done
[ -z "$(verdicts env.json)" ] || fail "settings of nobody's: $(verdicts env.json)"
echo "ok hakreplay-knobs"
