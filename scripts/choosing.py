#!/usr/bin/python3
"""The study of choosing a policy: measures, chooses, confirms, and writes docs/studies/choosing.md.

  scripts/choosing.py --folder TRACES [--surfaceflinger FILE] [--db FILE] [--only-write] [-o FOLDER]

1. Records the programs (tests/bench/record-programs) into TRACES, where they are not there yet.
2. haksim calibrate, haksim optimise over all of them with --confirm, a replay of python for the figures.
3. The page: scripts/choosing.d/choosing.md.in with each {{name}} filled in from their output and the
   database, and the figures of scripts/plot.py.

Everything is kept in build/choosing/. --only-write measures nothing. Needs python3-matplotlib.
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
ENV = dict(os.environ, PATH=BIN + ":" + os.environ["PATH"], NO_COLOR="1")
ONE = "python"
SHOWN = ["eager", "demand:ms=100", "decay:ms=100", "never"]
with open(os.path.join(TOP, "alloc/heap.h"), encoding="utf-8") as header:
    DEFAULT = re.search(r'HAK_POLICY_DEFAULT "([^"]+)"', header.read())[1]


def run(*words, ok=(0,)):
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, env=ENV)
    if done.returncode not in ok:
        sys.exit(f"choosing: {' '.join(words)}: exit code {done.returncode}")
    return done.stdout


def measure(args, work):
    run(f"{TOP}/tests/bench/record-programs", args.folder)
    if args.surfaceflinger:
        run("haktrace", "import", "-q", "-o", f"{args.folder}/surfaceflinger.zst", args.surfaceflinger)
    traces = sorted(os.path.join(args.folder, n) for n in os.listdir(args.folder) if n.endswith(".zst"))
    run("haksim", "calibrate", "--db", args.db)
    one = f"{args.folder}/{ONE}.zst"
    for name, words in (("one", ["haksim", one, "--db", args.db, "-p", DEFAULT]),
                        ("all", ["haksim", "optimise", *traces, "--db", args.db, "--study=all", "--confirm"])):
        with open(os.path.join(work, name + ".json"), "w", encoding="utf-8") as f:
            f.write(run(*words, "--json"))
    run("hakreplay", one, "--alloc=hakmem", "--policy=" + ",".join(SHOWN), "--passes=account", "--no-control",
        "--db", args.db)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def mib(n):
    return f"{n / 1048576:.2f}"


def ms(n):
    return f"{n / 1e6:.2f}"


def percent(x):
    return "–" if x is None else f"{x + 0.0:.1f}"


def name(trace):
    return trace.removesuffix(".zst")


def front(d):
    rows = [r for r in d["fronts"] if name(r["trace"]) == ONE]
    few = [r for i, r in enumerate(rows) if r["mark"] or i in (0, len(rows) - 1) or i % max(1, len(rows) // 10) == 0]
    head = ["policy", "memory [MiB]", "x eager", "cost [ms]", "to win, least %", "most %", "mark"]
    return table(head, [[f"`{r['policy']}`", mib(r["memory_bytes"]), f"{r['to_eager']:.2f}", ms(r["cost_ns"]),
                         percent(r["to_win_least_percent"]), percent(r["to_win_most_percent"]), r["mark"] or ""]
                        for r in few])


def confirmed(d):
    rows = []
    for r in d["confirmed"]:
        if r["figure"] in ("release_calls", "minor_faults", "mean_resident_bytes", "mean_resident_time_bytes", "kernel_ns"):
            show = mib if r["figure"].endswith("bytes") else ms if r["figure"].endswith("ns") else lambda n: f"{n:.0f}"
            unit = " [MiB]" if r["figure"].endswith("bytes") else " [ms]" if r["figure"].endswith("ns") else ""
            rows.append([name(r["trace"]), r["figure"] + unit, show(r["predicted"]), show(r["measured"]),
                         f"{show(r['measured_least'])}–{show(r['measured_most'])}" if r["measured"] is not None else "–",
                         percent(r["error_percent"])])
    return table(["trace", "figure", "predicted", "measured", "runs", "error %"], rows)


def values(db, d, one):
    machine = db.execute("SELECT cpu_model, cpus_online, kernel, thp FROM machine ORDER BY id DESC").fetchone()
    own = next(r for r in one["policies"] if r["policy"] == DEFAULT)
    by_chosen = {r["trace"]: r for r in d["chosen"]}
    left = d["cross_validation"]
    return {
        "n": len(d["traces"]), "policies": d["policies"], "front": front(d), "default": DEFAULT,
        "machine": f"{machine[0]}, {machine[1]} processors, Linux {machine[2]}, THP `{machine[3]}`, "
                   + time.strftime("%Y-%m-%d", time.gmtime()),
        "default_memory": mib(own["mean_resident_time_bytes"]), "default_cost": ms(own["predicted_cost_ns"]),
        "best": table(["trace", "bound [MiB]", "best within it", "has [MiB]", "cost [ms]", "to win at most %"],
                      [[name(t["trace"]), mib(t["bound_bytes"]), f"`{t['best_policy']}`", mib(t["memory_bytes"]),
                        ms(t["cost_ns"]), percent(t["to_win_most_percent"])] for t in d["traces"]]),
        "n_best": len({t["best_policy"] for t in d["traces"]}), "policy": d["policy"],
        "broken": d["bounds_broken"] or "none", "worst_loss": f"{d['worst_loss_percent']:.0f}",
        "mean_loss": f"{d['mean_loss_percent']:.0f}",
        "chosen": table(["trace", "memory [MiB]", "to its bound", "cost [ms]", "own best [ms]", "more %"],
                        [[name(t), mib(r["memory_bytes"]), f"{r['to_bound']:.2f}", ms(r["cost_ns"]),
                          ms(r["best_cost_ns"]), percent(r["loss_percent"])] for t, r in by_chosen.items()]),
        "same": sum(r["policy"] == d["policy"] for r in left),
        "left_broken": sum(r["to_bound"] > 1 for r in left) or "none", "deploy": d["deploy"],
        "confirmed": confirmed(d),
    }


def write(args, work):
    def load(which):
        with open(os.path.join(work, which + ".json"), encoding="utf-8") as f:
            return json.load(f)
    with sqlite3.connect(args.db) as db:
        known = values(db, load("all"), load("one"))
    with open(os.path.join(TOP, "scripts/choosing.d/choosing.md.in"), encoding="utf-8") as f:
        text = re.sub(r"\{\{(\w+)\}\}", lambda m: str(known[m[1]]), f.read())
    with open(os.path.join(args.output, "choosing.md"), "w", encoding="utf-8") as f:
        f.write(text)
    for kind, more in (("pareto", [f"--trace={ONE}"]), ("memory", [f"--trace={ONE}"]), ("fidelity", [])):
        run(os.path.join(TOP, "scripts/plot.py"), kind, args.db, *more, "-o",
            os.path.join(args.output, f"choosing-{kind}.png"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", help="where recordings are kept")
    parser.add_argument("--surfaceflinger", help="Android's recording of it, to be imported")
    parser.add_argument("--db", help="default: build/choosing/results.db")
    parser.add_argument("--only-write", action="store_true", help="measure nothing")
    parser.add_argument("-o", "--output", default=os.path.join(TOP, "docs/studies"), metavar="FOLDER")
    args = parser.parse_args()
    work = os.path.join(TOP, "build/choosing")
    os.makedirs(work, exist_ok=True)
    args.db = args.db or os.path.join(work, "results.db")
    if not args.only_write and not args.folder:
        parser.error("--folder is needed")
    if not args.only_write:
        measure(args, work)
    write(args, work)


main()
