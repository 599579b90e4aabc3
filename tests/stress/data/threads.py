"""Objects made in one thread and dropped in another: threads.py small|full."""
import hashlib
import queue
import sys
import threading

COUNT = 60000 if sys.argv[1] == "full" else 8000
hand_over = [queue.Queue(maxsize=500) for _ in range(3)]
sums = [0] * 3


def produce(q, seed):
    x = seed
    for i in range(COUNT):
        x = (x * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        q.put((i, "s" * (x >> 54), bytearray((x >> 40) & 4095), {"k": [x, x >> 3]}))
    q.put(None)


def consume(q, slot):
    while (item := q.get()) is not None:
        i, text, block, d = item
        sums[slot] = (sums[slot] * 31 + i + len(text) + len(block) + d["k"][0]) % (2**61 - 1)


threads = [threading.Thread(target=f, args=a) for i, q in enumerate(hand_over)
           for f, a in ((produce, (q, i + 1)), (consume, (q, i)))]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sums, hashlib.sha256(repr(sums).encode()).hexdigest())
