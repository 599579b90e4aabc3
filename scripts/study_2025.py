#!/usr/bin/python3
"""The study of the report of 2025-12: measures, simulates, and writes docs/studies/2025-madvise.md.

  scripts/study_2025.py [--quick] [--rounds N] [--only-write] [-o FOLDER]     (make study-2025)

1. bench_random_mixed, the report's loop, under every allocator and policy of VARIANTS, interleaved;
   stored with `hakdb put`.
2. The same stream as a trace, replayed by hakreplay: every memory call with its time, and the what-ifs
   of WHAT_IFS, each of which takes one thing out of the report's allocator.
3. The what-ifs by haksim, priced by `haksim calibrate`.
4. The page: scripts/study_2025.d/2025-madvise.md.in with each {{name}} filled in from the database, and
   the figures of scripts/plot.py.

Everything is kept in build/study-2025/results.db. --quick is for the tests: a tenth of the operations,
written into FOLDER. Needs libmimalloc2.0 and python3-matplotlib for the whole.
"""
import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(TOP, "build/bin")
HAKMEM = os.path.join(TOP, "build/lib/libhakmem.so")
MIMALLOC = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2"
with open(os.path.join(TOP, "alloc/heap.h"), encoding="utf-8") as header:
    DEFAULT = re.search(r'HAK_POLICY_DEFAULT "([^"]+)"', header.read())[1]
REPORT, HUGE = "report-2025", "report-2025:huge=1B"

# Of the throughput table. (allocator, policy)
VARIANTS = [("hakmem", REPORT), ("hakmem", HUGE), ("hakmem", "eager"), ("hakmem", "partial:n=100"),
            ("hakmem", DEFAULT), ("hakmem", "never"), ("mimalloc", None), ("libc", None)]
WORKING_SETS = (400, 4000, 10000, 40000)

# What the report's allocator costs without one of its parts: (policy, what was taken out)
WHAT_IFS = [(REPORT, "nothing: the report's allocator, 4 KiB pages"),
            ("report-2025:populate=0", "the populate calls (no madvise is left)"),
            ("report-2025:how=dontneed", "the unmapping: pages go back, mappings stay"),
            ("report-2025:how=dontneed,populate=0", "both: pages go back, and come by faults"),
            ("report-2025:keep=200MiB", "the eagerness: up to 100 empty SuperSlabs stay"),
            (HUGE, "nothing, but on huge pages"),
            ("report-2025:populate=0,huge=1B", "the populate calls, on huge pages"),
            ("report-2025:how=dontneed,huge=1B", "the unmapping, on huge pages"),
            ("report-2025:keep=200MiB,huge=1B", "the eagerness, on huge pages")]
TODAY = ["eager", "partial:n=100", DEFAULT, "never"]

# The report's own table: Mops/s at 1M operations (HAKMEM, mimalloc, libc).
THEN = {400: (4.5, 122, 84), 4000: (4.3, 99, 61), 10000: (4.3, 83, 53), 40000: (None, 54, 34)}


def fail(text):
    sys.exit(f"study_2025: {text}")


def run(*command, **kw):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **kw)
    if done.returncode != 0:
        fail(f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout


# ---- 1. the report's loop ---------------------------------------------------------------------------

def clean_environment():
    return {k: v for k, v in os.environ.items()
            if not re.match(r"LD_PRELOAD|HAK|MIMALLOC_|MALLOC_|GLIBC_TUNABLES", k)}


def bench_once(allocator, policy, iterations, ws):
    """One run: a line for `hakdb put`."""
    env = clean_environment()
    if allocator != "libc":
        env["LD_PRELOAD"] = HAKMEM if allocator == "hakmem" else MIMALLOC
    if policy:
        env["HAKMEM_POLICY"] = policy
    fields = [f"allocator={allocator}", "pass=time", f"mode=random_mixed iterations={iterations} ws={ws}"]
    if policy:
        fields.append(f"policy={policy}")
    child = subprocess.Popen([os.path.join(BIN, "bench_random_mixed"), "--json", str(iterations), str(ws),
                              "1"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, complaint = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    child.stderr.close()
    if child.returncode != 0:
        word = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        return fields + ["status=crashed" if child.returncode < 0 else "status=failed",
                         f"error=exit code {child.returncode}: {word[0]}".replace("\t", " ")]
    r = json.loads(out)
    if allocator not in os.path.basename(r["malloc_library"]):
        fail(f"malloc came from {r['malloc_library']}, not from {allocator}")
    return fields + [f"mops_per_s={r['mops_per_s']} Mops/s", f"wall_ns={round(r['seconds'] * 1e9)}",
                     f"minor_faults={r['minor_faults']}", f"peak_rss_bytes={r['peak_rss_kib'] * 1024} bytes",
                     f"cpu_system_ns={round(usage.ru_stime * 1e9)}",
                     f"cpu_user_ns={round(usage.ru_utime * 1e9)}"]


def bench(db, scale, rounds):
    lines = []
    cells = [(1000000 // scale, ws) for ws in WORKING_SETS] + [(10000000 // scale, 400)]
    variants = [v for v in VARIANTS if v[0] != "mimalloc" or os.path.exists(MIMALLOC)]
    for repeat in range(rounds):
        for iterations, ws in cells:
            if iterations * scale > 1000000 and repeat >= max(1, rounds // 2):
                continue
            for i in range(len(variants)):  # each round begins with another
                allocator, policy = variants[(i + repeat) % len(variants)]
                lines.append("\t".join(bench_once(allocator, policy, iterations, ws)
                                       + [f"repeat={repeat}"]))
    run(os.path.join(BIN, "hakdb"), "-d", db, "put", "bench_random_mixed", input="\n".join(lines) + "\n")


# ---- 2 and 3. the stream as a trace --------------------------------------------------------------------

def replay_and_simulate(folder, db, scale, rounds):
    trace = os.path.join(folder, "random_mixed-400.zst")
    run(os.path.join(BIN, "haktrace"), "gen", "-o", trace, "random_mixed", str(1000000 // scale), "400", "1")
    policies = ",".join([p for p, _ in WHAT_IFS] + TODAY)
    allocators = "hakmem,mimalloc,libc" if os.path.exists(MIMALLOC) else "hakmem,libc"
    run(os.path.join(BIN, "haksim"), "calibrate", f"--db={db}")
    run(os.path.join(BIN, "haksim"), trace, f"--db={db}", "--study=2025-madvise", "-p", policies)
    run(os.path.join(BIN, "hakreplay"), trace, f"--alloc={allocators}", f"--policy={policies}",
        "--passes=time,account", f"--repeats={rounds}", f"--db={db}", env=clean_environment())


# ---- 4. the page ------------------------------------------------------------------------------------------

class Results:
    def __init__(self, path):
        if not os.path.exists(path):
            fail(f"{path} is not there: run it without --only-write first")
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.bench_experiment = self.one("SELECT max(id) FROM experiment WHERE tool = 'bench_random_mixed'")
        self.replay_experiment = self.one("SELECT max(id) FROM experiment WHERE tool = 'hakreplay'")
        if not self.bench_experiment or not self.replay_experiment:
            fail(f"{path} lacks the bench or the replay")

    def one(self, sql, *params):
        row = self.db.execute(sql, params).fetchone()
        return row[0] if row else None

    def bench(self, allocator, policy, iterations, ws, name="mops_per_s"):
        """Median of a figure of the loop; None where a run failed."""
        mode = f"random_mixed iterations={iterations} ws={ws}"
        if self.one("""SELECT count(*) FROM run WHERE experiment_id = ? AND allocator = ? AND policy IS ?
                AND mode = ? AND status <> 'ok'""", self.bench_experiment, allocator, policy, mode):
            return None
        return self.one("""SELECT median FROM v_median WHERE experiment_id = ? AND allocator = ?
            AND policy IS ? AND mode = ? AND name = ?""", self.bench_experiment, allocator, policy, mode, name)

    def replay(self, allocator, policy, passing, name):
        return self.one("""SELECT median FROM v_median WHERE experiment_id = ? AND allocator = ?
            AND policy IS ? AND pass = ? AND name = ?""", self.replay_experiment, allocator, policy, passing,
                        name)

    def calls(self, allocator, policy, like, column="calls"):
        """Calls (or their kernel time) of the account pass whose name and detail match."""
        return self.one(f"""SELECT coalesce(sum({column}), 0) FROM v_syscall WHERE experiment_id = ?
            AND allocator = ? AND policy IS ? AND call || ' ' || detail LIKE ?""", self.replay_experiment,
                        allocator, policy, like)

    def predicted_calls(self, policy, like):
        return self.one("""SELECT coalesce(sum(calls), 0) FROM syscall WHERE call || ' ' || detail LIKE ?
            AND run_id = (SELECT max(id) FROM run WHERE pass = 'sim' AND policy = ? AND status = 'ok')""",
                        like, policy)

    def predicted(self, policy, name):
        return self.one("""SELECT m.value FROM run r JOIN metric m ON m.run_id = r.id WHERE r.pass = 'sim'
            AND r.policy = ? AND m.name = ? AND r.status = 'ok' ORDER BY r.id DESC LIMIT 1""", policy, name)


def number(v, digits=1):
    return "–" if v is None else f"{v:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def label(allocator, policy):
    return f"`{policy}`" if policy else allocator


def has_mimalloc(r):
    return r.one("SELECT count(*) FROM run WHERE experiment_id = ? AND allocator = 'mimalloc'",
                 r.bench_experiment) > 0


def variants(r):
    return [v for v in VARIANTS if v[0] != "mimalloc" or has_mimalloc(r)]


def throughput_table(r, n):
    rows = [["*the report's HAKMEM*"] + [number(THEN[ws][0]) if THEN[ws][0] else "*SEGFAULT*"
                                         for ws in WORKING_SETS] + ["*OOM*"]]
    for allocator, policy in variants(r):
        cells = [r.bench(allocator, policy, n, ws) for ws in WORKING_SETS]
        cells.append(r.bench(allocator, policy, 10 * n, 400))
        rows.append([label(allocator, policy)] + [number(c) for c in cells])
    rows.append(["*mimalloc, in the report*"] + [THEN[ws][1] for ws in WORKING_SETS] + ["–"])
    rows.append(["*libc, in the report*"] + [THEN[ws][2] for ws in WORKING_SETS] + ["–"])
    return table([""] + [f"{n:,} / {ws:,}" for ws in WORKING_SETS] + [f"{10 * n:,} / 400"], rows)


def counters_table(r, n):
    rows = [["*the report's HAKMEM*", "304", "272", "6,780", "–"]]
    for allocator, policy in variants(r):
        get = lambda name: r.bench(allocator, policy, n, 400, name)
        rows.append([label(allocator, policy), number((get("wall_ns") or 0) / 1e6), number((get("cpu_system_ns")
                    or 0) / 1e6), number(get("minor_faults"), 0), number((get("peak_rss_bytes") or 0) / 2**20)])
    return table(["", "ms", "ms in the kernel (whole process)", "page faults", "peak RSS, MiB"], rows)


def syscalls_table(r):
    rows = [["*the report's HAKMEM*", "1,113", "1,092", "1,081 (all madvise)", "", ""]]
    for allocator, policy in variants(r):
        rows.append([label(allocator, policy)]
                    + [number(r.calls(allocator, policy, like), 0)
                       for like in ("mmap%", "munmap%", "madvise MADV_POPULATE_WRITE", "madvise MADV_DONTNEED")]
                    + [number(r.calls(allocator, policy, "%", "kernel_ns") / 1e6, 2)])
    return table(["", "mmap", "munmap", "madvise populate", "madvise dontneed", "ms in calls"], rows)


def what_if_table(r):
    rows = []
    base = r.replay("hakmem", REPORT, "time", "wall_ns")
    for policy, what in WHAT_IFS + [(p, "today's placement") for p in TODAY]:
        time_ns = r.replay("hakmem", policy, "time", "wall_ns")
        kernel = r.replay("hakmem", policy, "time", "cpu_system_ns")
        calls = r.calls("hakmem", policy, "%", "kernel_ns")
        rows.append([f"`{policy}`", what, number(time_ns / 1e6), number(base / time_ns, 2),
                     number(r.calls("hakmem", policy, "mmap%", "kernel_ns") / 1e6, 2),
                     number(r.calls("hakmem", policy, "munmap%", "kernel_ns") / 1e6, 2),
                     number(r.calls("hakmem", policy, "madvise MADV_POPULATE%", "kernel_ns") / 1e6, 2),
                     number((calls - sum(r.calls("hakmem", policy, like, "kernel_ns") for like in
                                         ("mmap%", "munmap%", "madvise MADV_POPULATE%"))) / 1e6, 2),
                     number(max(0.0, kernel - calls) / 1e6, 1)])
    return table(["policy", "taken out", "ms", "× faster", "mmap", "munmap", "populate", "other calls",
                  "faults and the rest"], rows)


def prediction_table(r):
    rows = []
    for policy, _ in WHAT_IFS + [(p, "") for p in TODAY]:
        kernel = (r.replay("hakmem", policy, "time", "cpu_system_ns") or 0) / 1e6
        cost = r.predicted(policy, "predicted_cost_ns") / 1e6
        populated = r.predicted(policy, "predicted_populated_bytes") / 4096
        huge = "huge=1B" in policy
        rows.append([f"`{policy}`"]
                    + [f"{number(p, 0)} / {number(m, 0)}" for p, m in (
                        (r.predicted_calls(policy, "munmap%"), r.calls("hakmem", policy, "munmap%")),
                        (r.predicted_calls(policy, "madvise MADV_POPULATE%"),
                         r.calls("hakmem", policy, "madvise MADV_POPULATE%")),
                        (r.predicted(policy, "predicted_faults") + populated,
                         r.replay("hakmem", policy, "account", "minor_faults")))]
                    + [f"{number(cost)} / {number(kernel)}" if not huge else f"(– / {number(kernel)})"])
    return table(["policy", "unmappings", "populate calls", "pages brought in / faults", "kernel ms"], rows)


def ratio(r, a, b, name="wall_ns"):
    return r.replay("hakmem", a, "time", name) / r.replay("hakmem", b, "time", name)


def percent(x):
    return f"{abs(100 * (x - 1)):.0f} % {'slower' if x > 1 else 'quicker'}"


def verdicts(r):
    """What the report held, and what the figures say: (held, found, verdict)."""
    dontneed = r.calls("hakmem", REPORT, "madvise MADV_DONTNEED")
    off, off_huge = ratio(r, "report-2025:populate=0", REPORT), ratio(r, "report-2025:populate=0,huge=1B", HUGE)
    no_unmap = ratio(r, HUGE, "report-2025:how=dontneed,huge=1B")
    keep, keep_huge = ratio(r, REPORT, "report-2025:keep=200MiB"), ratio(r, HUGE, "report-2025:keep=200MiB,huge=1B")
    faults, huge_faults = (r.replay("hakmem", p, "account", "minor_faults") for p in (REPORT, HUGE))
    eager = ratio(r, "eager", "never")
    return [
        ("Eager `madvise(MADV_DONTNEED)` costs the time.",
         f"The report's allocator makes {dontneed:,.0f} such calls.", "holds" if dontneed > 100 else "wrong"),
        ("The madvise calls are the cost, so turning them off helps (the report tried: 15 % slower).",
         f"They are populate calls. Without them: {percent(off)} on 4 KiB pages, {percent(off_huge)} on huge "
         "pages: there the same memory comes by one fault instead of one call.",
         "wrong on huge pages, right on small ones" if off < 0.8 and off_huge > 0.8 else
         "holds" if off_huge < 0.8 else "wrong"),
        ("SuperSlabs that are mapped and unmapped over and over are the true cause.",
         f"Keeping empty ones: {keep:.1f} times as fast on 4 KiB pages, {keep_huge:.1f} times on huge ones. "
         f"Keeping the mapping alone but giving the pages back: {no_unmap:.2f} times on huge pages.",
         "holds, if it says: emptied and refilled" if keep > 2 and keep_huge > 2 else "not shown"),
        ("(6,780 page faults.)",
         f"As the process counts them, 4 KiB pages make {faults:,.0f} faults here, huge pages {huge_faults:,.0f}; "
         "`perf` leaves out those of a populate call. The report does not say which it counted.", "open"),
        ("Giving back early is slow in itself.",
         f"With today's placement `eager` takes {eager:.2f} times the time of `never` on this loop: no span "
         "becomes free, so there is nothing to give back.", "wrong here" if eager < 1.1 else "holds"),
        ("40,000 slots crash, ten million operations run out of memory.",
         "Every cell of the table above ran, under every policy, the report's too.", "mended")]


def verdict_table(r):
    return table(["what the report held", "what the figures say", ""], verdicts(r))


def machine_line(r):
    m = r.db.execute("""SELECT m.cpu_model, m.cpus_online, m.kernel, m.libc, m.thp, e.started_unix_ns
        FROM experiment e JOIN machine m ON m.id = e.machine_id WHERE e.id = ?""",
                     (r.replay_experiment,)).fetchone()
    day = time.strftime("%Y-%m-%d", time.gmtime(m[5] / 1e9))
    return f"{m[0]}, {m[1]} processors, Linux {m[2]}, {m[3]}, THP `{m[4]}`, {day}"


def values(r, n):
    price = lambda name: r.one("SELECT m.value FROM metric m JOIN run r ON r.id = m.run_id WHERE m.name = ? "
                               "ORDER BY r.id DESC LIMIT 1", "price_" + name)
    ms = lambda p: r.replay("hakmem", p, "time", "wall_ns") / 1e6
    return {
        "operations": f"{n:,}",
        "machine": machine_line(r),
        "rounds": r.one("SELECT max(repeat) + 1 FROM run WHERE experiment_id = ?", r.bench_experiment),
        "throughput": throughput_table(r, n), "counters": counters_table(r, n),
        "syscalls": syscalls_table(r), "what_ifs": what_if_table(r), "predictions": prediction_table(r),
        "verdicts": verdict_table(r),
        "report_ms": number(ms(REPORT)), "huge_ms": number(ms(HUGE)),
        "huge_keep_ms": number(ms("report-2025:keep=200MiB,huge=1B")),
        "keep_ms": number(ms("report-2025:keep=200MiB")),
        "never_ms": number(ms("never")),
        "pairs": number(r.calls("hakmem", REPORT, "munmap%"), 0),
        "populates": number(r.calls("hakmem", REPORT, "madvise MADV_POPULATE%"), 0),
        "huge_share": number(100 * r.replay("hakmem", HUGE, "time", "cpu_system_ns")
                             / r.replay("hakmem", HUGE, "time", "wall_ns"), 0),
        "fault_ns": number(price("fault_ns"), 0), "populate_ns": number(price("populate_page_ns"), 0),
        "touched_slower": number(100 * (price("fault_ns") / price("populate_page_ns") - 1), 0),
        "dontneed_ratio": number(ratio(r, REPORT, "report-2025:how=dontneed"), 2),
        "best_today": number(max(r.bench("hakmem", p, n, 400) or 0 for a, p in VARIANTS if a == "hakmem")),
    }


def write_page(folder, db, n):
    with open(os.path.join(TOP, "scripts/study_2025.d/2025-madvise.md.in"), encoding="utf-8") as f:
        text = f.read()
    r = Results(db)
    known = values(r, n)
    def fill(match):
        if match[1] not in known:
            fail(f"2025-madvise.md.in: there is no {{{{{match[1]}}}}}")
        return str(known[match[1]])
    text = re.sub(r"\{\{(\w+)\}\}", fill, text)
    with open(os.path.join(folder, "2025-madvise.md"), "w", encoding="utf-8") as f:
        f.write(text)
    for kind, experiment in (("throughput", r.bench_experiment), ("syscalls", r.replay_experiment)):
        run(os.path.join(TOP, "scripts/plot.py"), kind, db, f"--experiment={experiment}", "-o",
            os.path.join(folder, f"2025-madvise-{kind}.png"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations, two rounds")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each cell (default: 5)")
    parser.add_argument("--only-write", action="store_true", help="measure nothing: write from the database")
    parser.add_argument("-o", "--output", help="folder of page and figures (default: docs/studies)")
    args = parser.parse_args()
    scale, rounds = (10, 2) if args.quick else (1, args.rounds)
    page = args.output or os.path.join(TOP, "docs/studies")
    folder = args.output if args.quick and args.output else os.path.join(TOP, "build/study-2025")
    os.makedirs(page, exist_ok=True)
    os.makedirs(folder, exist_ok=True)
    db = os.path.join(folder, "results.db")
    if not args.only_write:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(db + suffix):
                os.unlink(db + suffix)
        bench(db, scale, rounds)
        replay_and_simulate(folder, db, scale, rounds)
    write_page(page, db, 1000000 // scale)
    print(os.path.join(page, "2025-madvise.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
