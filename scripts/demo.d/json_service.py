"""A service's working day in a few seconds: documents come in as JSON, are changed, indexed, put out
again; a burst every so often, then a rest in which most of it goes away. Uses one thread."""
import json
import random
import sys

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
rnd = random.Random(2025)
index = {}
total = 0
for day in range(ROUNDS):
    burst = 3000 if day % 4 == 3 else 700
    documents = [{
        "id": day * 10000 + i,
        "name": f"document {rnd.getrandbits(40):x}",
        "tags": [f"tag{rnd.randrange(500)}" for _ in range(rnd.randrange(1, 9))],
        "body": "text " * rnd.randrange(120),
        "numbers": [rnd.random() for _ in range(rnd.randrange(20))],
    } for i in range(burst)]
    text = json.dumps(documents)
    for document in json.loads(text):
        total += len(json.dumps(document, indent=1))
        for tag in document["tags"]:
            index.setdefault(tag, []).append(document["name"])
    if day % 4 == 3:
        index = {tag: names[-20:] for tag, names in index.items()}
print(f"{total} characters of JSON, {sum(map(len, index.values()))} index entries")
