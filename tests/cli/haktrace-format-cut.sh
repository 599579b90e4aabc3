# cut: by records, time and threads; what comes out verifies, and is what a second hand cuts from
# the dump.
set -eu

python3 - >two.txt <<'END'
import random
rng, live, t = random.Random(5), [], 1000
for n in range(4000):
    t += rng.randrange(5, 50)
    tid = rng.choice((10, 11, 12))
    if live and rng.random() < 0.5:
        p = live.pop(rng.randrange(len(live)))
        if rng.random() < 0.3:
            print(f"{tid}: realloc {hex(0x10000 + 64 * n)} {hex(p)} {n} {t} {t + 1}")
            live.append(0x10000 + 64 * n)
        else:
            print(f"{tid}: free {hex(p)} {t} {t + 1}")
    else:
        print(f"{tid}: malloc {hex(0x10000 + 64 * n)} {n} {t} {t + 1}")
        live.append(0x10000 + 64 * n)
END
haktrace import -q -o all.zst two.txt
haktrace dump all.zst >all.dump

cat >cut.py <<'END'
import sys
first, count, t0, t1, wanted = (eval(a) for a in sys.argv[1:])
ids, threads, base, n, made = {}, {}, None, 0, 0
for line in open("all.dump"):
    number, time, thread, op, *rest = line.split()
    number, time, thread = int(number), int(time), int(thread)
    if not (first <= number < first + count and t0 <= time < t1 and thread in wanted):
        continue
    base = time if base is None else base
    field = dict(x.split("=") for x in rest)
    out = []
    if "old" in field:
        out.append("old=%s" % ids.pop(field["old"], "foreign"))
    if "id" in field:
        made += 1
        ids[field["id"]] = made
        out.append("id=%d" % made)
    if "size" in field:
        out.append("size=" + field["size"])
    print(n, time - base, threads.setdefault(thread, len(threads)), op, *out)
    n += 1
END

check() { # FIRST COUNT T0 T1 THREADS OPTION...
    python3 cut.py "$1" "$2" "$3" "$4" "$5" >want
    [ -s want ]
    shift 5
    haktrace cut -o part.zst "$@" all.zst 2>err
    haktrace verify -q part.zst
    haktrace dump part.zst | cmp - want
}
check 0 10**9 0 10**9 'range(3)'
check 1000 500 0 10**9 'range(3)' --from 1000 --count 500
check 0 10**9 20000 40000 'range(3)' --from-time 20000 --to-time 40000
check 0 10**9 0 10**9 '(1,)' --threads 1
check 300 3000 30000 80000 '(0, 2)' --from 300 --count 3000 --from-time 30000 --to-time 80000 -t 0,2-2
grep -q ' [1-9][0-9]* foreign' err

code() { # CODE COMMAND...
    want=$1 code=0
    shift
    "$@" >out 2>err || code=$?
    [ "$code" = "$want" ] || {
        echo "exit code $code, not $want: $*"
        cat err
        exit 1
    }
}
code 0 haktrace cut -o none.zst --from 999999 all.zst
haktrace verify -q none.zst
code 2 haktrace cut -o x.zst -t 1,x all.zst
code 2 haktrace cut -o x.zst -t 3-1 all.zst
code 2 haktrace cut -o all.zst all.zst
code 2 haktrace cut all.zst
haktrace gen -o notimes.zst random_mixed 100 10 1
code 2 haktrace cut -o x.zst --to-time 5 notimes.zst
grep -q 'has no times' err

# A recording: its whole life only if its beginning is in.
haktrace -q -o rec.zst -- bash -c 'echo {1..99} >/dev/null'
haktrace cut -o head.zst --count 100 rec.zst
haktrace cut -o tail.zst --from 100 rec.zst
haktrace verify -q head.zst tail.zst
haktrace info head.zst | grep -q 'first op on  *yes'
haktrace info tail.zst | grep -q 'first op on  *no'

# A source that turns out to be damaged: what stood at the output's place stays, nothing else does.
haktrace gen -o long.zst random_mixed 400000 1000 1
cp long.zst bad.zst
printf XXXXXXXX | dd of=bad.zst bs=1 seek=$(($(stat -c %s bad.zst) / 2)) conv=notrunc 2>/dev/null
cp all.zst kept.zst
code 4 haktrace cut -o kept.zst bad.zst
cmp all.zst kept.zst
code 4 haktrace cut -o new.zst bad.zst
code 2 haktrace cut -o '' all.zst
[ ! -e new.zst ] && [ -z "$(ls ./*.part 2>/dev/null)" ]

# One without a trailer: said, and nothing is claimed that nobody knows.
head -c $(($(stat -c %s long.zst) * 2 / 3)) long.zst >headless.zst
code 0 haktrace cut -o part.zst headless.zst
grep -q 'headless.zst: no trailer' err
haktrace verify -q part.zst
haktrace info part.zst >out
grep -q 'ops lost in recording  *–' out
grep -q 'ended by  *unknown' out
haktrace cut -o again.zst --count 1000 part.zst 2>/dev/null
haktrace info again.zst | grep -q 'ops lost in recording  *–'

# Through a link, the file behind it is written.
ln -s part.zst link.zst
haktrace cut -o link.zst --count 10 all.zst 2>/dev/null
[ -L link.zst ] && haktrace verify part.zst | grep -q '10 records'
code 0 haktrace cut -o none.zst --from 999999 all.zst
grep -q 'nothing in all.zst is what was asked for' err
