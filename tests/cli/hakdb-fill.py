#!/usr/bin/env python3
"""Fills a database that `hakdb migrate` made: hakdb-fill.py FILE [UUID] [ALLOCATOR...].

One experiment over one trace: five time runs and five account runs for each allocator. The figures
follow from the allocator's place in the list, so that the tests know every median.
"""
import sqlite3
import sys

path = sys.argv[1]
uuid = sys.argv[2] if len(sys.argv) > 2 else "11111111-0000-4000-8000-000000000001"
allocators = sys.argv[3:] or ["libc", "hakmem", "mimalloc"]
db = sqlite3.connect(path)
db.execute("PRAGMA foreign_keys = ON")


def put(sql, *values):
    return db.execute(sql, values).lastrowid


def find_or_put(table, key, value, sql, *values):
    row = db.execute(f"SELECT id FROM {table} WHERE {key} = ?", (value,)).fetchone()
    return row[0] if row else put(sql, *values)


machine = find_or_put("machine", "identity", "m1", "INSERT INTO machine (identity, hostname, "
                      "cpu_model) VALUES ('m1', 'box', 'A CPU')")
trace = find_or_put("trace", "sha256", "abc123", "INSERT INTO trace (sha256, path, command, "
                    "version, fidelity, ops) VALUES ('abc123', '/t/web.zst', 'web --fast', 1, 7, "
                    "1000)")
experiment = put("INSERT INTO experiment (uuid, tool, tool_version, args, machine_id, seed, "
                 "started_unix_ns, finished_unix_ns, state) VALUES (?, 'hakreplay', '1', "
                 "'hakreplay web.zst', ?, 1, 1000000000, 3000000000, 'done')", uuid, machine)
position = 0
for repeat in range(5):
    for k, name in enumerate(allocators):
        library = find_or_put("library", "identity", "l-" + name, "INSERT INTO library (identity, "
                              "name, path) VALUES (?, ?, ?)", "l-" + name, name, f"/lib/{name}.so")
        policy = "eager" if name == "hakmem" else None
        for place in ("time", "account"):
            run = put("INSERT INTO run (experiment_id, trace_id, library_id, allocator, policy, "
                      "pass, mode, repeat, position, status, put_unix_ns) VALUES (?, ?, ?, ?, ?, "
                      "?, 'full-speed', ?, ?, 'ok', 5)", experiment, trace, library, name, policy,
                      place, repeat, position)
            position += 1
            if place == "time":
                put("INSERT INTO metric VALUES (?, 'wall_ns', ?, 'ns')", run,
                    1000000 * (k + 1) + 1000 * repeat)
            else:
                put("INSERT INTO metric VALUES (?, 'peak_resident_bytes', ?, 'bytes')", run,
                    1048576 + repeat)
                put("INSERT INTO syscall VALUES (?, 'madvise', 'MADV_DONTNEED', 3, 0, 65536, NULL)",
                    run)
                put("INSERT INTO sample VALUES (?, 0, 10, 20, 4096, 2048, NULL, 0, NULL)", run)
db.commit()
db.close()
