"""A program that bursts and rests: some tens of MiB of small objects and buffers come and go in a
tenth of a second, then little happens for a while (a timer's work), or nothing at all with a third
argument. One thread. Arguments: bursts, ms of a rest, "still"."""
import sys
import time

BURSTS = int(sys.argv[1]) if len(sys.argv) > 1 else 6
REST_MS = int(sys.argv[2]) if len(sys.argv) > 2 else 400
STILL = len(sys.argv) > 3
state = {i: str(i) * 20 for i in range(3000)}  # what lives on

for burst in range(BURSTS):
    work = [{"id": i, "text": "x" * (i % 400), "list": list(range(i % 30))} for i in range(20000)]
    buffers = [bytearray(b"y") * (100000 * (1 + i % 20)) for i in range(12)]
    del work, buffers
    if STILL:
        time.sleep(REST_MS / 1000)
        continue
    for tick in range(REST_MS // 10):
        time.sleep(0.01)
        for i in range(200):
            state[(burst * 977 + tick * 31 + i) % 3000] = str(i) * (10 + tick % 20)
print(len(state))
