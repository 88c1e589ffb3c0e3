"""Starting bots from outside: the client of subject.py."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.subject import Start

ROOT = Path(__file__).parents[2]


class Bot:
    """A process that was started."""

    def __init__(self, number: int) -> None:
        self.number = number
        loop = asyncio.get_running_loop()
        self.pid: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        """Its exit status; negative: the signal that ended it."""

    async def kill(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, unless it has ended, and give its exit status."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(await self.pid, number)
        return await asyncio.wait_for(asyncio.shield(self.ended), 20)


class Bots:
    """The process that forks them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._bots: dict[int, Bot] = {}
        self.ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    def start(self, **what: Any) -> Bot:
        """Start one; the arguments are those of `Start` but the number."""
        start = Start(number=next(self._numbers), **what)
        bot = self._bots[start.number] = Bot(start.number)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(start)).encode() + b"\n")
        return bot

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self.ready.set()
            elif "pid" in said:
                self._bots[said["number"]].pid.set_result(said["pid"])
            else:
                self._bots.pop(said["number"]).ended.set_result(said["ended"])


@asynccontextmanager
async def bots() -> AsyncIterator[Bots]:
    """Ready to start some. Those that still run at the end are killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.subject"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    found = Bots(process)
    try:
        async with asyncio.timeout(60):
            await found.ready.wait()
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await found._reading
