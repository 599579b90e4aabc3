"""Takes, fills and frees one large buffer in a loop."""
import sys

total = 0
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 200):
    buffer = bytearray(b"z") * (24 << 20)
    total += buffer[i]
    del buffer
print(total)
