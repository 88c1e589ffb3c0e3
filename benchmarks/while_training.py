"""`/say` while a character is trained: what waiting for a post costs then, and what serving costs the training.

The bot's own parts do it: `Generator` with its warm child, and `LocalExecutor`, which starts the training worker at nice 19. One post is
asked for at a time, of the same seeds in every phase, with a pause in which nobody waits. Each cycle goes: idle, training and saying,
training alone. `seconds` is the median of a post, `p99_seconds` the 99th of 100.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.line import Line, Row, machine, median, p99, ratio, show, tell
from benchmarks.material import Place, place, tweets
from bot.bases import NANO, NANO_FOLDER
from bot.errors import GenerationError
from bot.executor import files
from bot.executor.contract import Attempt, SpecSource, TrainSpec
from bot.executor.generator import Generator
from bot.executor.local import LocalExecutor
from bot.executor.saying import SayRequest
from bot.tweets.dataset import read_dataset

IDLE, BUSY, ALONE = "idle", "while training", "training alone"
_PHASES = {BUSY: "while serving", ALONE: "alone"}
_TAUGHT, _LONG = 400, 3200
_LONG_EPOCHS = 40
_TRAINING_SHARE = 0.8
"""Of the whole job's fraction (`bot.executor.progress`)."""


@dataclass
class Seen:
    """What the phases showed."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {IDLE: [], BUSY: []})
    rates: dict[str, list[float]] = field(default_factory=lambda: {BUSY: [], ALONE: []})
    unanswered: int = 0


@dataclass(frozen=True)
class Talk:
    """Who is asked to speak."""

    generator: Generator
    model: Path
    base: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        base = str(here.options.gpt2.resolve()) if here.options.gpt2 else NANO
        name = "gpt2 (real)" if here.options.gpt2 else "nano (as shipped)"
        seen = asyncio.run(_measure(here, base))
        if seen.unanswered:
            here.notes.append(f"{seen.unanswered} posts had no candidate that passed the screen; they count with the time they took")
        rows = [
            Row(
                who=f"/say, {phase}", base=name, seconds=median(took), p99_seconds=p99(took), calls=len(took),
                tokens_per_second=None,
            )
            for phase, took in seen.seconds.items()
        ]  # fmt: skip
        rows += [Row(who=f"training, {_PHASES[phase]}", base=name, tokens_per_second=median(r, 1)) for phase, r in seen.rates.items()]
        idle, busy = seen.seconds[IDLE], seen.seconds[BUSY]
        serving, alone = median(seen.rates[BUSY]), median(seen.rates[ALONE])
        ratios = {
            "p50 of /say while training / idle": ratio(median(busy), median(idle)) or 0.0,
            "p99 of /say while training / idle": ratio(p99(busy), p99(idle)) or 0.0,
            "training rate while serving / alone": ratio(serving, alone) or 0.0,
        }
        show(Line(benchmark="while_training", machine=machine(), rows=rows, ratios=ratios, notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cycles", type=int, default=2)
    parser.add_argument("--calls", type=int, default=50, help="posts in each phase")
    parser.add_argument("--pause", type=float, default=0.4, metavar="SECONDS", help="between two posts")


async def _measure(here: Place, base: str) -> Seen:
    executor, generator = LocalExecutor(grace_s=0), Generator(here.work / "packed")
    seen = Seen()
    calls, cycles, pause = (2, 1, 0.0) if here.tiny else (here.options.calls, here.options.cycles, here.options.pause)
    try:
        talk = Talk(generator, await _taught(here, executor, base), base)
        await _say(talk, Seen(), IDLE, 2, 0.0)
        for cycle in range(1, cycles + 1):
            took = await _say(talk, seen, IDLE, calls, pause)
            long = {"epochs": _LONG_EPOCHS, "patience": 10**6}
            attempt = _attempt(here, base, job=1 + cycle, count=200 if here.tiny else _LONG, recipe=long)
            await executor.start(attempt)
            trainer = _Trainer(attempt, base)
            await trainer.moment()
            seen.rates[BUSY].append(await trainer.rate(_say(talk, seen, BUSY, calls, pause)))
            seen.rates[ALONE].append(await trainer.rate(asyncio.sleep(1.0 if here.tiny else max(20.0, took / 2))))
            await executor.cancel(attempt)
            tell(f"cycle {cycle}: {seen.rates[BUSY][-1]:.0f} tokens/s while serving, {seen.rates[ALONE][-1]:.0f} alone")
    finally:
        await generator.close()
        await executor.close()
    return seen


async def _say(talk: Talk, seen: Seen, phase: str, calls: int, pause: float) -> float:
    """Ask for posts, one after the other; the seconds of all."""
    began = time.monotonic()
    for seed in range(calls):
        asked = time.monotonic()
        try:
            await talk.generator.say(SayRequest(str(talk.model), talk.base, "", (seed,), 1))
        except GenerationError:
            seen.unanswered += 1
        seen.seconds[phase].append(time.monotonic() - asked)
        await asyncio.sleep(pause)
    return time.monotonic() - began


async def _taught(here: Place, executor: LocalExecutor, base: str) -> Path:
    """The model of a character that the worker has taught."""
    attempt = _attempt(here, base, job=1, count=150 if here.tiny else _TAUGHT, recipe={"epochs": 1 if here.tiny else 2})
    await executor.start(attempt)
    outcome = await executor.wait(attempt)
    if outcome.state != "succeeded":
        raise SystemExit(f"The character could not be taught: {outcome.reason or (outcome.result and outcome.result.error)}")
    return attempt.folder / files.MODEL


def _attempt(here: Place, base: str, *, job: int, count: int, recipe: dict[str, int]) -> Attempt:
    source = here.work / f"tweets-{count}.jsonl"
    source.write_text("".join(json.dumps({"text": tweet.text}) + "\n" for tweet in tweets(here, count)), encoding="utf-8")
    attempt = Attempt(job, 1, here.work / str(job) / "a1")
    attempt.folder.mkdir(parents=True)
    sources = (SpecSource("someone", str(source), source.name, "operator"),)
    threads = 1 if here.tiny else None
    files.write_spec(attempt.folder, TrainSpec(job, 1, "someone", sources, base, Path(base).name, seed=1, recipe=recipe, threads=threads))
    return attempt


class _Trainer:
    """A training worker at work, and how fast it is."""

    def __init__(self, attempt: Attempt, base: str) -> None:
        self._folder = attempt.folder
        self._base = NANO_FOLDER if base == NANO else Path(base)
        self._tokens = 0

    async def moment(self) -> tuple[float, float]:
        """When the worker next tells how far the training is, and how far."""
        last: int | None = None
        while True:
            size, progress = files.newest_progress(self._folder)
            if progress is not None and progress.stage == "training" and progress.loss is not None:
                if last is not None and size != last:
                    return time.monotonic(), progress.fraction
                last = size
            if files.read_result(self._folder) is not None:
                raise SystemExit("The training ended before it had been measured.")
            await asyncio.sleep(0.02)

    async def rate(self, meanwhile: Awaitable[object]) -> float:
        """Tokens in a second while something else is done."""
        began, before = await self.moment()
        await meanwhile
        ended, after = await self.moment()
        return round((after - before) / _TRAINING_SHARE * self._all_tokens() / (ended - began), 1)

    def _all_tokens(self) -> int:
        """Of all epochs, end-of-text included."""
        if not self._tokens:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(self._base / "tokenizer.json"))
            texts = [tweet.text for tweet in read_dataset(self._folder / files.MODEL / files.DATASET).train]
            self._tokens = _LONG_EPOCHS * sum(len(tokenizer.encode(text).ids) + 1 for text in texts)
        return self._tokens


if __name__ == "__main__":
    main()
