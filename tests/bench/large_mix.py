"""Buffers of 5 to 25 MB come and go at random, a dozen at a time."""
import random
import sys

rnd = random.Random(7)
slots = [None] * 12
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 300):
    slots[rnd.randrange(12)] = bytearray(b"q") * rnd.randrange(5 << 20, 25 << 20)
print(sum(len(s) for s in slots if s is not None))
