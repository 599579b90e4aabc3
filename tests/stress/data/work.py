"""Allocation-heavy work with a result that depends on every byte: work.py small|full."""
import collections
import decimal
import hashlib
import json
import random
import re
import sys
import zlib

N = 40 if sys.argv[1] == "full" else 4
rnd = random.Random(2025)


def record(i):
    return {"id": i, "name": "n%x" % rnd.getrandbits(60), "tags": ["t%d" % rnd.randrange(99)
            for _ in range(rnd.randrange(12))], "v": rnd.random(), "text": "x" * rnd.randrange(900)}


digest = hashlib.sha256()
kept = collections.deque(maxlen=20000)
for step in range(N):
    records = [record(i) for i in range(4000)]
    kept.extend(records[:1500])
    text = json.dumps(records, sort_keys=True)
    again = json.loads(text)
    assert again == records
    digest.update(zlib.compress(text.encode(), 3))
    words = collections.Counter(re.findall(r"n[0-9a-f]{3}", text))
    digest.update(repr(sorted(words.items())).encode())
    blocks = [bytearray(rnd.randrange(1, 200000)) for _ in range(60)]
    for block in blocks:
        block[-1] = 7
        block.extend(b"grow" * rnd.randrange(2000))
    digest.update(b"".join(bytes(b[-9:]) for b in blocks))
    del blocks, again
    tree = {}
    for r in records:
        node = tree
        for c in r["name"]:
            node = node.setdefault(c, {})
    digest.update(str(len(tree)).encode())
    decimal.getcontext().prec = 400
    digest.update(str(decimal.Decimal(step + 2).sqrt()).encode())
print(len(kept), digest.hexdigest())
