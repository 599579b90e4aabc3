#!/usr/bin/python3
"""Draws time and memory by allocator and trace from a results database.

  scripts/plot_compare.py results.db [-o compare.png]

Each trace has a pair of panels: nanoseconds per op (every repeat as a dot, the median as a bar),
and resident memory (peak and mean, with the trace's live peak as a line). A variant with a failed
run is drawn without bars and marked. Of several experiments with one trace, the newest that is
done counts. Figures are read through the views of docs/schema.md; the file is not changed.
"""
import argparse
import os
import pathlib
import sqlite3
import sys

MIB = 1048576.0


def read(path):
    """{trace: {"live": bytes or None, "variants": {name: figures}}}"""
    if not os.path.exists(path):
        sys.exit(f"plot_compare: {path}: there is no such file")
    db = sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        return query(db)
    except sqlite3.DatabaseError as e:
        sys.exit(f"plot_compare: {path}: {e}; is it a database of `hakreplay --db`?")


def query(db):
    traces = {}
    newest = """SELECT trace_id, max(experiment_id) AS experiment_id FROM run r
        JOIN experiment e ON e.id = r.experiment_id
        WHERE e.state = 'done' AND r.pass = 'time' AND trace_id IS NOT NULL GROUP BY trace_id"""
    for row in db.execute(f"""SELECT c.*, t.peak_live_bytes AS live
            FROM v_compare c JOIN ({newest}) n USING (trace_id, experiment_id)
            JOIN trace t ON t.id = c.trace_id ORDER BY c.trace_id, c.ns_per_op"""):
        name = row["allocator"] + (f"\n{row['policy']}" if row["policy"] else "")
        times = [r[0] for r in db.execute(
            """SELECT ns_per_op FROM v_figures WHERE experiment_id = ? AND trace_id = ?
               AND allocator = ? AND policy IS ? AND env IS ? AND pass = 'time' AND status = 'ok'
               AND ns_per_op IS NOT NULL""",
            (row["experiment_id"], row["trace_id"], row["allocator"], row["policy"], row["env"]))]
        label = os.path.basename(row["trace_path"] or f"trace {row['trace_id']}")
        trace = traces.setdefault(f"{label} ({row['trace_id']})", {"live": row["live"],
                                                                   "variants": {}})
        trace["variants"][name] = {
            "failed": row["failed_runs"], "times": times, "median": row["ns_per_op"],
            "peak": row["peak_resident_bytes"], "mean": row["mean_resident_bytes"]}
    return traces


def draw(traces, out):
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot_compare: matplotlib is not installed. On Debian: "
                 "apt-get install python3-matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(len(traces), 2, squeeze=False, layout="constrained",
                                     figsize=(11, 1.2 + 3.2 * len(traces)))
    for (label, trace), (left, right) in zip(traces.items(), panels):
        names = list(trace["variants"])
        draw_times(left, names, trace["variants"])
        draw_memory(right, names, trace)
        left.set_title(f"{label}: time")
        right.set_title(f"{label}: resident memory")
        for panel in (left, right):
            panel.set_xticks(range(len(names)), names)
            panel.set_ylim(bottom=0)
            panel.spines[["top", "right"]].set_visible(False)
            panel.grid(axis="y", alpha=0.3)
    figure.savefig(out, dpi=130)


def draw_times(panel, names, variants):
    for x, name in enumerate(names):
        v = variants[name]
        if v["failed"] or v["median"] is None:
            panel.text(x, 0, "failed" if v["failed"] else "not measured", ha="center", va="bottom",
                       rotation=90, color="firebrick")
            continue
        panel.bar(x, v["median"], width=0.6, color="steelblue", alpha=0.7)
        panel.plot([x] * len(v["times"]), v["times"], "o", color="black", markersize=3)
    panel.set_ylabel("ns per op (dots: repeats)")


def draw_memory(panel, names, trace):
    legend = set()

    def once(label):
        new = label not in legend
        legend.add(label)
        return label if new else None

    for x, name in enumerate(names):
        v = trace["variants"][name]
        if v["peak"] is not None:
            panel.bar(x - 0.2, v["peak"] / MIB, width=0.38, color="darkorange", label=once("peak"))
        if v["mean"] is not None:
            panel.bar(x + 0.2, v["mean"] / MIB, width=0.38, color="navajowhite", label=once("mean"))
    if trace["live"]:
        panel.axhline(trace["live"] / MIB, color="black", linestyle="--", linewidth=1,
                      label="live, peak")
    if panel.get_legend_handles_labels()[0]:
        panel.set_ylim(top=panel.get_ylim()[1] * 1.15)
        panel.legend(frameon=False, loc="upper center", ncols=3)
    panel.set_ylabel("MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("-o", "--output", default="compare.png",
                        help="PNG, SVG or PDF by its name (default: compare.png)")
    args = parser.parse_args()
    traces = read(args.database)
    if not traces:
        sys.exit(f"plot_compare: {args.database} holds no finished replay with times")
    draw(traces, args.output)
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
