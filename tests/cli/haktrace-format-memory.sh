# Memory of those who write, read, check and import: that of the threads and of what lives, not of the
# length. Ten times the records take no more.
# timeout: 240
set -eu

cat >peak.py <<'END2'
"""Runs a command and prints its peak resident KiB. (What wait4 tells has this process in it, from
before the exec: so it is looked at while it runs.)"""
import subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = 0
while p.poll() is None:
    with open(f"/proc/{p.pid}/status") as f:
        status = f.read()
    if "\nVmHWM:" in status and sys.argv[1] in status.split("\n")[0]:
        peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
    time.sleep(0.001)
assert p.returncode == 0 and peak > 0, sys.argv
print(peak)
END2

# A look may come before the peak of a quick command, up to a chunk in memory (5 MiB): a byte a record
# would be 9 MiB more.
bounded() { # KIB KIB
    [ "$2" -le $(($1 + 6000)) ] && [ "$2" -le 24000 ]
}

same() { # SHORT LONG COMMAND... with % for the file
    short=$1 long=$2
    shift 2
    a=$(python3 peak.py "${@/\%/$short}")
    b=$(python3 peak.py "${@/\%/$long}")
    echo "${*/\%/FILE}: $a KiB, ten times as long $b KiB"
    bounded "$a" "$b"
}

# Writing: the generator is a writer.
for n in 1000000 10000000; do
    python3 peak.py haktrace gen -o $n.zst random_mixed $n 4000 1 >$n.peak
done
echo "gen: $(cat 1000000.peak) KiB, ten times as long $(cat 10000000.peak) KiB"
bounded "$(cat 1000000.peak)" "$(cat 10000000.peak)"
same 1000000.zst 10000000.zst haktrace verify %
same 1000000.zst 10000000.zst haktrace info %
same 1000000.zst 10000000.zst haktrace dump --from 900000 --count 3 %
same 1000000.zst 10000000.zst haktrace cut -o out.zst --level 1 %

# Importing, of every format: 100 names that come and go.
text() { # FORMAT OPS
    awk -v f="$1" -v n="$2" 'BEGIN {
        if (f == "rep") printf "1000\n100\n%d\n1\n", n
        if (f == "mtrace") print "= Start"
        if (f == "heaptrack") { print "v 10400 3"; for (i = 0; i < 100; i++) printf "a %x 1\n", i * 8 }
        for (i = 0; i < n; i++) {
            k = int(i / 2) % 100; free = i % 2
            if (f == "rep") print free ? "f " k : "a " k " " k * 8
            if (f == "mtrace") print free ? "- 0x1000" k : "+ 0x1000" k " 0x10"
            if (f == "heaptrack") printf "%s %x\n", free ? "-" : "+", k
            if (f == "heaptrack-raw") printf "%s %x\n", free ? "-" : "+ 10 1", k + 4096
            if (f == "android") print free ? "7: free 0x1000" k : "7: malloc 0x1000" k " 16"
            if (f == "times") print free ? "7: free 0x1000" k " " i " " i + 1 : "7: malloc 0x1000" k " 16 " i " " i + 1
        }
    }'
}
for f in android times rep mtrace heaptrack heaptrack-raw; do
    text $f 100000 >short.txt
    text $f 1000000 >long.txt
    same short.txt long.txt haktrace import -f "${f/times/android}" --level 1 -o out.zst %
    haktrace verify -q out.zst
done
