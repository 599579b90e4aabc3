#!/usr/bin/python3
"""Draws a figure from a results database.

  scripts/plot.py KIND results.db [-o FILE] [--trace TEXT] [--experiment ID]

KIND is one of
  memory      resident memory over a replay, by policy and allocator, with the live bytes
  pareto      kernel time against memory of all policies of `haksim optimise`, their front, the oracle
  fidelity    what haksim predicted against what hakreplay measured
  latency     latency of an op by quantile (hakreplay --passes=latency)
  throughput  operations a second by working set (bench_random_mixed, stored by hakdb put)
  syscalls    time in the kernel, stacked by cause

--trace takes those whose path holds TEXT; without it the newest with the data counts. FILE is PNG, SVG
or PDF by its name (default: KIND.png). The database is not changed; docs/schema.md describes it.
"""
import argparse
import os
import pathlib
import re
import sqlite3
import sys

MIB = 1048576.0
MS = 1e6


def fail(text):
    sys.exit(f"plot: {text}")


class Database:
    """Queries, by the rules of --trace and --experiment."""

    def __init__(self, path, trace, experiment):
        if not os.path.exists(path):
            fail(f"{path}: there is no such file")
        self.db = sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)
        self.db.row_factory = sqlite3.Row
        self.path, self.trace, self.experiment = path, trace, experiment

    def rows(self, sql, *params):
        try:
            return self.db.execute(sql, params).fetchall()
        except sqlite3.DatabaseError as e:
            fail(f"{self.path}: {e}; is it a database of hakreplay and haksim? (hakdb migrate)")

    def newest(self, condition, what):
        """(experiment_id, trace_id) of the newest run that meets the condition."""
        found = self.rows(f"""SELECT r.experiment_id, r.trace_id FROM run r
            JOIN experiment e ON e.id = r.experiment_id LEFT JOIN trace t ON t.id = r.trace_id
            WHERE r.status = 'ok' AND {condition}
              AND (?1 IS NULL OR instr(coalesce(t.path, ''), ?1) > 0)
              AND (?2 IS NULL OR r.experiment_id = ?2)
            ORDER BY r.experiment_id DESC, r.id DESC LIMIT 1""", self.trace, self.experiment)
        if not found:
            fail(f"{self.path} holds no {what}" + (f" of a trace '{self.trace}'" if self.trace else "")
                 + (f" in experiment {self.experiment}" if self.experiment else ""))
        return found[0]["experiment_id"], found[0]["trace_id"]

    def trace_name(self, trace):
        found = self.rows("SELECT path FROM trace WHERE id = ?", trace)
        return os.path.basename(found[0]["path"]) if found and found[0]["path"] else f"trace {trace}"


def variant(row):
    return row["policy"] if row["allocator"] == "hakmem" and row["policy"] else row["allocator"]


OTHERS = ("libc", "mimalloc", "jemalloc", "tcmalloc")


def in_order(names):
    """Policies of hakmem first, other allocators last: the same place and colour in every figure of them."""
    return sorted(names, key=lambda v: (v.split(":")[0] in OTHERS, v))


def style(i, name, count):
    """Line i of count: coincident lines stay visible, because the first are broad and lie below."""
    return {"color": f"C{i}", "linestyle": "--" if name.split(":")[0] in OTHERS else "-",
            "linewidth": 1.2 + 1.6 * (count - 1 - i) / max(1, count - 1)}


def plain_log(axis):
    """Ticks at powers of ten, and 2 and 5 times them where there is room, in plain numbers."""
    from matplotlib import ticker
    low, high = axis.get_view_interval()
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,), numticks=12))
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:,.10g}"))
    axis.set_minor_locator(ticker.NullLocator())


def tidy(panel, grid="y"):
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis=grid, alpha=0.3)


def legend_beside(panel, **kw):
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, **kw)


# ---- memory ------------------------------------------------------------------------------------

def draw_memory(d, pyplot):
    experiment, trace = d.newest("r.id IN (SELECT run_id FROM sample)", "samples of memory")
    runs = d.rows("""SELECT id, allocator, policy, env FROM run WHERE experiment_id = ? AND trace_id = ?
        AND status = 'ok' AND id IN (SELECT run_id FROM sample) GROUP BY allocator, policy, env
        ORDER BY id""", experiment, trace)
    figure, panel = pyplot.subplots(figsize=(10, 4.6), layout="constrained")
    runs = sorted(runs, key=lambda r: in_order([variant(x) for x in runs]).index(variant(r)))
    for i, run in enumerate(runs):
        points = d.rows("SELECT op, resident_bytes FROM sample WHERE run_id = ? ORDER BY seq", run["id"])
        mean = d.rows("SELECT value FROM metric WHERE run_id = ? AND name = 'mean_resident_bytes'",
                      run["id"])
        label = variant(run) + (f" (mean {mean[0][0] / MIB:.1f})" if mean else "")
        panel.plot([p["op"] / 1e6 for p in points], [p["resident_bytes"] / MIB for p in points],
                   label=label, **style(i, variant(run), len(runs)))
    live = d.rows("""SELECT op, live_bytes FROM sample WHERE run_id = ? AND live_bytes IS NOT NULL
        ORDER BY seq""", runs[0]["id"])
    if live:
        panel.fill_between([p["op"] / 1e6 for p in live], [p["live_bytes"] / MIB for p in live],
                           color="0.85", label="live bytes", linewidth=0)
    panel.set_title(f"{d.trace_name(trace)}: resident memory over the run", loc="left")
    panel.set_xlabel("million operations")
    panel.set_ylabel("MiB")
    panel.set_ylim(bottom=0)
    panel.margins(x=0)
    tidy(panel)
    legend_beside(panel)
    return figure


# ---- Pareto front with the oracle -----------------------------------------------------------------

MEMORY_OF = {"mean": ("predicted_mean_resident_bytes", "mean resident memory (by operations)"),
             "mean-time": ("predicted_mean_resident_time_bytes", "mean resident memory (by time)"),
             "peak": ("predicted_peak_resident_bytes", "peak resident memory")}


def front_of(points):
    front = []
    for p in sorted(points, key=lambda p: (p["memory"], p["cost"])):
        if not front or p["cost"] < front[-1]["cost"]:
            front.append(p)
    return front


def label_some(panel, front):
    """Names points of the front that lie well apart, the ends first."""
    (x0, x1), (y0, y1) = panel.get_xlim(), panel.get_ylim()
    placed = []
    order = [front[0], front[-1]] + front[1:-1]
    for p in order:
        at = panel.transAxes.inverted().transform(panel.transData.transform((p["x"], p["y"])))
        if any(abs(at[1] - b[1]) < 0.06 and abs(at[0] - b[0]) < 0.4 for b in placed):
            continue
        placed.append(at)
        right = at[0] < 0.6
        panel.annotate(p["policy"], (p["x"], p["y"]), xytext=(7 if right else -7, 5),
                       textcoords="offset points", ha="left" if right else "right", fontsize=8,
                       bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6})


def draw_pareto(d, pyplot):
    found = d.rows("""SELECT o.experiment_id, o.trace_id, o.kind FROM oracle o
        JOIN trace t ON t.id = o.trace_id WHERE (?1 IS NULL OR instr(coalesce(t.path, ''), ?1) > 0)
          AND (?2 IS NULL OR o.experiment_id = ?2)
        ORDER BY o.experiment_id DESC LIMIT 1""", d.trace, d.experiment)
    if not found:
        fail(f"{d.path} holds nothing of the oracle: haksim optimise puts it there")
    experiment, trace, kind = found[0]
    metric, title = MEMORY_OF[kind]
    # of a study all runs count, of each policy the newest
    points = [dict(r) for r in d.rows("""SELECT r.policy, m.value AS memory, c.value AS cost, max(r.id)
        FROM run r JOIN experiment e ON e.id = r.experiment_id
        JOIN metric m ON m.run_id = r.id AND m.name = ?3
        JOIN metric c ON c.run_id = r.id AND c.name = 'predicted_cost_ns'
        WHERE r.trace_id = ?2 AND r.pass = 'sim' AND r.status = 'ok' AND (e.id = ?1 OR e.study_id =
              (SELECT study_id FROM experiment WHERE id = ?1))
        GROUP BY r.policy""", experiment, trace, metric)]
    if not points:
        fail(f"{d.path} holds no simulated policy beside the oracle's answers")
    oracle = d.rows("""SELECT bytes, bound_ns, reachable_ns FROM oracle WHERE experiment_id = ?
        AND trace_id = ? AND kind = ? AND bound_ns IS NOT NULL ORDER BY bytes""", experiment, trace, kind)
    for p in points:
        p["x"], p["y"] = p["memory"] / MIB, p["cost"] / MS
    figure, panel = pyplot.subplots(figsize=(10, 5.4), layout="constrained")
    front = front_of(points)
    kinds = sorted({p["policy"].split(":")[0] for p in points}, key=lambda k: (k.startswith("model-"), k))
    for i, name in enumerate(kinds):
        of = [p for p in points if p["policy"].split(":")[0] == name]
        model = name.startswith("model-")
        panel.plot([p["x"] for p in of], [p["y"] for p in of], "DsPX"[i % 4] if model else "o",
                   markersize=6 if model else 4, alpha=0.65, zorder=3 if model else 2,
                   color="black" if model else f"C{i}", label=name)
    panel.plot([p["x"] for p in front], [p["y"] for p in front], "-", color="black", linewidth=1,
               drawstyle="steps-post", label="front of the policies")
    reach = [o for o in oracle if o["reachable_ns"] is not None]
    panel.plot([o["bytes"] / MIB for o in reach], [o["reachable_ns"] / MS for o in reach], "--",
               color="seagreen", linewidth=1.6, label="reached by knowing the future")
    panel.fill_between([o["bytes"] / MIB for o in oracle], [o["bound_ns"] / MS for o in oracle], 0,
                       color="firebrick", alpha=0.12, linewidth=0, label="impossible (lower bound)")
    top = max(p["y"] for p in points)
    if top > 15 * min(p["y"] for p in points):
        panel.set_yscale("log")
        panel.set_ylim(min(o["bound_ns"] for o in oracle) / MS * 0.7, top * 1.6)
    else:
        panel.set_ylim(0, top * 1.12)
    panel.set_xlim(0.97 * min(p["x"] for p in points), 1.03 * max(p["x"] for p in front) * 1.02)
    label_some(panel, front)
    panel.set_title(f"{d.trace_name(trace)}: {len(points)} release policies", loc="left")
    panel.set_xlabel(f"{title}, MiB")
    panel.set_ylabel("predicted kernel time, ms")
    tidy(panel, "both")
    legend_beside(panel)
    return figure


# ---- predicted against measured ---------------------------------------------------------------------

FIDELITY = [("release_calls", "release calls", 1.0), ("minor_faults", "page faults", 1.0),
            ("peak_resident_bytes", "peak resident, MiB", MIB),
            ("mean_resident_bytes", "mean resident, MiB", MIB)]


def draw_fidelity(d, pyplot):
    rows = d.rows("""SELECT f.name, f.policy, f.predicted, f.measured, t.path, t.threads,
            max(f.sim_run_id), max(f.account_experiment_id)
        FROM v_fidelity f JOIN trace t ON t.id = f.trace_id
        WHERE (?1 IS NULL OR instr(coalesce(t.path, ''), ?1) > 0)
          AND (?2 IS NULL OR f.account_experiment_id = ?2)
        GROUP BY f.trace_id, f.policy, f.name""", d.trace, d.experiment)
    if not rows:
        fail(f"{d.path} holds no trace and policy that was both simulated and replayed (account pass)")
    traces = sorted({r["path"] for r in rows})
    figure, panels = pyplot.subplots(1, 4, figsize=(13, 4.2), layout="constrained")
    for panel, (name, title, unit) in zip(panels, FIDELITY):
        of = [r for r in rows if r["name"] == name]
        low = min((min(r["predicted"], r["measured"]) for r in of if min(r["predicted"], r["measured"]) > 0),
                  default=1) / unit
        high = max((max(r["predicted"], r["measured"]) for r in of), default=1) / unit
        panel.plot([low / 1.5, high * 1.5], [low / 1.5, high * 1.5], color="0.6", linewidth=1)
        for i, path in enumerate(traces):
            these = [r for r in of if r["path"] == path and r["measured"] > 0 and r["predicted"] > 0]
            panel.plot([r["measured"] / unit for r in these], [r["predicted"] / unit for r in these], "o",
                       color=f"C{i}", markersize=5, alpha=0.75, label=os.path.basename(path or "?"))
        errors = sorted(abs(r["predicted"] / r["measured"] - 1) for r in of if r["measured"] > 0)
        if errors:
            panel.text(0.04, 0.96, f"{len(errors)} pairs\nmedian error {100 * errors[len(errors) // 2]:.2f} %\n"
                       f"worst {100 * errors[-1]:.1f} %", transform=panel.transAxes, va="top", fontsize=9)
        panel.set_xscale("log")
        panel.set_yscale("log")
        plain_log(panel.xaxis)
        plain_log(panel.yaxis)
        panel.tick_params(axis="x", rotation=45)
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_xlabel("measured")
        tidy(panel, "both")
    panels[0].set_ylabel("predicted")
    legend_beside(panels[-1])
    return figure


# ---- latency ------------------------------------------------------------------------------------------

QUANTILES = [("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p999", "99.9 %"), ("max", "slowest")]


def duration(ns, _):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:g} {unit}"
    return f"{ns:g} ns"


def draw_latency(d, pyplot):
    experiment, trace = d.newest("r.pass = 'latency'", "latency pass")
    rows = d.rows("""SELECT r.allocator, r.policy, m.name, avg(m.value) AS value FROM run r
        JOIN metric m ON m.run_id = r.id WHERE r.experiment_id = ? AND r.trace_id = ?
        AND r.pass = 'latency' AND r.status = 'ok' AND m.name LIKE 'latency%'
        GROUP BY r.allocator, r.policy, r.env, m.name ORDER BY min(r.id)""", experiment, trace)
    values, order = {}, []
    for r in rows:
        if variant(r) not in order:
            order.append(variant(r))
        values[variant(r), r["name"]] = r["value"]
    order = in_order(order)
    ops = [op for op in ("malloc", "calloc", "realloc", "aligned", "free")
           if any((v, f"latency_{op}_p50_ns") in values for v in order)]
    figure, panels = pyplot.subplots(1, len(ops), figsize=(2 + 3.2 * len(ops), 4.2), layout="constrained",
                                     squeeze=False, sharey=True)
    for panel, op in zip(panels[0], ops):
        for i, v in enumerate(order):
            y = [values.get((v, f"latency_{op}_{q}_ns")) for q, _ in QUANTILES]
            panel.plot(range(len(y)), [x if x else float("nan") for x in y], marker="o",
                       label=v, markersize=4, **style(i, v, len(order)))
        panel.set_xticks(range(len(QUANTILES)), [t for _, t in QUANTILES])
        panel.set_yscale("log")
        panel.set_title(op, loc="left")
        tidy(panel, "both")
    from matplotlib import ticker
    panels[0][0].yaxis.set_major_formatter(ticker.FuncFormatter(duration))
    panels[0][0].set_ylabel("time of one op")
    figure.suptitle(f"{d.trace_name(trace)}: latency of single operations", x=0.01, ha="left")
    legend_beside(panels[0][-1])
    return figure


# ---- throughput by working set ----------------------------------------------------------------------------

def draw_throughput(d, pyplot):
    experiment, _ = d.newest("r.mode LIKE 'random_mixed %'", "runs of bench_random_mixed")
    rows = d.rows("""SELECT r.allocator, r.policy, r.mode, m.value FROM run r JOIN metric m ON
        m.run_id = r.id AND m.name = 'mops_per_s' WHERE r.experiment_id = ? AND r.status = 'ok'
        ORDER BY r.id""", experiment)
    data, order = {}, []
    for r in rows:
        found = re.fullmatch(r"random_mixed iterations=(\d+) ws=(\d+)", r["mode"])
        if not found:
            continue
        if variant(r) not in order:
            order.append(variant(r))
        data.setdefault(int(found[1]), {}).setdefault(variant(r), {}).setdefault(
            int(found[2]), []).append(r["value"])
    order = in_order(order)
    sizes = [n for n in sorted(data) if len(next(iter(data[n].values()))) > 1]
    if not sizes:
        fail(f"{d.path}: experiment {experiment} has one working set only")
    figure, panels = pyplot.subplots(1, len(sizes), figsize=(3.5 + 4.6 * len(sizes), 4.8),
                                     layout="constrained", squeeze=False, sharey=True)
    for panel, n in zip(panels[0], sizes):
        for i, v in enumerate(order):
            by_ws = sorted(data[n].get(v, {}).items())
            panel.plot([ws for ws, _ in by_ws], [sorted(x)[len(x) // 2] for _, x in by_ws],
                       marker="o", markersize=4, label=v, **style(i, v, len(order)))
            panel.fill_between([ws for ws, _ in by_ws], [min(x) for _, x in by_ws],
                               [max(x) for _, x in by_ws], color=f"C{i}", alpha=0.12, linewidth=0)
        panel.set_xscale("log")
        panel.set_yscale("log")
        ticks = sorted({ws for x in data[n].values() for ws in x})
        panel.set_xticks(ticks, [f"{t:,}" for t in ticks])
        panel.minorticks_off()
        marks = [m for m in (0.5, 1, 2, 5, 10, 20, 50, 100) if panel.get_ylim()[0] <= m <= panel.get_ylim()[1]]
        panel.set_yticks(marks, [f"{m:g}" for m in marks])
        panel.set_title(f"{n:,} operations", loc="left")
        panel.set_xlabel("working set, slots")
        tidy(panel, "both")
    panels[0][0].set_ylabel("million operations a second")
    figure.suptitle("bench_random_mixed: medians; bands: slowest to quickest run", x=0.01, ha="left")
    legend_beside(panels[0][-1])
    return figure


# ---- time in the kernel, by cause -----------------------------------------------------------------------------

def cause(row):
    return row["call"] + (f" {row['detail']}" if row["detail"] else "")


def draw_syscalls(d, pyplot):
    experiment, trace = d.newest("r.pass = 'account'", "account pass")
    rows = d.rows("""SELECT allocator, policy, call, detail, avg(kernel_ns) AS ns, sum(calls) AS calls,
        min(run_id) AS first FROM v_syscall WHERE experiment_id = ? AND trace_id = ?
        AND kernel_ns IS NOT NULL GROUP BY allocator, policy, env, call, detail""", experiment, trace)
    system = {variant(r): r["median"] for r in d.rows("""SELECT allocator, policy, median FROM v_median
        WHERE experiment_id = ? AND trace_id = ? AND pass = 'time' AND name = 'cpu_system_ns'""",
                                                     experiment, trace)}
    order = [variant(r) for r in d.rows("""SELECT allocator, policy FROM run WHERE experiment_id = ?
        AND trace_id = ? AND pass = 'account' AND status = 'ok' GROUP BY allocator, policy, env
        ORDER BY min(id)""", experiment, trace)]
    order = in_order(order)
    times, causes = {}, {}
    for r in rows:
        times[variant(r), cause(r)] = times.get((variant(r), cause(r)), 0) + r["ns"]
        causes[cause(r)] = causes.get(cause(r), 0) + r["ns"]
    whole = sum(causes.values()) or 1
    shown = [c for c in sorted(causes, key=causes.get, reverse=True) if causes[c] > whole / 500][:8]
    figure, panel = pyplot.subplots(figsize=(10, 1.8 + 0.38 * len(order)), layout="constrained")
    left = [0.0] * len(order)
    for i, c in enumerate(shown):
        width = [times.get((v, c), 0) / MS for v in order]
        panel.barh(range(len(order)), width, left=left, height=0.66, color=f"C{i}", label=c)
        left = [a + b for a, b in zip(left, width)]
    if system:
        rest = [max(0.0, system.get(v, 0) / MS - l) for v, l in zip(order, left)]
        panel.barh(range(len(order)), rest, left=left, height=0.66, color="0.8",
                   label="page faults and the rest")
        left = [a + b for a, b in zip(left, rest)]
    for y, x in enumerate(left):
        panel.text(x, y, f" {x:.3g}", va="center", fontsize=8)
    panel.set_yticks(range(len(order)), order)
    panel.invert_yaxis()
    panel.set_xlabel("ms in the kernel")
    panel.set_title(f"{d.trace_name(trace)}: time in the kernel, by cause", loc="left")
    tidy(panel, "x")
    panel.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


KINDS = {"memory": draw_memory, "pareto": draw_pareto, "fidelity": draw_fidelity, "latency": draw_latency,
         "throughput": draw_throughput, "syscalls": draw_syscalls}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("database")
    parser.add_argument("-o", "--output", help="default: KIND.png")
    parser.add_argument("--trace", help="only traces whose path holds this text")
    parser.add_argument("--experiment", type=int, help="only this experiment (hakdb experiments)")
    args = parser.parse_args()
    try:
        import matplotlib
    except ImportError:
        fail("matplotlib is not installed. On Debian: apt-get install python3-matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    pyplot.rcParams["svg.hashsalt"] = "hakmem"
    output = args.output or f"{args.kind}.png"
    figure = KINDS[args.kind](Database(args.database, args.trace, args.experiment), pyplot)
    figure.savefig(output, dpi=110, metadata={"Date": None} if output.endswith(".svg") else None)
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
