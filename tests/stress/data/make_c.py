"""Writes a large C file, always the same: make_c.py FUNCTIONS."""
import random
import sys

rnd = random.Random(7)
n = int(sys.argv[1])
print("#include <stdint.h>\n#include <string.h>")
print("struct s { int a[8]; double d; struct s *next; char name[24]; };")
for i in range(n):
    k, m = rnd.randrange(3, 99), rnd.randrange(2, 17)
    print(f"static inline int helper{i}(int x) {{ return x * {k} + (x >> {m % 7}); }}")
    print(f"uint64_t function{i}(struct s *p, const char *text, int n)\n{{\n    uint64_t sum = {k};")
    print("    for (int i = 0; i < n; i++) {")
    for j in range(rnd.randrange(2, 7)):
        a, b = rnd.randrange(8), rnd.randrange(8)
        print(f"        p->a[{a}] += helper{i}(p->a[{b}] ^ i) % {rnd.randrange(2, 1000)};")
    print(f"        switch (p->a[{rnd.randrange(8)}] & 7) {{")
    for j in range(5):
        print(f"        case {j}: sum = sum * {rnd.randrange(3, 9999)}u + (uint64_t)text[i % {m}];"
              " break;")
    print("        default: p->d *= 1.5; p = p->next ? p->next : p;\n        }\n    }")
    if i:
        print(f"    if (sum & 1)\n        sum += function{rnd.randrange(i)}(p, text + 1, n - 1);")
    print(f"    return sum + strlen(p->name) + sizeof(\"string number {i} of the file\");\n}}")
