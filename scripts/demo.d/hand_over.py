"""Objects made in one thread and dropped in another, through a queue: the multi-threaded program of
the demo where redis is not installed."""
import queue
import threading

work = queue.Queue(maxsize=200)
sizes = []


def produce(seed):
    x = seed
    for i in range(20000):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        work.put([i, bytearray(x >> 52), {"key": str(x), "value": "v" * (x >> 56)}])
    work.put(None)


def consume():
    total = 0
    while (item := work.get()) is not None:
        total += len(item[1]) + len(item[2]["value"])
    sizes.append(total)


threads = [threading.Thread(target=produce, args=(n,)) for n in (1, 2)]
threads += [threading.Thread(target=consume) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(sizes)} bytes handed over")
