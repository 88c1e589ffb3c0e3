"""A bot in small, with two trainings of which one kills it each time at the moment given, until both have ended.

python -m tests.poisoned <home> <fetching|preparing|training|publishing>
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bot.executor.contract import Attempt, Outcome
from bot.fetching import Fetcher
from bot.registry import Registry
from bot.specs import Specs
from storage.jobs import Job
from tests.contracts.fake_executor import succeed
from tests.desk import at_work, desk

POISON = 1
"""Number of the job."""
HARMLESS_DEATHS = 7
PLACES: dict[str, tuple[type, str]] = {"preparing": (Specs, "write"), "publishing": (Registry, "publish")}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def poison(owner: type, name: str) -> None:
    """Make a method deadly for that job."""
    real = getattr(owner, name)

    async def deadly(self: object, job: Any, *rest: Any, **named: Any) -> Any:
        if job.id == POISON:
            die()
        return await real(self, job, *rest, **named)

    setattr(owner, name, deadly)


def work_or_die(attempt: Attempt) -> Outcome:
    """The bot dies while a worker is at work, and often, but not for ever."""
    if attempt.job == POISON and attempt.number <= HARMLESS_DEATHS:
        die()
    return succeed(attempt)


async def fetch_or_die(_: Fetcher, job: Job, __: object) -> Job:
    """The same while the tweets of an account are fetched."""
    if job.id == POISON and job.attempt <= HARMLESS_DEATHS:
        die()
    for material in job.materials:
        job.path_of(material).parent.mkdir(parents=True, exist_ok=True)
        job.path_of(material).write_text("tweets")
    return job


async def main(home: Path, when: str) -> None:
    plans = [work_or_die] * 2 if when == "training" else []
    if when in PLACES:
        poison(*PLACES[when])
    if when == "fetching":
        setattr(Fetcher, "fetch", fetch_or_die)  # noqa: B010  # a method is not assigned to
    async with desk(home, *plans) as one:
        if await one.jobs.get(POISON) is None:
            for handle in ("wren", "heron"):
                await (one.ask_source("bluesky", (handle,)) if when == "fetching" else one.ask(handle))
        await one.runner.recover()
        async with at_work(one):
            for number in (POISON, POISON + 1):
                await one.reaches(number, "succeeded", "failed")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
