"""The warm process that speaks: questions as JSON lines on standard input, answers on what was standard output.

It keeps the bases and the adapters that were used lately. The texts of all questions are made together, a token of each at a time, and
answered as they are done. Requests are data: nothing in them is run, and files are read only in the folders that the bot names.
"""

import contextlib
import ctypes
import gc
import logging
import os
import queue
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from bot.errors import MynahError
from bot.executor import files
from bot.executor.choosing import Choosing, Said, choose
from bot.executor.saying import Answer, Question, SayReply, SayRequest
from bot.lm.generation import Draft, Speaker, Telling
from bot.lm.kernels import use_threads
from bot.lm.loading import load_speaker
from bot.lm.screening import Screen, screen_in_steps
from bot.lm.vocabulary import words_read
from bot.tweets.dataset import read_dataset

MOST_BASES = 2
"""In memory at once, unless more are spoken on at the same time."""
_SCORED_AT_ONCE = 4
"""Texts whose scores are found between two tokens of the others."""

_ANSWER, _QUESTION = TypeAdapter(Answer), TypeAdapter(Question)


@dataclass
class _Resident:
    """A base in memory."""

    speaker: Speaker
    used: float


class Bases:
    """Bases in memory; those that nobody spoke on for a while are let go."""

    def __init__(self, *, idle_s: float, load: Callable[[str], Speaker], clock: Callable[[], float] = time.monotonic) -> None:
        """`idle_s`: seconds after which an unused base is unloaded."""
        self._idle_s, self._load, self._clock = idle_s, load, clock
        self._residents: dict[str, _Resident] = {}

    def get(self, base: str) -> Speaker:
        """The speaker on a base, loaded when it is not there."""
        if base not in self._residents:
            idle = [name for name, resident in self._residents.items() if not resident.speaker.busy]
            idle.sort(key=lambda name: self._residents[name].used)
            self._forget(idle[: len(self._residents) + 1 - MOST_BASES])
            self._residents[base] = _Resident(self._load(base), self._clock())
            _give_back()  # what the base weighed before it was quantised
        resident = self._residents[base]
        resident.used = self._clock()
        return resident.speaker

    def busy(self) -> Iterator[Speaker]:
        """Those that have something to say."""
        for resident in self._residents.values():
            if resident.speaker.busy:
                resident.used = self._clock()
                yield resident.speaker

    def unload_idle(self) -> float | None:
        """Let go what nobody used lately; seconds until it is worth looking again, None = nothing is loaded."""
        now = self._clock()
        self._forget([name for name, r in self._residents.items() if not r.speaker.busy and now - r.used >= self._idle_s])
        return min((r.used + self._idle_s - now for r in self._residents.values()), default=None)

    def _forget(self, names: list[str]) -> None:
        for name in names:
            del self._residents[name]
        if names:
            _give_back()


class _Task:
    """One question on its way to its answer."""

    def __init__(self, number: int, request: SayRequest, speaker: Speaker) -> None:
        folder = Path(request.model)
        stamp = (folder / files.DATASET).stat()
        self.number, self._request, self.speaker = number, request, speaker
        self._screening = _screening(folder, stamp.st_ino, stamp.st_mtime_ns, request.base, request.blocked)
        self._ranked = request.seeds is None and request.candidates > 1
        self._choosing: Choosing | None = None
        self._telling: Telling | None = None
        self._scores: list[float] = []

    def advance(self) -> SayReply | None:
        """The reply, once there is one."""
        if self._choosing is None or self._telling is None:
            screen = self._screening.step()
            if screen is not None:
                self._choosing = choose(self._request, screen, lambda: secrets.randbits(32))
                self._telling = self._begin(next(self._choosing))
            return None
        if not self._telling.done:
            return None
        drafts = self._telling.told
        if self._ranked and len(self._scores) < len(drafts):
            self._scores += self.speaker.scores(drafts[len(self._scores) :][:_SCORED_AT_ONCE])
            return None
        try:
            self._telling, self._scores = self._begin(self._choosing.send(list(self._said(drafts)))), []
        except StopIteration as end:
            reply: SayReply = end.value
            return reply
        return None

    def drop(self) -> None:
        """Nobody will get an answer."""
        if self._telling is not None:
            self.speaker.drop(self._telling)

    def _begin(self, seeds: list[int]) -> Telling:
        return self.speaker.begin(self._request.model, self._request.prompt, seeds, judged=self._ranked)

    def _said(self, drafts: list[Draft]) -> Iterator[Said]:
        for at, draft in enumerate(drafts):
            yield draft.text, self._scores[at] if self._ranked else None


class Worker:
    """Answers many questions at once. Whatever happens, one bad request must not cost the others the warm process."""

    def __init__(self, bases: Bases, tell: Callable[[Answer], None]) -> None:
        self._bases, self._tell = bases, tell
        self._tasks: list[_Task] = []

    @property
    def busy(self) -> bool:
        """Whether a question is unanswered."""
        return bool(self._tasks)

    def ask(self, question: Question) -> None:
        """Begin with a question."""
        try:
            self._tasks.append(_Task(question.number, question.request, self._bases.get(question.request.base)))
        except Exception as error:  # noqa: BLE001  # told
            self._tell(_refusal(question.number, error))

    def step(self) -> None:
        """One token more for every text; what is answered then is told."""
        for speaker in self._bases.busy():
            try:
                speaker.step()
            except Exception as error:  # noqa: BLE001  # told; the texts on this base are lost
                for task in [task for task in self._tasks if task.speaker is speaker]:
                    self._end(task, _refusal(task.number, error))
        for task in list(self._tasks):
            try:
                reply = task.advance()
            except Exception as error:  # noqa: BLE001  # told
                self._end(task, _refusal(task.number, error))
            else:
                if reply is not None:
                    self._end(task, Answer(task.number, reply))

    def _end(self, task: _Task, answer: Answer) -> None:
        task.drop()
        self._tasks.remove(task)
        self._tell(answer)


class _Notices(logging.Handler):
    """Hands on to the bot's log what should stand there."""

    def __init__(self, tell: Callable[[Answer], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(Answer(0, notice=record.getMessage()))


def _give_back() -> None:
    """Return the memory of what was let go to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # no GNU C library
        ctypes.CDLL(None).malloc_trim(0)


class _Screening:
    """A screen on its way: reading thousands of tweets at once would hold up whoever speaks meanwhile."""

    def __init__(self, steps: Iterator[Screen | None]) -> None:
        self._steps = steps
        self._made: Screen | None = None

    def step(self) -> Screen | None:
        """A few tweets more; the screen, once it is made."""
        if self._made is None:
            self._made = next(self._steps)
        return self._made


@lru_cache(maxsize=16)
def _screening(folder: Path, _inode: int, _changed_ns: int, base: str, blocked: tuple[str, ...]) -> _Screening:
    """The screen of a model; a new one when another model has come to lie in the same folder."""
    return _Screening(screen_in_steps(read_dataset(folder / files.DATASET), blocked=blocked, words=words_read(base)))


def _refusal(number: int, error: Exception) -> Answer:
    if isinstance(error, MynahError):
        return Answer(number, error=str(error))
    traceback.print_exception(error)
    return Answer(number, error=f"The character could not speak ({type(error).__name__}); the log tells more.")


def _read(questions: "queue.SimpleQueue[Question | None]") -> None:
    for line in sys.stdin.buffer:
        questions.put(_QUESTION.validate_json(line))
    questions.put(None)


def main() -> None:
    """Answer until the bot closes standard input.

    Arguments: after how many seconds an unused base is unloaded; folder of packed copies; threads.
    """
    gc.freeze()  # what was imported stays: `_give_back` need not look through it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to the log

    def tell(answer: Answer) -> None:
        answers.write(_ANSWER.dump_json(answer) + b"\n")
        answers.flush()

    questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(questions,), daemon=True).start()
    logging.getLogger("mynah").addHandler(_Notices(tell))
    idle_s, copies, threads = float(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    use_threads(threads)
    bases = Bases(idle_s=idle_s, load=lambda base: load_speaker(base, copies))
    worker = Worker(bases, tell)
    while True:
        try:
            question = questions.get_nowait() if worker.busy else questions.get(timeout=bases.unload_idle())
        except queue.Empty:
            worker.step()
            continue
        if question is None:
            return
        worker.ask(question)


if __name__ == "__main__":
    main()
