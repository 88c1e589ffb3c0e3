"""JobQueue: trainings that were asked for. Limits, places in line and cancelling; the runner does the work."""

import asyncio
import builtins
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput, NotAllowed, NotFound
from bot.privacy import Privacy
from bot.registry import Registry
from storage.characters import SHELL
from storage.database import Database
from storage.jobs import Job, JobStore
from storage.trainings import Basis, Training


@dataclass(frozen=True)
class Place:
    """Where a job stands in line."""

    position: int
    """1 = it runs, or is next; 0 = it has ended."""
    wait_s: float | None
    """Seconds until its end, learned from past runs; None while there is nothing to learn from."""


@dataclass(frozen=True)
class Queued:
    """What became of a request."""

    job: Job
    place: Place
    joined: bool
    """The character was in training already, so this is that job and not a new one."""


@dataclass(frozen=True)
class _Watch:
    """An attempt that the runner is at."""

    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing of it runs any more."""


class JobQueue:
    """Jobs, as those see them who ask for them."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock, privacy: Privacy) -> None:
        self._database, self._privacy = database, privacy
        self._jobs = JobStore(database)
        self._registry = Registry(database=database, home=settings.mynah_home.resolve())
        self._settings = settings
        self._clock = clock
        self._watched: dict[int, _Watch] = {}
        self.wake = asyncio.Event()
        """Set when there may be something for the runner to do."""
        self.changed: Callable[[Job], None] = lambda _: None
        """Called when a job was cancelled or put first; set by the runner."""

    async def enqueue(self, training: Training, *, guild_id: int, channel_id: int, user_id: int, dedupe_key: str, basis: Basis) -> Queued:
        """Queue a training, or join the one under way for that character. When this returns, it cannot be lost.

        `training.preset` is one of `bot.executor.contract.Preset`; `basis` is what entitles this member, and is recorded with it.

        Raises:
            NotAllowed: an account may not be trained on, or the member or the server has as many unfinished jobs as they may have.
        """
        await self._privacy.check(training.handles)
        now = self._clock.now()
        source_bytes = await asyncio.to_thread(_size, training)
        async with self._database.transaction() as tx:
            job = await self._jobs.by_dedupe_key(dedupe_key)
            under_way = None if job else await self._jobs.find_open(guild_id, training.handle)
            if job is None and under_way is None:
                await self._check_limits(guild_id, user_id)
                job = await self._jobs.insert(
                    tx,
                    training,
                    guild_id=guild_id,
                    channel_id=channel_id,
                    user_id=user_id,
                    dedupe_key=dedupe_key,
                    source_bytes=source_bytes,
                    now=now,
                )
                event = "queued"
            else:
                event = "joined" if under_way else ""
            wanted = under_way or job
            if wanted is None:
                raise RuntimeError(f"{dedupe_key} was neither found nor inserted")
            if event:
                await self._jobs.record(tx, wanted.id, event, f"user {user_id}", now)
                await self._privacy.record(
                    tx,
                    handles=training.handles,
                    basis=basis,
                    guild_id=guild_id,
                    channel_id=channel_id,
                    user_id=user_id,
                    job_id=wanted.id,
                    now=now,
                )
        self.wake.set()
        return Queued(wanted, await self.place(wanted), joined=under_way is not None)

    async def place(self, job: Job) -> Place:
        """Where it stands in line, and how long until its end."""
        if not job.is_open:
            return Place(0, None)
        line = await self._jobs.in_line()
        ids = [other.id for other in line]
        if job.id not in ids:  # it waits for room on the disk
            return Place(len(line) + 1, None)
        position = ids.index(job.id) + 1
        left = [await self._seconds_left(other) for other in line[:position]]
        return Place(position, None if None in left else sum(seconds for seconds in left if seconds is not None))

    async def get(self, job_id: int, *, guild_id: int) -> Job:
        """A job of that server.

        Raises:
            NotFound: it has none of that number.
        """
        job = await self._jobs.get(job_id)
        if job is None or job.guild_id != guild_id:
            raise NotFound(f"There is no job {job_id} here: /jobs list shows those there are.")
        return job

    async def cancel(self, job_id: int, *, guild_id: int, by: int) -> Job:
        """End a job that has not ended; its worker is stopped soon after.

        Raises:
            NotFound: the server has no such job.
            BadInput: it has ended already.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            job = await self.get(job_id, guild_id=guild_id)
            if not await self._jobs.finish(tx, job.id, state="cancelled", now=now, attempt=job.attempt):
                how = "has been cancelled" if job.state == "cancelled" else f"has {job.state}"
                raise BadInput(f"Job {job_id} {how} already, so there is nothing to cancel.")
            await self._jobs.record(tx, job.id, "cancelled", f"user {by}", now)
            cancelled = await self.get(job_id, guild_id=guild_id)
        if job.id in self._watched:
            self._watched[job.id].cancelled.set()  # the runner stops the worker and clears up after it
        else:
            await self._registry.clear(cancelled)
        self.changed(cancelled)
        return cancelled

    async def put_first(self, job_id: int, *, guild_id: int, by: int) -> Job:
        """Let a queued job go before the others of its server. Servers take turns all the same.

        Raises:
            NotFound: the server has no such job.
            BadInput: it is not queued.
        """
        async with self._database.transaction() as tx:
            job = await self.get(job_id, guild_id=guild_id)
            if not await self._jobs.put_first(tx, job_id):
                how = {"running": "runs already", "waiting": "waits for something else than its turn"}.get(
                    job.state, f"has {job.state} already"
                )
                raise BadInput(f"Job {job_id} {how}, so it cannot be put first: that is for queued ones.")
            await self._jobs.record(tx, job_id, "put first", f"user {by}", self._clock.now())
            first = await self.get(job_id, guild_id=guild_id)
        self.changed(first)
        return first

    @contextmanager
    def watching(self, job_id: int) -> Iterator[asyncio.Event]:
        """For the runner: an event that is set when the job is cancelled."""
        watch = self._watched[job_id] = _Watch()
        try:
            yield watch.cancelled
        finally:
            del self._watched[job_id]
            watch.over.set()

    async def halt(self, job_ids: Sequence[int]) -> None:
        """Stop the attempts at jobs that have ended or whose rows are gone; returns when nothing of them runs any more."""
        watches = [self._watched[job_id] for job_id in job_ids if job_id in self._watched]
        for watch in watches:
            watch.cancelled.set()
        for job_id in job_ids:
            if (job := await self._jobs.get(job_id)) is not None:
                self.changed(job)
        for watch in watches:
            await watch.over.wait()

    async def _check_limits(self, guild_id: int, user_id: int) -> None:
        if guild_id == SHELL:
            return
        theirs, most = await self._jobs.count_open(guild_id=guild_id, user_id=user_id), self._settings.jobs_per_member
        if theirs >= most:
            raise NotAllowed(
                f"You have {theirs} unfinished trainings in this server and {most} is the most for one member: "
                "wait for one to end, or cancel one with /jobs cancel."
            )
        all_, most = await self._jobs.count_open(guild_id=guild_id), self._settings.jobs_per_server
        if all_ >= most:
            raise NotAllowed(
                f"This server has {all_} unfinished trainings and {most} is the most: wait for one to end, or cancel one with /jobs cancel."
            )

    async def _seconds_left(self, job: Job) -> float | None:
        if job.progress is not None and job.progress.get("eta_s") is not None:
            return float(job.progress["eta_s"])
        typical = await self._jobs.typical_seconds(job.base_name, job.preset, job.source_bytes)
        if typical is None or job.state != "running" or job.started_at is None:
            return typical
        return max(0.0, typical - (self._clock.now() - job.started_at).total_seconds())

    async def list(self, guild_id: int) -> builtins.list[Job]:
        """The server's newest jobs, newest first."""
        return await self._jobs.list(guild_id)


def _size(training: Training) -> int | None:
    """Bytes of the files with the tweets; None while one of them is still to be fetched."""
    paths = [Path(training.source_path).parent / material.path for material in training.materials]
    return sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else None
