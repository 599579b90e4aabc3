"""Fetches what the nginx case serves over a Unix socket: get_http.py SOCKET ROUNDS. Prints a digest
of each kind of answer."""
import hashlib
import socket
import sys

FIXED = (b"date:", b"server:", b"last-modified:", b"etag:")


def get(path, extra=b""):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra + b"\r\n")
        data = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(FIXED)]
    return b"\n".join(lines) + b"\n\n" + body


digest = hashlib.sha256()
for i in range(int(sys.argv[2])):
    digest.update(get(b"/%d.txt" % (i % 50 + 1)))
    digest.update(get(b"/%d.txt" % (i % 50 + 1), b"Accept-Encoding: gzip\r\n"))
    digest.update(get(b"/missing"))
    digest.update(get(b"/old"))
print(digest.hexdigest())
