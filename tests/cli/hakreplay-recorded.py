"""Holds the recording of a replay against the trace that was replayed.

    hakreplay-recorded.py ORIGINAL RECORDED [--in-order]

Each thread must have made the same ops in the same order, and each op must have consumed the object
that the same op of the same thread made. --in-order (for --drift=0): the ops of all threads stand
in one order, the same one, so the curve of live bytes is the same too, op for op. Marks (child.h) tell
which thread of the recording is which, and where the replay begins and ends.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import read_trace  # noqa: E402

FAILED, FOREIGN, UNFINISHED, IMPLIED = 1, 2, 4, 8
MALLOC, CALLOC, REALLOC, REALLOCARRAY, FREE = 0, 1, 2, 3, 4
BEGIN, THREAD, DONE, THREADS = 3000017, 4000000, 5000000, 16384


def ops(path):
    """(thread, op, size, align, id, old id, flags) of each op."""
    for _, _, thread, op, flags, old, new, size, align in read_trace.Trace(path).records():
        if op < 10:
            yield thread, op, size, align, new, old, flags


def planned(path):
    """What hakreplay makes of a trace (plan.h), as (thread, name, size, align, id, old)."""
    for thread, op, size, align, id_, old, flags in ops(path):
        if flags & FAILED:
            continue
        if op == FREE:
            if not flags & FOREIGN:
                yield thread, "free", 0, 0, 0, old
        elif op in (REALLOC, REALLOCARRAY):
            if flags & UNFINISHED:
                if old:
                    yield thread, "free", 0, 0, 0, old
            elif id_ or old:
                yield thread, read_trace.OPS[op], size if size or not id_ or not old else 1, 0, id_, old
        else:
            yield thread, read_trace.OPS[op], size, align, id_, old


def recorded(path):
    """The ops between the marks, with the threads numbered as they were replayed."""
    number, state, last, mine, dropped = {}, {}, {}, set(), 0
    for thread, op, size, align, id_, old, flags in ops(path):
        if op == MALLOC and THREAD <= size < THREAD + THREADS and thread not in number:
            number[thread] = size - THREAD
        elif state.get(thread) == "on" and op == MALLOC and size == DONE + number[thread]:
            state[thread] = "done"
        if state.get(thread) == "on":
            assert not flags & (FOREIGN | IMPLIED | UNFINISHED | FAILED), (thread, op, flags)
            if old and old not in mine:
                dropped += 1  # of an object that is older than the replay
                continue
            mine.add(id_)
            yield number[thread], read_trace.OPS[op], size, align, id_, old
        elif thread in number and thread not in state and op == FREE and \
                last[thread] == (MALLOC, THREAD + number[thread] if number[thread] else BEGIN):
            state[thread] = "on"  # the mark was freed; thread 0 begins behind the common one
        last[thread] = (op, size)
    assert all(state.get(t) == "done" for t in number), f"marks are missing: {state}"
    print(f"{len(number)} threads, {dropped} frees of older objects left out")


def curve(stream):
    """Live bytes after each op."""
    sizes, live, out = {}, 0, []
    for _, _, size, _, id_, old in stream:
        live -= sizes.pop(old, 0)
        if id_:
            sizes[id_] = size
            live += size
        out.append(live)
    return out


def by_thread(stream):
    """Each thread's ops, with objects named by the thread and op that made them."""
    threads, maker = {}, {}
    for thread, name, size, align, id_, old in stream:
        mine = threads.setdefault(thread, [])
        mine.append((name, size, align, bool(id_), maker.get(old)))
        if id_:
            maker[id_] = (thread, len(mine) - 1)
    return threads


def main():
    """Compares; the exit code says whether they are the same."""
    want, got = list(planned(sys.argv[1])), list(recorded(sys.argv[2]))
    print(f"{len(want)} ops replayed, {len(got)} recorded")
    a, b = by_thread(want), by_thread(got)
    assert a.keys() == b.keys(), f"threads {sorted(a)} became {sorted(b)}"
    for thread, mine in a.items():
        for i, (x, y) in enumerate(zip(mine, b[thread])):
            assert x == y, f"thread {thread}, op {i}: {x} became {y}"
        assert len(mine) == len(b[thread]), f"thread {thread}: {len(mine)} ops became {len(b[thread])}"
    if "--in-order" in sys.argv:
        assert [x[:4] for x in want] == [x[:4] for x in got], "the order between threads differs"
        assert curve(want) == curve(got), "the curve of live bytes differs"
        print(f"one order, peak live {max(curve(got))}")


main()
