"""Endings: what becomes of a job when an attempt at it has ended: a model in the registry, another try, a wait, or a sentence."""

import asyncio
import errno
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import structlog

from bot.clock import Clock
from bot.errors import TrainingError
from bot.executor.contract import Outcome, Progress
from bot.registry import Registry, Superseded, promise_result
from storage.database import Database
from storage.errors import Full
from storage.jobs import Job, JobStore
from storage.posts import PostStore

NO_SPACE = Outcome("no_space", None, "The disk is full: free some space, and the training goes on by itself.")

log = structlog.get_logger("mynah.endings")


class Endings:
    """Writes them down. Only the row decides: an attempt that is not the job's current one changes nothing."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        clock: Clock,
        stopping: asyncio.Event,
        announce: Callable[[Job, Progress | None], None],
    ) -> None:
        """Build it.

        Args:
            database: where the jobs are.
            registry: takes results, and clears up after jobs that have ended.
            clock: the time.
            stopping: set when Mynah stops, so that what fails from then on is nobody's fault.
            announce: called with a job whose state has changed.
        """
        self._database, self._registry, self._clock = database, registry, clock
        self._stopping, self._announce = stopping, announce
        self._jobs, self._posts = JobStore(database), PostStore(database)

    async def conclude(self, job: Job, outcome: Outcome, *, retry_at: datetime | None = None) -> None:
        """What this outcome makes of the job; one that has to wait waits until `retry_at`, or for the usual while."""
        if outcome.state == "succeeded":
            outcome = await self._publish(job, outcome)
        reason = outcome.reason or "The training ended without saying why: the log says more."
        match outcome.state:
            case "succeeded" | "detached":
                return
            case "refused":
                await self.end(job, "failed", reason)
            case "cancelled" if not self._stopping.is_set():
                await self.end(job, "cancelled", reason)
            case "no_space" | "unavailable":
                await self.back(job, "waiting", reason, charge=False, state="waiting", retry_at=retry_at)
            case "failed" | "killed" | "lost" if not self._stopping.is_set():
                await self._charge(job, outcome.state, reason)
            case _:  # preempted, fenced (then nothing runs under this number any more), or ended because Mynah stops
                await self.back(job, "given back", reason, charge=False)

    async def _publish(self, job: Job, outcome: Outcome) -> Outcome:
        if outcome.result is None:
            return Outcome("failed", None, "The training ended without a result.")
        try:
            await self._registry.publish(job, outcome.result, now=self._clock.now())
        except Superseded:
            log.info("result not taken: the job was cancelled or has a newer attempt", job=job.id, attempt=job.attempt)
            return outcome
        except TrainingError as error:
            return Outcome("failed", None, str(error))
        except (OSError, Full) as error:
            if not is_full(error):
                raise
            return NO_SPACE
        await self._ended(job)
        return outcome

    async def _charge(self, job: Job, how: str, reason: str) -> None:
        """Try again, or give up when that was the last attempt."""
        tried = job.charged + 1
        if tried < job.max_attempts:
            await self.back(job, f"attempt {how}", reason, charge=True)
        else:
            await self.end(job, "failed", reason if tried == 1 else f"It was tried {tried} times. The last time: {reason}")

    async def back(
        self,
        job: Job,
        event: str,
        reason: str | None,
        *,
        charge: bool,
        state: Literal["queued", "waiting"] = "queued",
        retry_at: datetime | None = None,
    ) -> None:
        """Back into the queue, with or without counting the attempt."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            if await self._jobs.requeue(tx, job.id, charge=charge, reason=reason, state=state, retry_at=retry_at, now=now):
                await self._jobs.record(tx, job.id, event, reason, now)
        await self._tell(job.id)

    async def end(self, job: Job, state: Literal["failed", "cancelled"], reason: str) -> None:
        """End it for good; of a failure the channel is told."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            if await self._jobs.finish(tx, job.id, state=state, now=now, attempt=job.attempt, reason=reason):
                await self._jobs.record(tx, job.id, state, reason, now)
                if state == "failed":
                    await promise_result(self._posts, tx, job, now)
        await self._ended(job)

    async def _ended(self, job: Job) -> None:
        ended = await self._tell(job.id)
        if ended is not None and not ended.is_open:
            await self._registry.clear(ended)

    async def _tell(self, job_id: int) -> Job | None:
        job = await self._jobs.get(job_id)
        if job is not None:
            self._announce(job, None)
        return job


def is_full(error: BaseException) -> bool:
    """Whether the disk is."""
    return isinstance(error, Full) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
