# Damaged golden files, for both readers: the same records come out, the same exit code, the same byte is
# named. (test_trace_hostile has every cut, every lost byte and every flipped bit, for the C reader.)
# timeout: 200
set -eu
command -v zstd >/dev/null || {
    echo "zstd is not installed"
    exit 77
}
cat >damage.py <<'END2'
import os, random, re, subprocess, sys
top, rng, codes = os.environ["TOP"], random.Random(2025), set()

def run(*command):
    p = subprocess.run([*command, "d.zst"], capture_output=True, check=False)
    return p.stdout, p.returncode, re.findall(rb"d.zst: byte (\d+): ", p.stderr)

for n in range(90):
    name = rng.choice(("v1.zst", "v1-events.zst", "v1-future.zst", "v1-cut.zst"))
    with open(f"{top}/tests/golden/{name}", "rb") as f:
        data = bytearray(f.read())
    how, at = rng.choice(("flip", "cut", "lose", "add")), rng.randrange(len(data))
    if how == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[at:]
    elif how == "lose":
        del data[at]
    else:
        data[at:at] = bytes([rng.randrange(256)])
    with open("d.zst", "wb") as f:
        f.write(data)
    first, second = run("haktrace", "dump"), run(sys.executable, f"{top}/scripts/read_trace.py")
    if first != second:
        sys.exit(f"{name}, {how} at {at}: {first} by haktrace dump, {second} by the second reader")
    codes.add(first[1])
assert codes == {0, 4}, codes
END2
python3 damage.py
