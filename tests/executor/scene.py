"""What the executor's tests share: jobs on the disk, and watching real processes without guessing how long they take."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.executor import files
from bot.executor.contract import Attempt, Executor, SpecSource, TrainSpec
from bot.executor.fence import Fence

ROOT = Path(__file__).parents[2]
WORKER = "tests.executor.fake_worker"
MakeJob = Callable[..., "Job"]


class Job:
    """A job's folder; `attempt` makes the next try at it."""

    def __init__(self, folder: Path, do: str, **recipe: Any) -> None:
        self.folder, self.recipe = folder, {"do": do, **recipe}
        self.attempts = 0
        folder.mkdir(parents=True)

    def attempt(self) -> Attempt:
        self.attempts += 1
        folder = self.folder / f"a{self.attempts}"
        folder.mkdir()
        Fence(self.folder).raise_to(self.attempts)
        source = SpecSource("wren", "tweets.txt", "tweets.txt", "operator")
        spec = TrainSpec(7, self.attempts, "wren", (source,), "nano", "nano", seed=1, recipe=self.recipe)
        files.write_spec(folder, spec)
        return Attempt(7, self.attempts, folder)

    def pids(self) -> list[int]:
        """Of the workers so far."""
        path = self.folder / "pids"
        return [int(line.split()[1]) for line in path.read_text().splitlines()] if path.exists() else []

    def grandchild(self) -> int:
        """What a worker started, 0 while there is none."""
        path = self.folder / "grandchild"
        return int(path.read_text() or 0) if path.exists() else 0

    def step(self) -> int:
        """Of the newest checkpoint."""
        path = self.folder / "checkpoints" / "step"
        return int(path.read_text() or 0) if path.exists() else 0


def alive(pid: int) -> bool:
    """A process that runs; one that has ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group(leader: int) -> list[int]:
    """Every living process of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


async def until(done: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


async def until_noted(executor: Executor, attempt: Attempt, words: str) -> None:
    """Wait for a note beside its progress that has these words."""
    async with asyncio.timeout(30):
        async for progress in executor.events(attempt):
            if words in (progress.note or ""):
                return
    raise AssertionError(f"it ended without {words!r}")


_LIMITS = {Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes", Path("/sys/fs/cgroup"): "memory.max"}
"""Where groups of processes with a limit of memory are made, in either version of the kernel's interface."""


@contextlib.contextmanager
def memory_limit(limit: int) -> Iterator[Path]:
    """A control group that may use so many bytes; the test is skipped, and counted, where none may be made."""
    for root, name in _LIMITS.items():
        group = root / f"mynah-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / name).exists():
                continue
            (group / name).write_text(str(limit))
            yield group
            return
        finally:
            group.rmdir()
    pytest.skip("needs a control group with a limit of memory, which may not be made here")
