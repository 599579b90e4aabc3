# A second reader, made from docs/trace-format.md alone, says the same as haktrace dump.
set -eu
command -v zstd >/dev/null || {
    echo "zstd is not installed"
    exit 77
}

cat >reader.py <<'END'
import struct, subprocess, sys, zlib

OPS = ["malloc", "calloc", "realloc", "reallocarray", "free", "memalign", "aligned_alloc",
       "posix_memalign", "valloc", "pvalloc", "thread_start", "thread_end"]
FAILED, FOREIGN, UNFINISHED, IMPLIED = 1, 2, 4, 8

def blocks(data):
    at = 0
    while at < len(data):
        if data[at + 8:at + 16] == b"HAKTTAIL":
            return
        magic, size, name, kind = struct.unpack_from("<II4sB", data, at)
        assert (magic, size, name) == (0x184D2A5B, 96, b"HAKT")
        numbers = struct.unpack_from("<II8Q", data, at + 16)
        frame_crc, crc = struct.unpack_from("<II", data, at + 96)
        assert crc == zlib.crc32(data[at:at + 100])
        frame = data[at + 104:at + 104 + numbers[2]]
        assert frame_crc == zlib.crc32(frame)
        content = subprocess.run(["zstd", "-dc"], input=frame, capture_output=True, check=True).stdout
        assert len(content) == numbers[3]
        yield kind, numbers, content
        at += 104 + numbers[2]

class Column:
    def __init__(self, data):
        self.data, self.at = data, 0
    def part(self, n):
        self.at += n
        return Column(self.data[self.at - n:self.at])
    def byte(self):
        self.at += 1
        return self.data[self.at - 1]
    def varint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 127) << shift
            shift += 7
            if b < 128:
                return value
    def more(self):
        return self.at < len(self.data)

def chunk(numbers, content):
    record, records, first_id, ids, first_time, last_time = numbers[4:]
    c = Column(content)
    table = [(c.byte(), c.byte(), c.varint()) for _ in range(c.varint())]
    col = {n: Column(b"") for n in range(1, 9)}
    col.update({number: c.part(size) for number, _, size in table})
    assert not c.more()
    threads, number = [], 0
    while col[1].more():
        number += col[1].varint()
        n, size, own = (col[1].varint() for _ in range(3))
        threads.append((number, col[3].part(n), col[4].part(size), col[5].part(own), []))
    next_id, time, timed = first_id, first_time, col[8].more()
    while col[2].more():
        thread, ops, sizes, owns, mine = threads[col[2].varint()]
        for _ in range(col[2].varint()):
            code = ops.byte()
            op, flags = code & 15, code >> 4
            if timed:
                time += col[8].varint()
            old = new = size = align = 0
            if op in (2, 3, 4) and not flags & FOREIGN:
                d = owns.varint()
                far = col[6].varint() if d == 0 else 0
                old = mine[-d] if d else next_id - far if far else 0
            if op < 10 and op != 4:
                v = sizes.varint()
                size = (v - 1) % 2**64 if v or flags & (FAILED | UNFINISHED) else 0
                if v and not flags & (FAILED | UNFINISHED):
                    new = next_id
                    mine.append(new)
                    next_id += 1
            if 5 <= op <= 9:
                align = col[7].byte()
            yield record, time, thread, op, flags, old, new, size, align
            record += 1
    assert next_id == first_id + ids and time == last_time
    assert record == numbers[4] + records

def text(r, times):
    record, time, thread, op, flags, old, new, size, align = r
    words = [str(record), str(time) if times else "-", str(thread), OPS[op]]
    if op in (2, 3, 4):
        words.append("old=" + (str(old) if old else "foreign" if flags & FOREIGN else "null"))
    if new:
        words.append(f"id={new}")
    if op < 10 and op != 4:
        words.append(f"size={size}")
    if align:
        words.append(f"align={1 << align}")
    for flag, word in ((FAILED, "failed"), (UNFINISHED, "unfinished"), (IMPLIED, "implied")):
        if flags & flag:
            words.append(word)
    return " ".join(words)

for kind, numbers, content in blocks(open(sys.argv[1], "rb").read()):
    if kind == 1:
        lines = content.decode().split("\n")
        assert lines[0] == "HAKTRACE 1"
        times = "times" in dict(l.split("=", 1) for l in lines[1:-1])["fidelity"].split(",")
    elif kind == 2:
        for r in chunk(numbers, content):
            print(text(r, times))
END

haktrace gen -o rm.zst random_mixed 150000 500 3
haktrace gen -o ho.zst handover 20000 40 3
for t in "$TOP/tests/golden/v1.zst" rm.zst ho.zst; do
    python3 reader.py "$t" >second
    haktrace dump "$t" | cmp - second
done
