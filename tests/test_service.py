"""The parts of the bot begin again after what passes, and the end comes even when closing hangs."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.service import persistent
from storage.errors import Busy, Full

HANGING = """
import asyncio, threading, time
from bot.service import _end_by_force_after
_end_by_force_after(0.5)
threading.Thread(target=time.sleep, args=(120,)).start()  # as a connection that was not closed
"""


def part(*ends: BaseException | None) -> tuple[list[int], Callable[[], Awaitable[None]]]:
    """One that ends in these ways in turn, and how often it has begun."""
    begun = [0]
    left = list(ends)

    async def run() -> None:
        begun[0] += 1
        end = left.pop(0)
        if end is not None:
            raise end

    return begun, run


@pytest.mark.fault(8, 9)
async def test_what_passes_is_waited_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue, the schedules and the outbox begin again by themselves once the database can be written again."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    begun, run = part(Full(), Busy(), Full(), Busy(), Full(), Full(), None)
    await persistent(run)()
    assert begun == [7]
    assert rests == [5, 10, 20, 40, 60, 60]


async def test_what_does_not_pass_ends_it() -> None:
    _, run = part(ValueError("a fault of ours"))
    with pytest.raises(ValueError, match="of ours"):
        await persistent(run)()


async def test_a_failure_long_after_the_last_is_a_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    hours = iter(range(0, 36000, 3600))
    monkeypatch.setattr("bot.service.time", SimpleNamespace(monotonic=lambda: next(hours)))
    _, run = part(Busy(), Busy(), None)
    await persistent(run)()
    assert rests == [5, 5]


@pytest.mark.fault(4)
def test_an_end_that_hangs_is_made() -> None:
    """Where closing hangs after SIGTERM, the process is ended by force soon after the grace, and its log says where it hung."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert time.monotonic() - began < 30
    assert "most recent call first" in done.stderr
