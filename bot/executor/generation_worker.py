"""The warm process that speaks: questions as JSON lines on standard input, answers on what was standard output.

It keeps one base and the adapters that were used lately. Requests are data: nothing in them is run, and files are read only in the
folders that the bot names.
"""

import os
import secrets
import sys
import traceback
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from bot.errors import MynahError
from bot.executor import files
from bot.executor.choosing import choose
from bot.executor.generator import Answer, Question, SayReply, SayRequest
from bot.lm.base import load_base
from bot.lm.generation import Speaker
from bot.lm.screening import Screen
from bot.tweets.dataset import read_dataset

_ANSWER, _QUESTION = TypeAdapter(Answer), TypeAdapter(Question)


class Voice:
    """Speaks as any character, over the base that was asked for last."""

    def __init__(self) -> None:
        self._base: str | None = None
        self._speaker: Speaker | None = None

    def say(self, request: SayRequest) -> SayReply:
        """Answer one request.

        Raises:
            MynahError: there is nothing to say; one sentence.
        """
        folder = Path(request.model)
        speaker = self._speaker_of(request.base)
        stamp = (folder / files.DATASET).stat()
        screen = _screen(folder, stamp.st_ino, stamp.st_mtime_ns)
        return choose(request, screen, lambda seeds: speaker.say(folder, request.prompt, seeds), lambda: secrets.randbits(32))

    def _speaker_of(self, base: str) -> Speaker:
        if self._speaker is None or self._base != base:
            self._speaker = None  # never two bases in memory
            self._speaker, self._base = Speaker(load_base(base)), base
        return self._speaker


@lru_cache(maxsize=16)
def _screen(folder: Path, _inode: int, _changed_ns: int) -> Screen:
    """The screen of a model; a new one when another model has come to lie in the same folder."""
    dataset = read_dataset(folder / files.DATASET)
    return Screen([kept.text for kept in (*dataset.train, *dataset.heldout)])


def answer(voice: Voice, question: Question) -> Answer:
    """The reply or its error, whatever happens: one bad request must not cost the others the warm process."""
    try:
        return Answer(question.number, voice.say(question.request))
    except MynahError as error:
        return Answer(question.number, error=str(error))
    except Exception as error:  # noqa: BLE001  # told to the bot, and whole to the log
        traceback.print_exc()
        return Answer(question.number, error=f"The character could not speak ({type(error).__name__}); the log tells more.")


def main() -> None:
    """Answer until the bot closes standard input."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to the log
    voice = Voice()
    for line in sys.stdin.buffer:
        answers.write(_ANSWER.dump_json(answer(voice, _QUESTION.validate_json(line))) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
