"""Holds the accounts of a run against strace's log of the same run, call for call.

    hakreplay-strace.py LOG OUT.json [NAME]

Each call that hakreplay counted stands in the log twice: as it was trapped, and as it was carried out; one
that it missed stands there once. Calls are told apart here from the text that strace prints, by kind of
mapping, advice, protection and direction of brk, and their bytes are added up.
"""
import collections
import json
import re
import sys

START, END = "-1000001", "-1000002"


def number(text):
    """A number as strace prints it."""
    return 0 if text == "NULL" else int(text, 0)


def mapping(prot, flags):
    """The kind of an mmap."""
    writable = "PROT_READ" in prot and "PROT_WRITE" in prot
    if "MAP_ANONYMOUS" not in flags:
        return "FILE"
    if "MAP_HUGETLB" in flags:
        return "HUGETLB"
    fixed = "FIXED " if "MAP_FIXED" in flags.split("|") else ""
    if writable:
        return fixed + "ANON RW"
    return fixed + "ANON PROT_NONE" if prot == "PROT_NONE" else "OTHER"


class Break:
    """The program break, followed through the log: each brk stands there twice."""

    def __init__(self):
        self.at, self.next = 0, None

    def kind(self, wanted):
        """Direction and bytes of brk(wanted)."""
        if wanted in (0, self.at):
            return "query", 0
        return ("grow" if wanted > self.at else "shrink"), abs(wanted - self.at)


def classify(call, args, brk):
    """(detail, bytes) of a call, as hakreplay names them."""
    if call == "mmap":
        return mapping(args[2], args[3]), number(args[1])
    if call == "madvise":
        known = re.match(r"MADV_\w+$", args[2])
        return known[0] if known else "OTHER", number(args[1])
    if call == "mprotect":
        known = args[2] in ("PROT_NONE", "PROT_READ", "PROT_READ|PROT_WRITE")
        return args[2] if known else "OTHER", number(args[1])
    if call == "brk":
        return brk.kind(number(args[0]))
    return "", number(args[2] if call == "mremap" else args[1])


def read(path):
    """{(call, detail): [lines, bytes]} between the marks."""
    seen, inside, brk = collections.defaultdict(lambda: [0, 0]), False, Break()
    for line in open(path):
        m = re.match(r"\d+ +(?:<\.\.\. )?(\w+)(?:\((.*)| resumed>(.*))", line)
        if not m:
            continue
        call = m[1]
        if m[2] is not None:  # the call begins here, with all its arguments
            args = [a.strip() for a in re.split(r",|\)\s+=|\)$|<unfinished", m[2])]
            if call == "close":
                inside = args[0] == START or (inside and args[0] != END)
            elif inside:
                detail, size = classify(call, args, brk)
                seen[call, detail][0] += 1
                seen[call, detail][1] += size
        done = re.search(r"= (0x[0-9a-f]+)$", line)
        if call == "brk" and done and int(done[1], 0) > 4096:  # trapped ones "return" the call's number
            brk.at = int(done[1], 0)
    return seen


def main():
    """Compares; the exit code says whether they are the same."""
    seen, d = read(sys.argv[1]), json.load(open(sys.argv[2]))
    counted = {(r["call"], r["detail"]): [2 * r["calls"], 2 * r["bytes"]] for r in d["syscalls"]}
    shown = {f"{c} {d}".strip(): n[0] // 2 for (c, d), n in sorted(counted.items())}
    print(*sys.argv[3:], sum(shown.values()), "calls", shown)
    assert d["results"][0]["counting"] == "seccomp", d["results"]
    assert dict(seen) == counted, f"strace saw {dict(seen)}, twice the accounts are {counted}"
    assert sum(n[0] for n in counted.values()) == 2 * d["results"][0]["syscalls"]
    assert sum(t["syscalls"] or 0 for t in d["threads"]) <= d["results"][0]["syscalls"]


main()
