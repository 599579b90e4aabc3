"""Writes a git fast-import stream, always the same: make_history.py small|full."""
import random
import sys

rnd = random.Random(11)
commits = 2000 if sys.argv[1] == "full" else 250
out = sys.stdout.buffer
files = {f"file{i}.txt": [f"line {j} of {i}" for j in range(rnd.randrange(50, 400))]
         for i in range(40)}


def data(text):
    raw = text.encode()
    out.write(b"data %d\n%s\n" % (len(raw), raw))


for n in range(commits):
    out.write(b"commit refs/heads/main\n")
    out.write(b"author A <a@example.org> %d +0000\ncommitter A <a@example.org> %d +0000\n"
              % (1764547200 + n * 60, 1764547200 + n * 60))
    data(f"change {n}\n\n" + "because of reason %d\n" % rnd.randrange(999))
    names = sorted(files) if n == 0 else rnd.sample(sorted(files), 3)
    for name in names:
        lines = files[name]
        for _ in range(rnd.randrange(1, 9)):
            lines[rnd.randrange(len(lines))] = "changed %x" % rnd.getrandbits(80)
        lines.insert(rnd.randrange(len(lines)), f"inserted in {n}")
        out.write(b"M 100644 inline %s\n" % name.encode())
        data("\n".join(lines) + "\n")
    out.write(b"\n")
