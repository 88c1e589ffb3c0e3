"""Each contestant in a process of its own, so that its peak of memory is its own; the others wait while it has its turn."""

import contextlib
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Job = dict[str, Any]
"""What a contestant is to do; plain values."""


class Turn:
    """The contestant's side: it does one request after another, each with an answer."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self.started = 0.0
        """When the contestant's first turn began, before it had imported anything."""

    def begin(self) -> Job | None:
        """Wait for the next request; None when no more will come."""
        request: Job | None = self._pipe.recv()
        self.started = self.started or time.monotonic()
        return request

    def end(self, **answer: object) -> None:
        """Answer it."""
        self._pipe.send({**answer, "peak_rss_mb": peak_rss_mb(), "cpu_seconds": round(time.process_time(), 2)})

    def fail(self, reason: str) -> None:
        """Answer it with why not."""
        self._pipe.send({"failed": reason})

    def requests(self) -> Iterator[Job]:
        """All requests, in order."""
        while (request := self.begin()) is not None:
            yield request


Work = Callable[[Turn, Job], None]
"""A contestant: a function of a module that imports nothing heavy before it is called."""


_PACES: dict[Work, Mapping[str, str]] = {}


def paced(pace: Mapping[str, str]) -> Callable[[Work], Work]:
    """Give a contestant what makes Mynah's own child processes faster in its environment."""

    def known(work: Work) -> Work:
        _PACES[work] = pace
        return work

    return known


class Child:
    """The benchmark's side of a contestant. It works only while it is asked something."""

    def __init__(self, who: str, work: Work, job: Job, *, fork: bool) -> None:
        """Start it. `fork`: from this process, with what that has imported (for tests); else as a fresh one."""
        self.who = who
        context = multiprocessing.get_context("fork" if fork else "spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_main, args=(other, work, job), daemon=True)  # type: ignore[attr-defined]  # of each context
        before = dict(os.environ)
        os.environ |= _PACES.get(work, {})
        self._process.start()
        os.environ.clear()
        os.environ |= before
        other.close()

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        try:
            self._pipe.send(request)
            answer: dict[str, Any] = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise SystemExit(f"{self.who} ended without an answer.") from None
        if "failed" in answer:
            raise SystemExit(f"{self.who} failed:\n{answer['failed']}")
        return answer

    def close(self) -> None:
        """Let it end; without a word, when it has ended already."""
        with contextlib.suppress(ConnectionError):
            self._pipe.send(None)
        self._process.join()


@contextlib.contextmanager
def children(contestants: dict[str, tuple[Work, Job]], *, fork: bool) -> Iterator[dict[str, Child]]:
    """Contestants by name, all started, and all ended afterwards."""
    started: dict[str, Child] = {}
    try:
        for who, (work, job) in contestants.items():
            started[who] = Child(who, work, job, fork=fork)
        yield started
    finally:
        for child in started.values():
            child.close()


def ask_once(who: str, work: Work, job: Job, *, fork: bool) -> dict[str, Any]:
    """Start a contestant, ask it once, end it."""
    with children({who: (work, job)}, fork=fork) as started:
        return started[who].ask()


def prepare(threads: int, *, tiny: bool) -> None:
    """Settings that every contestant inherits. Tiny ones are forked from here, so what they need is imported now."""
    os.environ |= {
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONWARNINGS": "ignore",
    }
    if tiny:
        for module in ("torch", "transformers", "accelerate", "peft", "ctranslate2"):
            with contextlib.suppress(ImportError):
                __import__(module)


def peak_rss_mb() -> float:
    """The most memory this process has held. The kernel's counter of the program itself: getrusage's goes back before exec."""
    status = Path("/proc/self/status").read_text(encoding="utf-8") if sys.platform == "linux" else ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _main(pipe: "Connection[Any, Any]", work: Work, job: Job) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print; what went wrong is told through the pipe
        os.dup2(nowhere, stream)
    turn = Turn(pipe)
    try:
        work(turn, job)
    except BaseException:  # noqa: BLE001  # told to the benchmark, which ends with it
        with contextlib.suppress(ConnectionError):
            turn.fail(traceback.format_exc(limit=-6))
