#!/usr/bin/env python3
"""A second reader of HAKMEM traces, made from docs/trace-format.md and nothing else.

    scripts/read_trace.py [--info | --check] TRACE

prints the records as `haktrace dump` does (--info: header and trailer as JSON; --check: nothing, but
follows every allocation id and counts what the trailer counts). It is there to hold the document and
the C reader against each other, and for those who want the records in Python: import it, and use
Trace(path).records(). Needs the zstd command. Exit codes: 0, 1 a newer version, 2 usage, 4 corrupt or
truncated.
"""
import json
import os
import struct
import subprocess
import sys
import zlib

OPS = ("malloc", "calloc", "realloc", "reallocarray", "free", "memalign", "aligned_alloc",
       "posix_memalign", "valloc", "pvalloc", "thread_start", "thread_end")
HAS_SIZE = frozenset((0, 1, 2, 3, 5, 6, 7, 8, 9))
HAS_OLD = frozenset((2, 3, 4))
HAS_ALIGN = frozenset((5, 6, 7, 8, 9))
FAILED, FOREIGN, UNFINISHED, IMPLIED = 1, 2, 4, 8
EVENTS = {1: ("mmap", "address", "length", "prot", "flags"), 2: ("munmap", "address", "length"),
          3: ("mremap", "old_address", "old_length", "address", "length"),
          4: ("madvise", "address", "length", "advice"), 5: ("brk", "old_end", "end"),
          6: ("mprotect", "address", "length", "prot"), 7: ("fork", "child_pid"), 8: ("exec",),
          9: ("window", "left_out")}
HEADER, CHUNK, INDEX, TRAILER, EVENT_BLOCK = 1, 2, 3, 4, 5
CHUNK_MAX = 131072
BLOCK = struct.Struct("<II4sBBHIIQQQQQQQQQII")
TAIL = struct.Struct("<II8sQQQII")
MAGIC = 0x184D2A5B


class TraceError(Exception):
    """The file is not what it should be, at this offset."""

    def __init__(self, offset, text):
        super().__init__(f"byte {offset}: {text}")
        self.offset = offset


class Truncated(TraceError):
    """A block passes the end of the file."""


class TooNew(TraceError):
    """Something that a reader must know, and this one does not."""


class Block:
    """A block header."""

    def __init__(self, data, at):
        if len(data) - at < BLOCK.size:
            raise Truncated(at, "the file is cut inside a block header")
        raw = data[at:at + BLOCK.size]
        (magic, size, name, self.kind, self.flags, _, self.sequence, self.threads, self.frame,
         self.content, self.first_record, self.records, self.first_id, self.ids, self.first_time,
         self.last_time, _, self.frame_crc, crc) = BLOCK.unpack(raw)
        if (magic, size, name) != (MAGIC, BLOCK.size - 8, b"HAKT"):
            raise TraceError(at, "no block starts here")
        if crc != zlib.crc32(raw[:-4]):
            raise TraceError(at, "the block header's checksum is wrong")
        self.at = at
        self.end = at + BLOCK.size + self.frame
        self.check_limits()
        if self.end > len(data):
            raise Truncated(at, "the file is cut inside a block")

    def check_limits(self):
        most = {HEADER: 2**20, TRAILER: 2**20, EVENT_BLOCK: 2**20,
                CHUNK: 64 * CHUNK_MAX + 65536}.get(self.kind, 2**32)
        if self.content > most or self.frame > most + (most >> 8) + 65536:
            raise TraceError(self.at, "the block is larger than its kind allows")
        if self.threads > 2**20 or self.first_record >= 2**62 or self.first_id >= 2**62:
            raise TraceError(self.at, "a number in the block header is out of range")
        if self.kind == CHUNK and (not 0 < self.records <= CHUNK_MAX or self.ids > self.records
                                   or self.first_id == 0 or self.last_time < self.first_time):
            raise TraceError(self.at, "the chunk's header contradicts itself")

    def known(self):
        """False: to be skipped."""
        if self.kind not in (HEADER, CHUNK, INDEX, TRAILER, EVENT_BLOCK) and self.flags & 1:
            raise TooNew(self.at, f"a kind of block ({self.kind}) that must be known")
        return self.kind <= EVENT_BLOCK

    def text(self, data):
        """The content, decompressed."""
        frame = data[self.at + BLOCK.size:self.end]
        if zlib.crc32(frame) != self.frame_crc:
            raise TraceError(self.at, "the block's data do not match their checksum")
        done = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True, check=False)
        if done.returncode != 0 or len(done.stdout) != self.content:
            raise TraceError(self.at, "the zstd frame is broken or of another size")
        return done.stdout


class NewColumn(ValueError):
    """A column of a newer version; the offset is not known here."""


class Column:
    """Bytes that are read from their start."""

    def __init__(self, data=b""):
        self.data, self.at = data, 0

    def part(self, n):
        if self.at + n > len(self.data):
            raise ValueError("a part passes the end of its column")
        self.at += n
        return Column(self.data[self.at - n:self.at])

    def byte(self):
        if self.at >= len(self.data):
            raise ValueError("a column is too short")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 127) << shift
            shift += 7
            if b < 128:
                break
            if shift >= 70:
                raise ValueError("a number of more than 10 bytes")
        if value >= 2**64:
            raise ValueError("a number of more than 64 bits")
        return value

    def more(self):
        return self.at < len(self.data)


def columns(content):
    """The columns of a chunk, by number."""
    c = Column(content)
    table = [(c.byte(), c.byte(), c.varint()) for _ in range(c.varint())]
    numbers = [number for number, _, _ in table]
    if numbers != sorted(set(numbers)) or 0 in numbers or len(numbers) > 255:
        raise ValueError("the column table is broken")
    col = {n: Column() for n in range(1, 9)}
    for number, encoding, _ in table:
        if number < 128 and (number > 8 or encoding != (0 if number in (3, 7) else 1)):
            raise NewColumn("a column or an encoding of a newer version")
    for number, _, size in table:
        col[number] = c.part(size)
    if c.more():
        raise ValueError("bytes after the last column")
    return col


def allowed(op, flags, size, old, new):
    """Section 1: what the fields of a record may be together."""
    if op in HAS_SIZE:
        may = FAILED | (FOREIGN | UNFINISHED if op in HAS_OLD else 0)
        if flags & (FAILED | UNFINISHED):
            return not flags & ~may
        return not flags & ~may and (new != 0 or size == 0) and size < 2**64 - 1
    return not flags & ~(FOREIGN | IMPLIED if op == 4 else 0) and (op == 4 or old == 0)


def decode(block, content):
    """The records of a chunk: (number, time, thread, op, flags, old id, id, size, log2 alignment)."""
    col = columns(content)
    threads, number = [], 0
    while col[1].more():
        number += col[1].varint()
        n, size, own = (col[1].varint() for _ in range(3))
        if n == 0 or number >= block.threads or (threads and number == threads[-1][0]):
            raise ValueError("the thread directory contradicts the block header")
        threads.append((number, col[3].part(n), col[4].part(size), col[5].part(own), []))
    next_id, time, timed, out = block.first_id, block.first_time, col[8].more(), []
    while col[2].more():
        place, run = col[2].varint(), col[2].varint()
        if place >= len(threads):
            raise ValueError("the schedule is broken")
        thread, ops, sizes, owns, mine = threads[place]
        for _ in range(run):
            code = ops.byte()
            op, flags = code & 15, code >> 4
            if op >= len(OPS):
                raise ValueError("an unknown op")
            time += col[8].varint() if timed else 0
            old = new = size = align = 0
            if op in HAS_OLD and not flags & FOREIGN:
                d = owns.varint()
                far = col[6].varint() if d == 0 else 0
                if d > len(mine) or far >= next_id:
                    raise ValueError("an old id that cannot be")
                old = mine[-d] if d else next_id - far if far else 0
            if op in HAS_SIZE:
                v = sizes.varint()
                lost = flags & (FAILED | UNFINISHED)
                size = (v - 1) % 2**64 if v or lost else 0
                if v and not lost:
                    new = next_id
                    mine.append(new)
                    next_id += 1
            if op in HAS_ALIGN:
                align = col[7].byte()
            if align > 63 or time >= 2**64 or not allowed(op, flags, size, old, new):
                raise ValueError("a record that cannot be")
            out.append((block.first_record + len(out), time, thread, op, flags, old, new, size,
                        align))
    if any(col[n].more() for n in range(1, 9)) or any(c.more() for t in threads for c in t[1:4]):
        raise ValueError("a column is not used up")
    if (len(out), next_id, time) != (block.records, block.first_id + block.ids, block.last_time):
        raise ValueError("the records contradict the block header")
    return out


def key_values(content, first_word, at):
    """Header and trailer: the version and the values by key."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    word, _, version = lines[0].partition(" ")
    if word != first_word or not version.isdigit() or lines[-1] != "":
        raise TraceError(at, "the text does not start or end as it must")
    if int(version) != 1:
        raise TooNew(at, f"version {version} is newer than this reader")
    values = {}
    for line in lines[1:-1]:
        key, equals, value = line.partition("=")
        if not equals:
            raise TraceError(at, "a line without a key")
        parts = value.split("\\x")
        values[key] = parts[0] + "".join(chr(int(p[:2], 16)) + p[2:] for p in parts[1:])
    return values


class Trace:
    """A trace file. `cut` = it has no trailer and ends after a whole chunk or inside a block."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if not self.data:
            raise Truncated(0, "the file is empty")
        first = Block(self.data, 0)
        if first.kind != HEADER or first.sequence != 0:
            raise TraceError(0, "the file does not start with a header")
        self.header = key_values(first.text(self.data), "HAKTRACE", 0)
        self.fidelity = frozenset(self.header.get("fidelity", "").split(","))
        self.trailer = None
        self.fault = None  # what the walk has met, to be told after the chunks before it
        self.end = len(self.data)  # of what was understood
        try:
            self.chunks = self.from_tail(first.end)
        except TooNew:
            raise
        except (TraceError, ValueError, KeyError):
            self.chunks = self.walk(first.end)

    @property
    def cut(self):
        return self.trailer is None

    def tail(self, at):
        """The tail at an offset: offsets of index and trailer, or None."""
        raw = self.data[at:at + TAIL.size]
        if len(raw) < TAIL.size:
            return None
        magic, size, name, index, trailer, itself, _, crc = TAIL.unpack(raw)
        good = (magic, size, name, itself, crc) == (MAGIC, TAIL.size - 8, b"HAKTTAIL", at,
                                                    zlib.crc32(raw[:-4]))
        return (index, trailer) if good else None

    def from_tail(self, at):
        offsets = self.tail(len(self.data) - TAIL.size)
        if offsets is None:
            raise TraceError(len(self.data), "no tail")
        index, trailer = (Block(self.data, at) for at in offsets)
        if (index.kind, trailer.kind) != (INDEX, TRAILER):
            raise TraceError(index.at, "the tail leads elsewhere")
        content = index.text(self.data)
        chunks = [entry[0] for entry in struct.iter_unpack("<5Q", content)]
        values = key_values(trailer.text(self.data), "HAKTRACE-END", trailer.at)
        if int(values["chunks"]) != len(chunks):
            raise TraceError(index.at, "index and trailer contradict each other")
        if index.sequence != 1 + len(chunks):  # there are blocks of other kinds
            while at < index.at:
                block = Block(self.data, at)
                block.known()
                at = block.end
        self.trailer = values
        return chunks

    def walk(self, at):
        chunks, sequence, trailer = [], 1, None
        try:
            while at < len(self.data):
                if self.tail(at) is not None:
                    if at + TAIL.size < len(self.data):
                        raise TraceError(at + TAIL.size, "bytes after the end of the trace")
                    break
                block = Block(self.data, at)
                if block.sequence != sequence or block.kind == HEADER:
                    raise TraceError(at, "another block should stand here")
                if block.kind == CHUNK:
                    chunks.append(at)
                elif block.kind == TRAILER:
                    trailer = key_values(block.text(self.data), "HAKTRACE-END", at)
                block.known()
                at, sequence = block.end, sequence + 1
        except Truncated:
            pass  # the file ends there
        except TooNew:
            raise
        except TraceError as e:
            self.fault = e
        self.trailer, self.end = trailer, at
        return chunks

    def records(self):
        """All records; raises TraceError where the file stops to be one."""
        record, next_id, time = 0, 1, 0
        for at in self.chunks:
            block = Block(self.data, at)
            if (block.kind, block.first_record, block.first_id) != (CHUNK, record, next_id) or \
                    block.first_time < time or (block.last_time and "times" not in self.fidelity):
                raise TraceError(at, "the chunk does not continue the one before it")
            content = block.text(self.data)
            try:
                chunk = decode(block, content)
            except NewColumn as e:
                raise TooNew(at, str(e)) from e
            except ValueError as e:
                raise TraceError(at, str(e)) from e
            yield from chunk
            record, next_id, time = record + block.records, next_id + block.ids, block.last_time
        if self.fault is not None:
            raise self.fault

    def events(self):
        """All events: (records before it, time, thread, kind, flags, arguments)."""
        at = 0
        time = record = 0
        while at < self.end and self.tail(at) is None:
            block = Block(self.data, at)
            at = block.end
            if block.kind != EVENT_BLOCK:
                continue
            c, first = Column(block.text(self.data)), True
            while c.more():
                kind, flags, thread, dt, dr, n = (c.varint() for _ in range(6))
                args = [c.varint() for _ in range(n)]
                if n > 4 or (first and (dt < time or dr < record)):
                    raise TraceError(block.at, "an event that cannot be")
                time, record = (dt, dr) if first else (time + dt, record + dr)
                first = False
                yield record, time, thread, kind, flags, args


def record_line(r, times):
    number, time, thread, op, flags, old, new, size, align = r
    words = [str(number), str(time) if times else "-", str(thread), OPS[op]]
    if op in HAS_OLD:
        words.append("old=" + (str(old) if old else "foreign" if flags & FOREIGN else "null"))
    if new:
        words.append(f"id={new}")
    if op in HAS_SIZE:
        words.append(f"size={size}")
    if align:
        words.append(f"align={1 << align}")
    for flag, word in ((FAILED, "failed"), (UNFINISHED, "unfinished"), (IMPLIED, "implied")):
        if flags & flag:
            words.append(word)
    return " ".join(words)


def event_line(e, times):
    _, time, thread, kind, flags, args = e
    name, *keys = EVENTS.get(kind, (f"kind={kind}",))
    words = ["event", str(time) if times else "-", str(thread), name]
    for i in range(4):
        value = args[i] if i < len(args) else 0
        if i < len(keys) or value:
            words.append(f"{keys[i] if i < len(keys) else f'arg{i}'}={value}")
    return " ".join(words + ["failed"] * (flags & 1))


def dump(trace):
    times = "times" in trace.fidelity
    events = trace.events()
    event = first = (0,)
    for r in trace.records():
        if event is first:
            event = next(events, None)
        while event is not None and event[0] <= r[0]:
            print(event_line(event, times))
            event = next(events, None)
        print(record_line(r, times))
    if event is first:
        event = next(events, None)
    while event is not None:
        print(event_line(event, times))
        event = next(events, None)
    if trace.cut:
        print("no trailer: the recorder was killed, or the file is cut", file=sys.stderr)


def check(trace):
    """Follows all ids and counts what the trailer says."""
    live, n = {}, dict.fromkeys(("records", "ops", "allocs", "frees", "foreign", "threads",
                                 "end_time", "peak_live_bytes", "peak_live_objects"), 0)
    live_bytes = 0
    for number, time, thread, op, flags, old, new, size, _ in trace.records():
        n["records"] += 1
        n["ops"] += op < 10
        n["foreign"] += bool(flags & FOREIGN)
        n["threads"] = max(n["threads"], thread + 1)
        n["end_time"] = time
        name = f"ops.{OPS[op]}"
        n[name] = n.get(name, 0) + 1
        if old and old not in live:
            raise TraceError(0, f"record {number} names allocation {old}, which is not live")
        if old and not flags & FAILED:
            live_bytes -= live.pop(old)
            n["frees"] += 1
        if new:
            live[new] = size
            live_bytes += size
            n["allocs"] += 1
            n["peak_live_bytes"] = max(n["peak_live_bytes"], live_bytes)
            n["peak_live_objects"] = max(n["peak_live_objects"], len(live))
    n["live_at_end"], n["chunks"] = len(live), len(trace.chunks)
    n["events"] = sum(1 for _ in trace.events())
    n["threads"] = max([n["threads"]] + [e[2] + 1 for e in trace.events()])
    if trace.cut:
        raise Truncated(len(trace.data), "the file has no trailer")
    for key, value in n.items():
        if int(trace.trailer.get(key, 0)) != value:
            raise TraceError(0, f"the trailer's {key} is not {value}")


def main(argv):
    flags, files = [a for a in argv if a.startswith("-")], [a for a in argv if a[:1] != "-"]
    if len(files) != 1 or flags not in ([], ["--info"], ["--check"]):
        print(__doc__, file=sys.stdout if flags == ["--help"] else sys.stderr)
        return 0 if flags == ["--help"] else 2
    try:
        trace = Trace(files[0])
        if flags == ["--info"]:
            print(json.dumps({"header": trace.header, "trailer": trace.trailer}, indent=1))
        elif flags == ["--check"]:
            check(trace)
        else:
            dump(trace)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TraceError as e:
        sys.stdout.flush()
        print(f"{files[0]}: {e}", file=sys.stderr)
        return 1 if isinstance(e, TooNew) else 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
