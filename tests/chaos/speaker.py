"""A process that speaks without a model and without an import that takes time: each text is the prompt and a number of its own."""

import json
import sys
from typing import Any
from uuid import uuid4

for line in sys.stdin:
    question = json.loads(line)
    request = question["request"]
    posts: list[dict[str, Any]] = [
        {"text": f"{request['prompt']} {uuid4().hex}", "seed": number, "tried": [], "nearest": None, "overlap": 0.0, "score": None}
        for number in range(request["count"])
    ]
    sys.stdout.write(json.dumps({"number": question["number"], "reply": {"posts": posts}, "error": None}) + "\n")
    sys.stdout.flush()
