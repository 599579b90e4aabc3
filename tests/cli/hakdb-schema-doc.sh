#!/bin/bash
# docs/schema.md against the real schema: every table, column, view and metric is described, and the example queries run.
set -eu
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
bin=${BUILD_BIN:-${BIN:-$top/build/bin}}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
"$bin/hakdb" -d r.db migrate >/dev/null
"$top/tests/cli/hakdb-fill.py" r.db
"$bin/hakdb" -d r.db --json schema >schema.json
DOC=$top/docs/schema.md SOURCE=$top/db/store_metrics.c HEADER=$top/db/metrics.h python3 - <<'PY'
import json, os, re, sqlite3, sys
doc = open(os.environ["DOC"], encoding="utf-8").read()
db = sqlite3.connect("r.db")
faults = []
schema = json.load(open("schema.json"))
if f"Schema version: **{schema['database_version']}**" not in doc:
    faults.append("the schema version")
parts = {p.split()[0]: p for p in doc.split("\n### ")[1:]}
for kind, name in db.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')"):
    if kind == "view":
        if f"| {name} |" not in doc:
            faults.append(f"view {name}")
        continue
    part = parts.get(name, "")
    for column in db.execute(f"PRAGMA table_info({name})"):
        if not re.search(rf"\b{column[1]}\b", part):
            faults.append(f"column {name}.{column[1]}")
for metric in re.findall(r'#define HAKD_M_\w+ "(\w+)"', open(os.environ["HEADER"]).read()):
    if not re.search(rf"\b{metric}\b", parts["metric"]):
        faults.append(f"metric {metric}")
queries = re.findall(r"```sql\n(.*?)```", doc, re.S)
if len(queries) != 5:
    faults.append(f"{len(queries)} queries, not five")
open("queries", "w").write("\0".join(queries))
if faults:
    sys.exit("docs/schema.md lacks: " + ", ".join(faults))
PY
while IFS= read -r -d '' query || [ -n "$query" ]; do
    "$bin/hakdb" -d r.db sql "$query" >out || { echo "fails: $query" >&2; exit 1; }
done <queries
[ "$("$bin/hakdb" -d r.db --csv sql "$(head -z -n 1 queries | tr -d '\0')" | wc -l)" = 4 ] ||
    { echo "the first example finds nothing" >&2; exit 1; }
echo "ok hakdb-schema-doc"
