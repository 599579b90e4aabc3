#!/bin/bash
# The lines of docs/sweeps.md, as they stand there: GNU parallel, a Slurm array, merging; joined they equal the whole.
# Slurm: `sbatch` itself where there is one, else a stand-in with its documented behaviour for arrays.
# timeout: 200
set -eu

fail() {
    echo "$*"
    exit 1
}

# Blocks of the page whose first word is $1.
block() {
    python3 - "$TOP/docs/sweeps.md" "$1" <<'END'
import re, sys
for b in re.findall(r"```sh\n(.*?)```", open(sys.argv[1], encoding="utf-8").read(), re.S):
    if b.startswith(sys.argv[2] + " "):
        print(b, end="")
        break
else:
    sys.exit("docs/sweeps.md has no block that starts with " + sys.argv[2])
END
}

figures() { # of all.db
    sqlite3 "$1" "SELECT r.policy, r.mode, m.name, m.value FROM run r JOIN metric m ON m.run_id = r.id
                  WHERE m.name <> 'sim_ns' ORDER BY 1, 2, 3"
}

haktrace gen -o t.zst handover 60000 4 7
haksim t.zst --study=decay --db=whole.db -p 'decay:ms=1..100000*1.05' >/dev/null
figures whole.db >whole.txt
[ "$(wc -l <whole.txt)" -gt 3000 ] || fail "the sweep is small: $(wc -l <whole.txt)"

check_joined() {
    [ "$(find . -name 'part-*.db' | wc -l)" = 4 ] || fail "$1: not four parts"
    [ "$(sqlite3 part-1.db 'SELECT count(*) FROM run')" -lt "$(sqlite3 all.db 'SELECT count(*) FROM run')" ] ||
        fail "$1: one part holds all"
    figures all.db | cmp - whole.txt || fail "$1: joined parts differ from the whole"
    [ "$(sqlite3 all.db "SELECT count(*) FROM study WHERE name = 'decay'")" = 1 ] || fail "$1: not one study"
    rm -f all.db* part-*.db*
}

if command -v parallel >/dev/null; then
    block parallel >lines
    PARALLEL_HOME=$PWD bash -eu lines >out 2>&1 || fail "parallel: $(cat out)"
    check_joined parallel
fi

if ! command -v sbatch >/dev/null; then
    mkdir stand-in
    cat >stand-in/sbatch <<'END'
#!/bin/bash
# sbatch --wait --array=A-B --wrap=COMMAND: runs COMMAND by sh for each task, with what Slurm sets
while [ $# -gt 0 ]; do
    case $1 in
    --array=*) range=${1#*=} ;;
    --wrap=*) command=${1#*=} ;;
    --wait) ;;
    *) echo "sbatch: $1?" >&2; exit 1 ;;
    esac
    shift
done
first=${range%-*} last=${range#*-}
for i in $(seq "$first" "$last"); do
    SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=$((last - first + 1)) sh -c "$command" || exit 1
done
END
    chmod +x stand-in/sbatch
    PATH=$PWD/stand-in:$PATH
fi
block sbatch >lines
bash -eu lines >out 2>&1 || fail "sbatch: $(cat out)"
check_joined sbatch
command -v parallel >/dev/null || {
    echo "GNU parallel is not installed: the Slurm line passed, the other was not tried"
    exit 77
}
echo "ok haksim-shards"
