"""A process that speaks without a model: what it does is the prompt of the request."""

import os
import sys
import time
from pathlib import Path

from pydantic import TypeAdapter

from bot.executor.generator import Answer, Question, SayReply, SayRequest, Spoken


def answer(question: Question) -> Answer:
    request = question.request
    match request.prompt:
        case "die":
            os._exit(3)
        case "die once" if not Path(request.model).exists():
            Path(request.model).touch()
            os._exit(3)
        case "tell the pid":
            Path(request.model).write_text(str(os.getpid()))
        case "hang":
            time.sleep(1000)
        case "slow":
            time.sleep(0.3)
        case "refuse":
            return Answer(question.number, error="The prompt is too long.")
        case "noise":
            sys.stdout.write("Loading weights: 100%\n{}\n[1]\n" + '{"number": 0, "error": "of another"}\n')
    return Answer(question.number, SayReply((spoken(request),)))


def spoken(request: SayRequest) -> Spoken:
    return Spoken(f"{request.prompt}|{os.getpid()}", 1, (), None, 0.0)


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        said = answer(TypeAdapter(Question).validate_json(line))
        sys.stdout.write(TypeAdapter(Answer).dump_json(said).decode() + "\n")
        sys.stdout.flush()
