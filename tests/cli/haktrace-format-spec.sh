# The second reader, made from docs/trace-format.md alone, says of every trace what haktrace dump says,
# follows all its ids, and finds the trailer's totals.
set -eu
command -v zstd >/dev/null || {
    echo "zstd is not installed"
    exit 77
}

same() { # TRACE...
    for t in "$@"; do
        haktrace dump "$t" >first
        "$TOP/scripts/read_trace.py" "$t" >second
        cmp first second
        "$TOP/scripts/read_trace.py" --check "$t"
        haktrace verify -q "$t"
    done
}

# Generated: several chunks; many threads.
haktrace gen -o rm.zst random_mixed 150000 500 3
haktrace gen -o ho.zst handover 20000 40 3
same rm.zst ho.zst

# Imported, with and without times.
for f in v1.android.txt import.rep import.mtrace.txt import.heaptrack.txt import.heaptrack-raw.txt; do
    haktrace import -q -o imported.zst "$TOP/tests/golden/$f"
    same imported.zst
done

# Recorded: one thread and several, and what is cut from it.
haktrace -q -o shell.zst -- bash -c 'for i in {1..300}; do a[i]=$(($i * 7)); done; echo "${a[*]}" >/dev/null'
haktrace -q -o threads.zst -- /usr/bin/python3 -c '
import threading
def work():
    for i in range(300):
        x = [bytes(1000 + i)] * 3
ts = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in ts]
[t.join() for t in ts]'
haktrace -q --mmap -o mmap.zst -- /usr/bin/python3 -c 'import mmap
for i in range(20):
    m = mmap.mmap(-1, 4096 * (i + 1))
    m.madvise(mmap.MADV_DONTNEED)
    m.close()'
haktrace dump mmap.zst | grep -q '^event [0-9]* 0 madvise .*advice=4$'
haktrace cut -o part.zst --from 500 --count 2000 threads.zst
same shell.zst threads.zst mmap.zst part.zst

# Golden files of this version; those that are broken are broken for both, at the same byte.
same "$TOP/tests/golden/v1.zst"
for t in "$TOP"/tests/golden/*.zst; do
    code=0 code2=0
    haktrace dump "$t" >first 2>err || code=$?
    "$TOP/scripts/read_trace.py" "$t" >second 2>err2 || code2=$?
    cmp first second
    [ $code = $code2 ] || {
        echo "$t: exit code $code by haktrace dump, $code2 by the second reader"
        cat err err2
        exit 1
    }
    [ $code = 0 ] || [ "$(grep -o 'byte [0-9]*' err)" = "$(grep -o 'byte [0-9]*' err2)" ]
done
