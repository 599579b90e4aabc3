/*
 * The schema, as numbered one-way migrations. A step that has been released is never edited: a
 * change is a new step. docs/schema.md is the contract; change both together.
 */
#include "db/store_int.h"

#include <stddef.h>

/* one row a variant: does it fail, how fast, how much memory, and against libc; a ratio only where
 * no time run of either side failed. `timed` are the runs that count as timed. */
#define V_COMPARE(timed)                                                                           \
    "CREATE VIEW v_compare AS\n"                                                                   \
    "WITH variant AS (SELECT experiment_id, trace_id, allocator, policy, env,\n"                   \
    "    sum(pass = 'time' AND " timed "status = 'ok') AS time_runs,\n"                            \
    "    sum(status <> 'ok') AS failed_runs\n"                                                     \
    "  FROM run WHERE pass IN ('time', 'account', 'latency')\n"                                    \
    "  GROUP BY experiment_id, trace_id, allocator, policy, env),\n"                               \
    "figure AS (SELECT v.*,\n"                                                                     \
    "    max(CASE WHEN k.pass = 'time' AND k.name = 'wall_ns' THEN k.median END) AS wall_ns,\n"    \
    "    max(CASE WHEN k.pass = 'time' AND k.name = 'ns_per_op' THEN k.median END) AS "            \
    "ns_per_op,\n"                                                                                 \
    "    max(CASE WHEN k.pass = 'account' AND k.name = 'peak_resident_bytes' THEN k.median END)\n" \
    "      AS peak_resident_bytes,\n"                                                              \
    "    max(CASE WHEN k.pass = 'account' AND k.name = 'mean_resident_bytes' THEN k.median END)\n" \
    "      AS mean_resident_bytes,\n"                                                              \
    "    max(CASE WHEN k.pass = 'account' AND k.name = 'minor_faults' THEN k.median END)\n"        \
    "      AS minor_faults,\n"                                                                     \
    "    max(CASE WHEN k.pass = 'account' AND k.name = 'syscalls' THEN k.median END) AS "          \
    "syscalls,\n"                                                                                  \
    "    max(CASE WHEN k.pass = 'account' AND k.name = 'release_calls' THEN k.median END)\n"       \
    "      AS release_calls\n"                                                                     \
    "  FROM variant v LEFT JOIN v_median k ON k.experiment_id = v.experiment_id\n"                 \
    "    AND k.trace_id IS v.trace_id AND k.allocator = v.allocator AND k.policy IS v.policy\n"    \
    "    AND k.env IS v.env\n"                                                                     \
    "  GROUP BY v.experiment_id, v.trace_id, v.allocator, v.policy, v.env)\n"                      \
    "SELECT f.experiment_id, f.trace_id, t.path AS trace_path, f.allocator, f.policy, f.env,\n"    \
    "  f.time_runs, f.failed_runs, f.wall_ns, f.ns_per_op,\n"                                      \
    "  CASE WHEN f.failed_runs = 0 AND b.failed_runs = 0 THEN f.wall_ns / b.wall_ns END\n"         \
    "    AS time_to_libc,\n"                                                                       \
    "  f.peak_resident_bytes, f.mean_resident_bytes,\n"                                            \
    "  CASE WHEN f.failed_runs = 0 AND b.failed_runs = 0\n"                                        \
    "    THEN f.peak_resident_bytes / b.peak_resident_bytes END AS peak_to_libc,\n"                \
    "  f.minor_faults, f.syscalls, f.release_calls\n"                                              \
    "FROM figure f LEFT JOIN trace t ON t.id = f.trace_id\n"                                       \
    "  LEFT JOIN figure b ON b.experiment_id = f.experiment_id AND b.trace_id IS f.trace_id\n"     \
    "    AND b.allocator = 'libc' AND b.policy IS NULL AND b.env IS NULL;\n"

static const char version_1[] =
    "CREATE TABLE machine (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  identity TEXT NOT NULL UNIQUE, -- SHA-256 of the columns below\n"
    "  hostname TEXT, cpu_model TEXT, cpu_vendor TEXT, arch TEXT,\n"
    "  cpus_online INTEGER, cpus_configured INTEGER,\n"
    "  memory_bytes INTEGER, page_size INTEGER,\n"
    "  kernel TEXT, kernel_build TEXT,\n"
    "  thp TEXT, governor TEXT, clocksource TEXT, hypervisor INTEGER,\n"
    "  libc TEXT\n"
    ") STRICT;\n"
    "CREATE TABLE trace (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  sha256 TEXT NOT NULL UNIQUE,\n"
    "  path TEXT, command TEXT, host TEXT, clock TEXT, tool TEXT, source TEXT,\n"
    "  version INTEGER NOT NULL, fidelity INTEGER NOT NULL,\n"
    "  records INTEGER, ops INTEGER, allocs INTEGER, threads INTEGER,\n"
    "  duration_ns INTEGER, start_unix_ns INTEGER, dropped INTEGER,\n"
    "  peak_live_bytes INTEGER, peak_live_objects INTEGER\n"
    ") STRICT;\n"
    "CREATE TABLE library (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  identity TEXT NOT NULL UNIQUE, -- SHA-256 of the columns below\n"
    "  name TEXT NOT NULL, path TEXT, build_id TEXT, version TEXT, sha256 TEXT\n"
    ") STRICT;\n"
    "CREATE TABLE experiment (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  uuid TEXT NOT NULL UNIQUE,\n"
    "  tool TEXT NOT NULL, tool_version TEXT, args TEXT,\n"
    "  machine_id INTEGER NOT NULL REFERENCES machine (id),\n"
    "  seed INTEGER NOT NULL,\n"
    "  started_unix_ns INTEGER NOT NULL, finished_unix_ns INTEGER,\n"
    "  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'interrupted', 'failed'))\n"
    ") STRICT;\n"
    "CREATE TABLE run (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,\n"
    "  trace_id INTEGER REFERENCES trace (id),\n"
    "  library_id INTEGER REFERENCES library (id),\n"
    "  allocator TEXT NOT NULL, policy TEXT, env TEXT,\n"
    "  pass TEXT NOT NULL CHECK (pass IN ('time', 'latency', 'account', 'sim', 'control')),\n"
    "  mode TEXT NOT NULL,\n"
    "  repeat INTEGER NOT NULL CHECK (repeat >= 0),\n"
    "  position INTEGER NOT NULL CHECK (position >= 0),\n"
    "  status TEXT NOT NULL\n"
    "    CHECK (status IN ('ok', 'failed', 'crashed', 'timeout', 'wrong-library')),\n"
    "  error TEXT,\n"
    "  counting TEXT CHECK (counting IN ('seccomp', 'ptrace', 'model')),\n"
    "  put_unix_ns INTEGER NOT NULL\n"
    ") STRICT;\n"
    "CREATE UNIQUE INDEX run_place ON run (experiment_id, pass, position, repeat,\n"
    "  coalesce(trace_id, 0), allocator, coalesce(policy, ''), coalesce(env, ''));\n"
    "CREATE INDEX run_trace ON run (trace_id, allocator);\n"
    "CREATE TABLE metric (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  name TEXT NOT NULL, value REAL NOT NULL, unit TEXT NOT NULL,\n"
    "  PRIMARY KEY (run_id, name)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE syscall (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  call TEXT NOT NULL, detail TEXT NOT NULL,\n"
    "  calls INTEGER NOT NULL, errors INTEGER NOT NULL, bytes INTEGER NOT NULL,\n"
    "  kernel_ns INTEGER,\n"
    "  PRIMARY KEY (run_id, call, detail)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE sample (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  seq INTEGER NOT NULL, -- 0, 1, 2 ... in the order of the run\n"
    "  op INTEGER NOT NULL, time_ns INTEGER,\n"
    "  resident_bytes INTEGER NOT NULL, live_bytes INTEGER,\n"
    "  PRIMARY KEY (run_id, seq)\n"
    ") STRICT, WITHOUT ROWID;\n"
    /* one row a run, with all that it leads to */
    "CREATE VIEW v_run AS SELECT r.id AS run_id, r.experiment_id, e.tool, e.tool_version, "
    "e.state,\n"
    "  e.started_unix_ns, r.trace_id, t.sha256 AS trace_sha256, t.path AS trace_path,\n"
    "  t.command AS trace_command, t.fidelity AS trace_fidelity,\n"
    "  r.allocator, r.policy, r.env, r.pass, r.mode, r.repeat, r.position,\n"
    "  r.status, r.error, r.counting,\n"
    "  l.name AS library, l.path AS library_path, l.version AS library_version,\n"
    "  l.build_id AS library_build_id, l.sha256 AS library_sha256,\n"
    "  e.machine_id, m.hostname, m.cpu_model, m.cpus_online, m.kernel, m.thp, m.governor, e.seed\n"
    "FROM run r JOIN experiment e ON e.id = r.experiment_id\n"
    "  JOIN machine m ON m.id = e.machine_id\n"
    "  LEFT JOIN trace t ON t.id = r.trace_id LEFT JOIN library l ON l.id = r.library_id;\n"
    /* one row a run, the usual figures as columns */
    "CREATE VIEW v_figures AS SELECT r.id AS run_id, r.experiment_id, r.trace_id, r.allocator,\n"
    "  r.policy, r.env, r.pass, r.mode, r.repeat, r.status,\n"
    "  max(CASE k.name WHEN 'wall_ns' THEN k.value END) AS wall_ns,\n"
    "  max(CASE k.name WHEN 'cpu_user_ns' THEN k.value END) AS cpu_user_ns,\n"
    "  max(CASE k.name WHEN 'cpu_system_ns' THEN k.value END) AS cpu_system_ns,\n"
    "  max(CASE k.name WHEN 'ops' THEN k.value END) AS ops,\n"
    "  max(CASE k.name WHEN 'ns_per_op' THEN k.value END) AS ns_per_op,\n"
    "  max(CASE k.name WHEN 'minor_faults' THEN k.value END) AS minor_faults,\n"
    "  max(CASE k.name WHEN 'major_faults' THEN k.value END) AS major_faults,\n"
    "  max(CASE k.name WHEN 'syscalls' THEN k.value END) AS syscalls,\n"
    "  max(CASE k.name WHEN 'syscall_ns' THEN k.value END) AS syscall_ns,\n"
    "  max(CASE k.name WHEN 'release_calls' THEN k.value END) AS release_calls,\n"
    "  max(CASE k.name WHEN 'peak_resident_bytes' THEN k.value END) AS peak_resident_bytes,\n"
    "  max(CASE k.name WHEN 'mean_resident_bytes' THEN k.value END) AS mean_resident_bytes,\n"
    "  max(CASE k.name WHEN 'end_resident_bytes' THEN k.value END) AS end_resident_bytes,\n"
    "  max(CASE k.name WHEN 'peak_live_bytes' THEN k.value END) AS peak_live_bytes\n"
    "FROM run r LEFT JOIN metric k ON k.run_id = r.id GROUP BY r.id;\n"
    /* the median of each metric over the ok repeats of one variant in one experiment */
    "CREATE VIEW v_median AS\n"
    "WITH ranked AS (SELECT r.experiment_id, r.trace_id, r.allocator, r.policy, r.env, r.pass,\n"
    "    r.mode, k.name, k.unit, k.value,\n"
    "    row_number() OVER (variant ORDER BY k.value) AS place,\n"
    "    count(*) OVER variant AS n\n"
    "  FROM run r JOIN metric k ON k.run_id = r.id WHERE r.status = 'ok'\n"
    "  WINDOW variant AS (PARTITION BY r.experiment_id, r.trace_id, r.allocator, r.policy, r.env,\n"
    "    r.pass, r.mode, k.name))\n"
    "SELECT experiment_id, trace_id, allocator, policy, env, pass, mode, name, unit,\n"
    "  max(n) AS n, avg(value) AS median\n"
    "FROM ranked WHERE place IN ((n + 1) / 2, (n + 2) / 2)\n"
    "GROUP BY experiment_id, trace_id, allocator, policy, env, pass, mode, name;\n" V_COMPARE("")
    /* memory system calls with the run they belong to, and what one costs */
    "CREATE VIEW v_syscall AS SELECT r.id AS run_id, r.experiment_id, r.trace_id,\n"
    "  t.path AS trace_path, r.allocator, r.policy, r.env, r.counting, s.call, s.detail,\n"
    "  s.calls, s.errors, s.bytes, s.kernel_ns,\n"
    "  CASE WHEN s.calls > 0 THEN 1.0 * s.kernel_ns / s.calls END AS ns_per_call,\n"
    "  CASE WHEN s.calls > 0 THEN 1.0 * s.bytes / s.calls END AS bytes_per_call\n"
    "FROM syscall s JOIN run r ON r.id = s.run_id LEFT JOIN trace t ON t.id = r.trace_id;\n"
    /* resident memory over the run, with live bytes beside it */
    "CREATE VIEW v_memory AS SELECT r.id AS run_id, r.experiment_id, r.trace_id, r.allocator,\n"
    "  r.policy, r.env, s.seq, s.op, s.time_ns, s.resident_bytes, s.live_bytes,\n"
    "  CASE WHEN s.live_bytes > 0 THEN 1.0 * s.resident_bytes / s.live_bytes END AS overhead\n"
    "FROM sample s JOIN run r ON r.id = s.run_id;\n"
    /* predicted beside measured: each ok simulation with the account medians of hakmem under the
     * same policy and trace, of any experiment */
    "CREATE VIEW v_fidelity AS\n"
    "WITH pair (predicted, measured) AS (VALUES\n"
    "    ('predicted_release_calls', 'release_calls'),\n"
    "    ('predicted_faults', 'minor_faults'),\n"
    "    ('predicted_peak_resident_bytes', 'peak_resident_bytes'),\n"
    "    ('predicted_mean_resident_bytes', 'mean_resident_bytes'))\n"
    "SELECT r.trace_id, t.path AS trace_path, r.policy, r.id AS sim_run_id,\n"
    "  r.mode AS sim_mode, m.experiment_id AS account_experiment_id, p.measured AS name,\n"
    "  k.unit, k.value AS predicted, m.median AS measured, m.n AS account_runs,\n"
    "  CASE WHEN m.median <> 0 THEN (k.value - m.median) / m.median\n"
    "    WHEN k.value = 0 THEN 0.0 END AS relative_error\n"
    "FROM run r JOIN metric k ON k.run_id = r.id JOIN pair p ON p.predicted = k.name\n"
    "  JOIN v_median m ON m.trace_id = r.trace_id AND m.policy IS r.policy AND m.env IS r.env\n"
    "    AND m.allocator = 'hakmem' AND m.pass = 'account' AND m.name = p.measured\n"
    "  LEFT JOIN trace t ON t.id = r.trace_id\n"
    "WHERE r.pass = 'sim' AND r.status = 'ok';\n"
    /* one row an experiment, with what came of it */
    "CREATE VIEW v_experiment AS SELECT e.id AS experiment_id, e.uuid, e.tool, e.tool_version,\n"
    "  e.args, e.seed, e.state, e.started_unix_ns, e.finished_unix_ns, m.hostname, m.cpu_model,\n"
    "  count(r.id) AS runs, coalesce(sum(r.status = 'ok'), 0) AS ok_runs,\n"
    "  count(DISTINCT r.trace_id) AS traces\n"
    "FROM experiment e JOIN machine m ON m.id = e.machine_id\n"
    "  LEFT JOIN run r ON r.experiment_id = e.id GROUP BY e.id;\n";

/* Studies join experiments under one name; the oracle's answers stand beside simulated runs. */
static const char version_2[] =
    "CREATE TABLE study (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  name TEXT NOT NULL UNIQUE, -- its identity, also when databases merge\n"
    "  tool TEXT NOT NULL, created_unix_ns INTEGER NOT NULL\n"
    ") STRICT;\n"
    "ALTER TABLE experiment ADD COLUMN study_id INTEGER REFERENCES study (id);\n"
    "CREATE INDEX experiment_study ON experiment (study_id);\n"
    "CREATE TABLE oracle (\n"
    "  experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,\n"
    "  trace_id INTEGER NOT NULL REFERENCES trace (id),\n"
    "  kind TEXT NOT NULL CHECK (kind IN ('mean', 'mean-time', 'peak')),\n"
    "  bytes INTEGER NOT NULL, -- the memory bound\n"
    "  bound_ns INTEGER, reachable_ns INTEGER,\n"
    "  PRIMARY KEY (experiment_id, trace_id, kind, bytes)\n"
    ") STRICT, WITHOUT ROWID;\n"
    /* one row a study, with what came of it */
    "CREATE VIEW v_study AS SELECT s.id AS study_id, s.name, s.tool, s.created_unix_ns,\n"
    "  max(e.finished_unix_ns) AS finished_unix_ns,\n"
    "  count(DISTINCT e.id) AS experiments,\n"
    "  count(DISTINCT CASE WHEN e.state = 'running' THEN e.id END) AS running,\n"
    "  count(DISTINCT e.machine_id) AS machines,\n"
    "  count(r.id) AS runs, coalesce(sum(r.status = 'ok'), 0) AS ok_runs,\n"
    "  count(DISTINCT r.trace_id) AS traces, count(DISTINCT r.policy) AS policies\n"
    "FROM study s LEFT JOIN experiment e ON e.study_id = s.id\n"
    "  LEFT JOIN run r ON r.experiment_id = e.id GROUP BY s.id;\n";

/* v_fidelity with more figures, and the mode of the account pass; a view for calls one by one */
static const char version_3[] =
    "DROP VIEW v_fidelity;\n"
    "CREATE VIEW v_fidelity AS\n"
    "WITH pair (predicted, measured) AS (VALUES\n"
    "    ('predicted_release_calls', 'release_calls'),\n"
    "    ('predicted_faults', 'minor_faults'),\n"
    "    ('predicted_peak_resident_bytes', 'peak_resident_bytes'),\n"
    "    ('predicted_mean_resident_bytes', 'mean_resident_bytes'),\n"
    "    ('predicted_cost_ns', 'kernel_ns'))\n"
    "SELECT r.trace_id, t.path AS trace_path, r.policy, r.id AS sim_run_id,\n"
    "  r.mode AS sim_mode, m.experiment_id AS account_experiment_id, m.mode AS account_mode,\n"
    "  p.measured AS name, k.unit, k.value AS predicted, m.median AS measured,\n"
    "  m.n AS account_runs,\n"
    "  CASE WHEN m.median <> 0 THEN (k.value - m.median) / m.median\n"
    "    WHEN k.value = 0 THEN 0.0 END AS relative_error\n"
    "FROM run r JOIN metric k ON k.run_id = r.id JOIN pair p ON p.predicted = k.name\n"
    "  JOIN v_median m ON m.trace_id = r.trace_id AND m.policy IS r.policy AND m.env IS r.env\n"
    "    AND m.allocator = 'hakmem' AND m.pass = 'account' AND m.name = p.measured\n"
    "  LEFT JOIN trace t ON t.id = r.trace_id\n"
    "WHERE r.pass = 'sim' AND r.status = 'ok';\n"
    /* each kind of call of a simulation beside that of each ok account run of the same policy and
     * trace; 0 where one side has none */
    "CREATE VIEW v_fidelity_call AS\n"
    "WITH both AS (SELECT s.id AS sim_run_id, a.id AS account_run_id, s.trace_id, s.policy,\n"
    "    c.call, c.detail\n"
    "  FROM run s JOIN run a ON a.trace_id = s.trace_id AND a.policy IS s.policy\n"
    "    AND a.env IS s.env AND a.allocator = 'hakmem' AND a.pass = 'account'\n"
    "    AND a.status = 'ok'\n"
    "  JOIN syscall c ON c.run_id IN (s.id, a.id)\n"
    "  WHERE s.pass = 'sim' AND s.status = 'ok'\n"
    "  GROUP BY s.id, a.id, c.call, c.detail)\n"
    "SELECT b.*, t.path AS trace_path, coalesce(p.calls, 0) AS predicted_calls,\n"
    "  coalesce(m.calls, 0) AS measured_calls, coalesce(p.bytes, 0) AS predicted_bytes,\n"
    "  coalesce(m.bytes, 0) AS measured_bytes\n"
    "FROM both b LEFT JOIN trace t ON t.id = b.trace_id\n"
    "  LEFT JOIN syscall p ON p.run_id = b.sim_run_id AND p.call = b.call\n"
    "    AND p.detail = b.detail\n"
    "  LEFT JOIN syscall m ON m.run_id = b.account_run_id AND m.call = b.call\n"
    "    AND m.detail = b.detail;\n";

/* What a run leaves beside its figures: memory in parts, its threads, latencies by size, causes of
 * calls, slowest ops. A check or a counters run is no timed run. */
static const char version_4[] =
    "ALTER TABLE sample ADD COLUMN recorded_ns INTEGER;\n"
    "ALTER TABLE sample ADD COLUMN lazy_free_bytes INTEGER;\n"
    "ALTER TABLE sample ADD COLUMN huge_bytes INTEGER;\n"
    "DROP VIEW v_memory;\n"
    "CREATE VIEW v_memory AS SELECT r.id AS run_id, r.experiment_id, r.trace_id, r.allocator,\n"
    "  r.policy, r.env, s.seq, s.op, s.time_ns, s.recorded_ns, s.resident_bytes, s.live_bytes,\n"
    "  s.lazy_free_bytes, s.huge_bytes,\n"
    "  CASE WHEN s.live_bytes > 0 THEN 1.0 * s.resident_bytes / s.live_bytes END AS overhead\n"
    "FROM sample s JOIN run r ON r.id = s.run_id;\n"
    "CREATE TABLE run_thread (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  thread INTEGER NOT NULL,\n"
    "  ops INTEGER NOT NULL, minor_faults INTEGER NOT NULL, major_faults INTEGER NOT NULL,\n"
    "  syscalls INTEGER, blocked_waits INTEGER NOT NULL, end_ns INTEGER NOT NULL,\n"
    "  PRIMARY KEY (run_id, thread)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE latency (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  op TEXT NOT NULL, size_max_bytes INTEGER NOT NULL, -- the largest class: 2^63-1\n"
    "  ops INTEGER NOT NULL, p50_ns REAL NOT NULL, p90_ns REAL NOT NULL, p99_ns REAL NOT NULL,\n"
    "  p999_ns REAL NOT NULL, max_ns REAL NOT NULL, mean_ns REAL NOT NULL,\n"
    "  PRIMARY KEY (run_id, op, size_max_bytes)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE cause (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  op TEXT NOT NULL, size_max_bytes INTEGER NOT NULL, -- 0 = an op without a size\n"
    "  call TEXT NOT NULL, detail TEXT NOT NULL,\n"
    "  calls INTEGER NOT NULL, errors INTEGER NOT NULL, bytes INTEGER NOT NULL,\n"
    "  kernel_ns INTEGER NOT NULL, first_thread INTEGER, first_op INTEGER,\n"
    "  PRIMARY KEY (run_id, op, size_max_bytes, call, detail)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE slow_op (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  thread INTEGER NOT NULL, op INTEGER NOT NULL, -- counted from 0 in its thread\n"
    "  kind TEXT NOT NULL, size_bytes INTEGER NOT NULL, latency_ns REAL NOT NULL,\n"
    "  minor_faults INTEGER, major_faults INTEGER, syscalls INTEGER, syscall_ns INTEGER,\n"
    "  PRIMARY KEY (run_id, thread, op)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE slow_call (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  thread INTEGER NOT NULL, op INTEGER NOT NULL, call TEXT NOT NULL, detail TEXT NOT NULL,\n"
    "  calls INTEGER NOT NULL, errors INTEGER NOT NULL, bytes INTEGER NOT NULL,\n"
    "  kernel_ns INTEGER NOT NULL,\n"
    "  PRIMARY KEY (run_id, thread, op, call, detail),\n"
    "  FOREIGN KEY (run_id, thread, op) REFERENCES slow_op (run_id, thread, op) ON DELETE CASCADE\n"
    ") STRICT, WITHOUT ROWID;\n"
    /* the slowest ops with their run and what was inside, as one text */
    "CREATE VIEW v_slow_op AS SELECT r.id AS run_id, r.experiment_id, r.trace_id,\n"
    "  t.path AS trace_path, r.allocator, r.policy, r.env, s.thread, s.op, s.kind, s.size_bytes,\n"
    "  s.latency_ns, s.minor_faults, s.major_faults, s.syscalls, s.syscall_ns,\n"
    "  (SELECT group_concat(c.calls || ' ' || trim(c.call || ' ' || c.detail), ', ')\n"
    "    FROM slow_call c WHERE c.run_id = s.run_id AND c.thread = s.thread AND c.op = s.op)\n"
    "    AS inside\n"
    "FROM slow_op s JOIN run r ON r.id = s.run_id LEFT JOIN trace t ON t.id = r.trace_id;\n"
    "DROP VIEW v_compare;\n" V_COMPARE("mode NOT IN ('check', 'counters') AND ");

/* which process is at it, so that others see when it is gone */
static const char version_5[] = "ALTER TABLE experiment ADD COLUMN writer TEXT;\n";

const struct hakd_migration hakd_migrations[] = {
    {1, version_1}, {2, version_2}, {3, version_3}, {4, version_4}, {5, version_5}, {0, NULL},
};
