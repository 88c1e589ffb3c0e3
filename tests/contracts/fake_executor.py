"""An executor in memory: what each attempt does is written down beforehand, or told while it runs."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from bot.executor import files
from bot.executor.contract import Attempt, Outcome, Progress, Result, TrainSpec
from bot.tweets.cleaning import Counts

Plan = Callable[[Attempt], Outcome | None]
"""What an attempt does at once; None: it goes on until somebody ends it."""

RESULT = Result(
    counts=Counts(downloaded=10, retweets=2, short=1, kept=7, duplicates=1, cut=1, characters=9000),
    profile_handle="heron",
    profile_name="Grey Heron",
    first_tweet_at="2020-01-01T00:00:00+00:00",
    last_tweet_at="2021-01-01T00:00:00",
    warning="9,000 characters is little.",
    base_name="nano",
    recipe={"rank": 16},
    heldout_base=4.5,
    heldout_model=3.5,
    steps=40,
    seconds=12.5,
    dataset_sha256="ab" * 32,
    samples=("Fish.", "More fish."),
    evaluation={"texts": 200.0, "author": 0.8},
)


def work(attempt: Attempt) -> Result:
    """Leave what a training that succeeded leaves."""
    model = attempt.folder / files.MODEL
    model.mkdir()
    (attempt.folder / files.CORPUS).write_text('{"text": "Fish."}\n')
    hashes = {}
    for name in ("adapter_model.safetensors", files.DATASET):
        content = f"{name} of {attempt.name}".encode()
        (model / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    result = replace(RESULT, files=hashes)
    files.write_result(attempt.folder, result)
    return result


def succeed(attempt: Attempt) -> Outcome:
    return Outcome("succeeded", work(attempt))


def hang(_: Attempt) -> None:
    """Go on until somebody ends it."""


def end(outcome: Outcome) -> Plan:
    return lambda _: outcome


def fail(reason: str = "The sky fell.") -> Plan:
    return end(Outcome("failed", None, reason))


class FakeExecutor:
    """Attempts follow `plans` one by one, then succeed."""

    def __init__(self, *plans: Plan, outlives: bool = False) -> None:
        self.plans = list(plans)
        self.outlives = outlives
        self.started: list[TrainSpec] = []
        self.cancelled: list[str] = []
        self.closed = False
        self.running = asyncio.Event()
        """Set when an attempt has begun that does not end by itself."""
        self._ends: dict[str, asyncio.Future[Outcome]] = {}
        self._news: dict[str, asyncio.Queue[Progress | None]] = {}

    async def start(self, attempt: Attempt) -> None:
        assert not self.closed, "started after the end"
        if attempt.name in self._ends:
            return
        self.started.append(files.read_spec(attempt.folder))
        self._ends[attempt.name] = asyncio.get_running_loop().create_future()
        self._news[attempt.name] = asyncio.Queue()
        outcome = self.plans.pop(0)(attempt) if self.plans else succeed(attempt)
        if outcome is None:
            self.running.set()
        else:
            self.end(attempt, outcome)

    def tell(self, attempt: Attempt, progress: Progress) -> None:
        self._news[attempt.name].put_nowait(progress)

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        self._end(attempt.name, outcome)

    def _end(self, name: str, outcome: Outcome) -> None:
        if not self._ends[name].done():
            self._ends[name].set_result(outcome)
            self._news[name].put_nowait(None)

    async def attach(self, attempt: Attempt) -> bool:
        return attempt.name in self._ends or files.read_result(attempt.folder) is not None

    async def events(self, attempt: Attempt) -> AsyncIterator[Progress]:
        news = self._news.get(attempt.name)
        while news is not None and (progress := await news.get()) is not None:
            yield progress
        if news is not None:
            news.put_nowait(None)  # for whoever asks again

    async def wait(self, attempt: Attempt) -> Outcome:
        if attempt.name in self._ends:
            return await asyncio.shield(self._ends[attempt.name])
        result = files.read_result(attempt.folder)
        return Outcome("lost", None, "It is gone.") if result is None else Outcome("succeeded", result)

    async def cancel(self, attempt: Attempt, *, grace_s: float = 20.0, save: bool = False) -> None:  # noqa: ARG002  # nothing here takes time
        self.cancelled.append(attempt.name)
        if attempt.name in self._ends:
            self.end(attempt, Outcome("preempted" if save else "cancelled", None))

    async def close(self) -> None:
        self.closed = True
        for name in self._ends:
            self._end(name, Outcome("detached" if self.outlives else "preempted", None))
