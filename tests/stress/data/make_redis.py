"""Writes redis commands, always the same: make_redis.py COUNT."""
import random
import sys

rnd = random.Random(3)
out = sys.stdout.buffer


def command(*words):
    out.write(b"*%d\r\n" % len(words))
    for word in words:
        raw = str(word).encode()
        out.write(b"$%d\r\n%s\r\n" % (len(raw), raw))


for i in range(int(sys.argv[1])):
    kind, key = rnd.randrange(6), rnd.randrange(2000)
    if kind == 0:
        command("SET", f"s{key}", "v" * rnd.randrange(1500))
    elif kind == 1:
        command("APPEND", f"s{key}", "a" * rnd.randrange(300))
    elif kind == 2:
        command("RPUSH", f"l{key % 100}", *["e%d" % rnd.randrange(10**9) for _ in range(5)])
    elif kind == 3:
        command("HSET", f"h{key % 200}", f"f{rnd.randrange(500)}", "w" * rnd.randrange(200))
    elif kind == 4:
        command("ZADD", f"z{key % 50}", rnd.randrange(10**6), f"m{rnd.randrange(5000)}")
    else:
        command("UNLINK", rnd.choice("slhz") + str(key))
