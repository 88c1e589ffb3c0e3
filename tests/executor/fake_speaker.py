"""A process that speaks without a model: what it does is the prompt of the request."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from bot.executor.saying import Answer, Question, SayReply, SayRequest, Spoken


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


def answers(question: Question, held: list[Question]) -> Iterator[Answer]:
    """What is answered now. What begins with "hold" is held until "let go", which lets the last go first; "once" is held the first time."""
    request = question.request
    match request.prompt.split():
        case ["hold", "once"] if Path(request.model).exists():
            yield answer(question)
        case ["hold", "once"]:
            Path(request.model).touch()
        case ["hold", _]:
            held.append(question)
        case ["notice"]:
            yield Answer(0, notice="the shelf is full")
            yield answer(question)
        case ["let", "go"]:
            yield from map(answer, (question, *reversed(held)))
        case _:
            yield answer(question)


if __name__ == "__main__":
    waiting: list[Question] = []
    for line in sys.stdin.buffer:
        for said in answers(TypeAdapter(Question).validate_json(line), waiting):
            sys.stdout.write(TypeAdapter(Answer).dump_json(said).decode() + "\n")
        sys.stdout.flush()
