# Importers against a parse of the same text by a second hand: random recordings of each format, with all
# that such a recording can have, come out of dump as the model says; and cutting nothing off changes
# nothing.
# timeout: 240
set -eu

cat >model.py <<'END2'
"""model.py FORMAT SEED: writes in.txt, and want.txt as haktrace dump must print it."""
import heapq, random, sys

form, rng = sys.argv[1], random.Random(sys.argv[1] + sys.argv[2])
text, want = [], []


class Model:
    """What the trace says: live names and records."""

    def __init__(self):
        self.live, self.ids = {}, 0

    def put(self, time, thread, op, *words):
        want.append(" ".join([str(len(want)), "-" if time is None else str(time), str(thread), op, *words]))

    def consume(self, name):
        if name == 0:
            return "old=null"
        old = self.live.pop(name, None)
        return "old=foreign" if old is None else f"old={old}"

    def free(self, time, thread, name):
        self.put(time, thread, "free", self.consume(name))

    def alloc(self, time, thread, op, name, size, old=(), align=0):
        """old: the words of what is consumed, consumed already."""
        words = [*old]
        if name:
            if name in self.live:
                self.put(time, thread, "free", f"old={self.live.pop(name)}", "implied")
            self.ids += 1
            self.live[name] = self.ids
            words.append(f"id={self.ids}")
        words.append(f"size={size}")
        if align > 1:
            words.append(f"align={1 << (align - 1).bit_length()}")
        if not name and size:
            words.append("failed")
        self.put(time, thread, op, *words)

    def kept(self, name):
        """The words of an old object that lives on."""
        return "old=null" if name == 0 else f"old={self.live[name]}" if name in self.live else "old=foreign"


m = Model()
names = [0x10000 + 16 * i for i in range(60)]


def size():
    return rng.choice((0, 1, rng.randrange(200), rng.randrange(1 << 20), rng.randrange(1 << 45)))


def android(times):
    now, threads, count = 10**9, {}, 0
    held, base, last = [], None, 0

    def stamp(at):
        nonlocal last
        if not times:
            return None
        last = max(last, at - base)
        return last

    def release(before):
        while held and held[0][0] < before:
            at, _, *call = heapq.heappop(held)
            m.alloc(stamp(at), *call)

    for _ in range(rng.randrange(1500)):
        now += rng.randrange(40)
        end = now + rng.choice((0, rng.randrange(100), rng.randrange(3000)))
        tid = rng.randrange(5) + 7000
        op = rng.choice(("malloc",) * 5 + ("free",) * 5 + ("realloc",) * 2 + ("calloc", "memalign", "thread_done"))
        if op == "thread_done" and rng.random() < 0.9:
            op = "free"
        new = 0 if rng.random() < 0.03 else rng.choice(names)
        old = 0 if rng.random() < 0.05 else rng.choice(names)
        base = now if base is None else base
        release(now)
        thread = threads.setdefault(tid, len(set(threads.values())) + count)
        n, align = size(), 0
        if op == "free":
            text.append(f"{tid}: free {old:#x}")
            m.free(stamp(now), thread, old)
        elif op == "thread_done":
            text.append(f"{tid}: thread_done 0x0")
            release(float("inf"))
            m.put(stamp(now), thread, "thread_end")
            del threads[tid]
            count += 1
        else:
            words = ()
            if op == "calloc":
                k = rng.randrange(1, 50)
                n = rng.randrange(3000)
                text.append(f"{tid}: calloc {new:#x} {k} {n}")
                n *= k
            elif op == "memalign":
                align = rng.choice((1, 16, 64, 4096, 24))
                text.append(f"{tid}: memalign {new:#x} {align} {n}")
            elif op == "realloc":
                text.append(f"{tid}: realloc {new:#x} {old:#x} {n}")
                words = (m.kept(old) if not new and n else m.consume(old),)
            else:
                text.append(f"{tid}: malloc {new:#x} {n}")
            call = (thread, op, new, n, words, align)
            lives_on = op == "realloc" and not new and n and words[0][4:].isdigit()
            if times and not lives_on:
                heapq.heappush(held, (end, len(text), *call))
            else:
                m.alloc(stamp(now), *call)
        if times:
            text[-1] += f" {now} {end}"
    release(float("inf"))


def rep():
    ops, ids = [], 40
    live = set()
    for _ in range(rng.randrange(1500)):
        k, n = rng.randrange(ids), size()
        if rng.random() < 0.02:
            ops.append("f -1")
            m.free(None, 0, 0)
        elif k not in live:
            op = rng.choice("ar")
            ops.append(f"{op} {k} {n}")
            m.alloc(None, 0, "malloc" if op == "a" else "realloc", k + 1, n, () if op == "a" else ("old=null",))
            live.add(k)
        elif rng.random() < 0.3:
            ops.append(f"r {k} {n}")
            m.alloc(None, 0, "realloc", k + 1 if n else 0, n, (m.consume(k + 1),))
            live -= set() if n else {k}
        else:
            ops.append(f"f {k}")
            m.free(None, 0, k + 1)
            live.discard(k)
    text.extend([str(rng.randrange(10**6)), str(ids), str(len(ops)), "1", *ops])


def mtrace():
    def pointer(p):
        return f"{p:#x}" if p else rng.choice(("(nil)", "0"))

    def caller():
        return rng.choice(("", "@ /usr/bin/a b:[0x4005] ", "@ ./x:(main+0x1b)[0x77] "))

    text.append("= Start")
    for _ in range(rng.randrange(1500)):
        p, q, n, at = rng.choice(names), rng.choice(names), size(), caller()
        kind = rng.choice("++++----<!")
        if kind == "+":
            p = 0 if rng.random() < 0.03 else p
            text.append(f"{at}+ {pointer(p)} {n:#x}")
            m.alloc(None, 0, "malloc", p, n)
        elif kind == "-":
            text.append(f"{at}- {pointer(p)}")
            m.free(None, 0, p)
        elif kind == "<":
            if rng.random() < 0.1:
                q = n = 0
            text.append(f"{at}< {pointer(p)}")
            text.append(f"{at}> {pointer(q)} {n:#x}")
            m.alloc(None, 0, "realloc", q, n, (m.consume(p),))
        else:
            n += 1
            text.append(f"{at}! {pointer(p)} {n:#x}")
            m.alloc(None, 0, "realloc", 0, n, (m.kept(p),))
    text.append("= End")


def heaptrack_raw():
    text.extend(["v 10400 3", "x 7 /bin/xx", "X /bin/xx", "I 1000 5e298d", "m 1 -"])
    for _ in range(rng.randrange(1500)):
        p, n = rng.choice(names), size()
        what = rng.random()
        if what < 0.05:
            text.append(rng.choice(("c 1f", "R 400", "t 3 1", "# 7", "")))
        elif what < 0.55:
            text.append(f"+ {n:x} {rng.randrange(99):x} {p:x}")
            m.alloc(None, 0, "malloc", p, n)
        else:
            text.append(f"- {p:x}")
            m.free(None, 0, p)


def heaptrack():
    classes, stacks, name = [], {}, 0
    text.append("v 10400 3")
    for _ in range(rng.randrange(1500)):
        what = rng.random()
        if not classes or what < 0.1:
            classes.append(size())
            text.append(f"a {classes[-1]:x} {rng.randrange(99):x}")
        elif what < 0.15:
            text.append(rng.choice(("c 1f", "R 400", "s 5 a b c", "t 3 1", "# 7", "")))
        elif what < 0.6:
            k = rng.randrange(len(classes))
            name += 1
            text.append(f"+ {k:x}")
            stacks.setdefault(k, []).append(name)
            m.alloc(None, 0, "malloc", name, classes[k])
        else:
            k = rng.randrange(len(classes))
            text.append(f"- {k:x}")
            m.free(None, 0, stacks[k].pop() if stacks.get(k) else -1)


{"android": lambda: android(False), "android-times": lambda: android(True), "rep": rep, "mtrace": mtrace,
 "heaptrack": heaptrack, "heaptrack-raw": heaptrack_raw}[form]()
end = rng.choice(("\n", "\r\n"))
open("in.txt", "w", newline="").write(end.join(text) + (end if rng.random() < 0.8 else ""))
open("want.txt", "w").write("".join(line + "\n" for line in want))
END2

for format in android android-times rep mtrace heaptrack heaptrack-raw; do
    for seed in 1 2 3 4 5 6 7 8 9 10 11 12; do
        python3 model.py $format $seed
        haktrace import -q -f ${format%-times} -o t.zst in.txt 2>import.err
        haktrace dump t.zst >got.txt
        cmp got.txt want.txt || {
            echo "$format, seed $seed"
            diff got.txt want.txt | head -5
            exit 1
        }
        haktrace verify -q t.zst
        haktrace cut -o again.zst t.zst 2>/dev/null
        cut -d ' ' -f 1,4- want.txt >rest.txt # it counts times from the first record, threads by first record
        haktrace dump again.zst | cut -d ' ' -f 1,4- | cmp - rest.txt
    done
    echo "$format: $(wc -l <want.txt) records in the last of 12"
done
