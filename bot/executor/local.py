"""Attempts as child processes of the bot, on its own host. They die with it and are resumed by their checkpoints."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

from bot.executor import files
from bot.executor.contract import Attempt, Outcome, Progress
from bot.executor.following import Follower
from bot.executor.outcome import Stopped, judge
from bot.executor.process import NICE, LivedClock, bury, kill_group, spawn

_DUMP_S = 1.0
"""Time for a worker that no longer moves to write where it stands."""


class LocalExecutor:
    """The executor of a bot without a cluster."""

    outlives = False

    def __init__(
        self,
        *,
        grace_s: float,
        worker: str = "bot.executor.training_worker",
        silence_s: float = 600.0,
        poll_s: float = 0.25,
    ) -> None:
        """Build it; nothing runs yet.

        Args:
            grace_s: how long a worker may take to save when the bot stops.
            worker: the module that they run.
            silence_s: a worker without progress for so long is taken for dead; waiting for a processor does not count.
            poll_s: how often the progress is looked at.
        """
        self._grace_s, self._worker = grace_s, worker
        self._silence_s, self._poll_s = silence_s, poll_s
        self._workers: dict[str, _Worker] = {}
        self._starting = asyncio.Lock()

    async def start(self, attempt: Attempt) -> None:
        """See `Executor`."""
        async with self._starting:
            if attempt.name in self._workers or files.read_result(attempt.folder) is not None:
                return
            folder = attempt.folder.resolve()
            spec = files.read_spec(folder)
            with (folder / files.LOG).open("ab") as log:
                process = await spawn(self._worker, str(folder), nice=NICE, threads=spec.threads, stdout=log, stderr=log)
            self._workers[attempt.name] = _Worker(attempt, process, silence_s=self._silence_s, poll_s=self._poll_s)

    async def attach(self, attempt: Attempt) -> bool:
        """See `Executor`. After a restart nothing runs any more, but it may have ended with a result before."""
        return attempt.name in self._workers or files.read_result(attempt.folder) is not None

    async def events(self, attempt: Attempt) -> AsyncIterator[Progress]:
        """See `Executor`."""
        if worker := self._workers.get(attempt.name):
            async for progress in worker.follower.events():
                yield progress

    async def wait(self, attempt: Attempt) -> Outcome:
        """See `Executor`."""
        if worker := self._workers.get(attempt.name):
            return await asyncio.shield(worker.outcome)
        return judge(attempt.folder, None)

    async def cancel(self, attempt: Attempt, *, grace_s: float = 20.0, save: bool = False) -> None:
        """See `Executor`. Returns when it has ended."""
        if worker := self._workers.get(attempt.name):
            await worker.stop(save_s=grace_s if save else None)

    async def close(self) -> None:
        """See `Executor`."""
        async with self._starting:
            await asyncio.gather(*(worker.stop(save_s=self._grace_s) for worker in self._workers.values()))


class _Worker:
    """One child process, and what is known of it."""

    def __init__(self, attempt: Attempt, process: asyncio.subprocess.Process, *, silence_s: float, poll_s: float) -> None:
        self._folder, self._process = attempt.folder, process
        self._silence_s, self._poll_s = silence_s, poll_s
        self.follower = Follower(attempt.folder, monotonic=LivedClock(process.pid))
        self._stopped: Stopped | None = None
        self.outcome = asyncio.create_task(self._follow())

    async def _follow(self) -> Outcome:
        """Read the progress until the process has ended, then clear up and judge."""
        ended = asyncio.create_task(self._process.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=self._poll_s)
                self.follower.look()
                if self.follower.silent_s > self._silence_s:
                    self._stopped = self._stopped or "silent"
                    await self._end_silent(ended)
        finally:
            code = await bury(self._process)
            self.follower.end()
        return judge(self._folder, code, self._stopped)

    async def _end_silent(self, ended: asyncio.Task[int]) -> None:
        self._send(signal.SIGABRT)  # the interpreter writes every thread's stack into worker.log
        await asyncio.wait({ended}, timeout=_DUMP_S)
        kill_group(self._process)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, *, save_s: float | None) -> None:
        """End it: at once, or after it has had so many seconds to save."""
        if save_s is None:
            self._stopped = "cancelled"
        else:
            self._stopped = self._stopped or "saving"
            self._send(signal.SIGTERM)
            await asyncio.wait({self.outcome}, timeout=save_s)
        if not self.outcome.done():
            kill_group(self._process)
        await asyncio.wait({self.outcome})
