#!/bin/bash
# make study-2025 in small: measures, simulates, writes the page; and that the committed page is what its template gives.
# timeout: 280
set -eu

fail() {
    echo "$*"
    exit 1
}

/usr/bin/python3 -c 'import matplotlib' 2>/dev/null || {
    echo "python3-matplotlib is not installed"
    exit 77
}
"$TOP/scripts/study_2025.py" --quick -o out >log 2>&1 || fail "$(tail -n 5 log)"
page=out/2025-madvise.md
! grep -q '{{' $page || fail "not filled in: $(grep '{{' $page)"
for figure in throughput syscalls; do
    [ "$(head -c 8 out/2025-madvise-$figure.png | tail -c 7)" = "$(printf 'PNG\r\n\032\n')" ] || fail "$figure is no PNG"
    grep -q "2025-madvise-$figure.png" $page || fail "$figure is not in the page"
done
# The report's picture: about a pair of map and unmap, and a populate call, for each thousand operations.
python3 - <<'END'
import sqlite3
db = sqlite3.connect("out/results.db")
def calls(policy, like, run_pass):
    return db.execute("""SELECT coalesce(sum(s.calls), 0) FROM syscall s JOIN run r ON r.id = s.run_id
        WHERE r.pass = ? AND r.policy = ? AND r.status = 'ok' AND s.call || ' ' || s.detail LIKE ?""",
        (run_pass, policy, like)).fetchone()[0]
for like in "munmap%", "madvise MADV_POPULATE_WRITE", "mmap ANON RW":
    n = calls("report-2025", like, "account")
    assert 60 <= n <= 200, (like, n)   # of 100,000 operations
    assert calls("never", like, "account") <= 3, like
assert calls("report-2025", "madvise MADV_DONTNEED", "account") == 0
for policy in ("report-2025", "report-2025:populate=0", "report-2025:how=dontneed", "report-2025:keep=200MiB"):
    for like in "munmap%", "madvise%":   # simulated and counted: the same
        assert calls(policy, like, "sim") == calls(policy, like, "account"), (policy, like)
assert db.execute("SELECT count(*) FROM run WHERE status <> 'ok'").fetchone()[0] == 0
END
# The committed page has the template's words: whoever changes one makes the other again.
python3 - "$TOP" <<'END'
import re, sys
top = sys.argv[1]
template = open(top + "/scripts/study_2025.d/2025-madvise.md.in", encoding="utf-8").read()
page = open(top + "/docs/studies/2025-madvise.md", encoding="utf-8").read()
at = 0
for piece in re.split(r"\{\{\w+\}\}", template):
    found = page.find(piece, at)
    assert found >= 0, "docs/studies/2025-madvise.md lacks, in this order: " + piece[:80]
    at = found + len(piece)
END
echo "ok study-2025"
