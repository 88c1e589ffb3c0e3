"""JobRunner: one training at a time, from the claim to the model in the registry or the sentence that says why not."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import structlog

from bot.clock import Clock
from bot.config import Settings
from bot.endings import NO_SPACE, Endings, is_full
from bot.errors import BadInput, ConfigError, NotAllowed, NotFound, NotNow, SourceError
from bot.executor import files
from bot.executor.contract import Attempt, Executor, Outcome, Progress, TrainSpec
from bot.executor.fence import Fence
from bot.fetching import SHARE, Fetcher
from bot.jobs import JobQueue
from bot.privacy import Privacy
from bot.registry import Registry
from bot.specs import Specs
from storage.database import Database
from storage.errors import StorageProblem
from storage.jobs import OPEN, Job, JobStore

WAIT = timedelta(minutes=5)
"""After so long a job that waits is tried again, unless it was told until when: one that waits for room on the disk, or for a cluster."""
_NAP_S = 30.0
_LEAST_STEP = 0.01
_MOST_DEATHS = 5
"""So often the bot may end while it prepares one training or takes its result; one that is killed at random does so now and then."""
_DIED = "bot died"
"""In a job's history: the bot ended while it had the job in its own hands, and no worker had it."""
_POISON = f"Mynah itself ended {_MOST_DEATHS} times while it prepared this training or took its result. It is not tried again: see its log."

log = structlog.get_logger("mynah.runner")


class JobRunner:
    """Runs jobs. Only the row decides: an attempt that is not the job's current one changes nothing."""

    def __init__(
        self,
        *,
        database: Database,
        queue: JobQueue,
        executor: Executor,
        fetcher: Fetcher,
        privacy: Privacy,
        home: Path,
        settings: Settings,
        clock: Clock,
        announce: Callable[[Job, Progress | None], None],
    ) -> None:
        """Build it; nothing runs yet.

        Args:
            database: where the jobs are.
            queue: wakes the runner, and says when a job is cancelled.
            executor: runs attempts.
            fetcher: brings the tweets that are in no file yet.
            privacy: says whose tweets may be learned from.
            home: MYNAH_HOME, absolute.
            settings: threads and grace.
            clock: the time.
            announce: called with a job and its progress, or None when its state has changed.
        """
        self._database, self._queue, self._executor = database, queue, executor
        self._fetcher, self._privacy = fetcher, privacy
        self._specs = Specs(database=database, home=home, settings=settings, privacy=privacy)
        self._settings, self._clock, self._announce = settings, clock, announce
        self._jobs = JobStore(database)
        self._registry = Registry(database=database, home=home)
        self._adopted: list[Job] = []
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._endings = Endings(database=database, registry=self._registry, clock=clock, stopping=self._stopping, announce=announce)
        queue.changed = lambda job: announce(job, None)

    async def recover(self) -> None:
        """At the start: take over the jobs that a bot which is gone was running, and remove what belongs to nothing."""
        for job in await self._jobs.orphans(self._database.boot_id):
            if await self._is_poison(job):
                await self._endings.end(job, "failed", _POISON)
            elif await self._executor.attach(self._registry.attempt(job)):
                await self._adopt(job)
            else:
                await self._endings.back(job, "given back", "Mynah was restarted; the training goes on where it was.", charge=False)
        await self._fetcher.settle([job for state in OPEN for job in await self._jobs.in_state(state)])
        await self._registry.sweep()

    async def run(self) -> None:
        """Work for ever, or until `stop`."""
        self._idle.clear()
        try:
            await self._gather()
            while not self._stopping.is_set():
                self._queue.wake.clear()
                await self._look_again()
                if self._adopted:
                    await self._go_on(self._adopted.pop(0))
                elif (job := await self._claim()) is not None:
                    await self._work(job, begin=True)
                else:
                    await self._nap()
        finally:
            self._idle.set()

    async def run_one(self, job_id: int) -> Job:
        """For the shell: work on this job until it has ended or waits for something, and give it back as it is then.

        One that has waited is tried again at once, but not before the time that its source has named.

        Raises:
            NotFound: there is no such job.
        """
        self._idle.clear()
        try:
            await self._look_again(job_id, usual=timedelta(0))
            while True:
                job = await self._jobs.get(job_id)
                if job is None:
                    raise NotFound(f"There is no job {job_id}.")
                if self._stopping.is_set() or job.state not in ("queued", "running"):
                    return job
                if job.state == "running":
                    self._adopted = [other for other in self._adopted if other.id != job_id]
                    await self._work(job, begin=False)
                elif (claimed := await self._claim(job_id)) is not None:
                    await self._work(claimed, begin=True)
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Claim nothing more, let the worker save, and give its job back. May be called twice."""
        self._stopping.set()
        self._queue.wake.set()
        await self._executor.close()
        await self._idle.wait()
        if self._executor.outlives:
            return  # what runs goes on, and is attached again at the next start
        with suppress(StorageProblem):  # then the next start finds them as after a crash
            for job in await self._jobs.in_state("running"):
                await self._endings.back(job, "given back", None, charge=False)

    async def _is_poison(self, job: Job) -> bool:
        """Whether the bot that is gone was one too many to end over it.

        While its tweets are fetched or its worker is at work, which takes long, an end says nothing about the job.
        """
        folder = self._registry.attempt(job).folder
        is_fetched = all(material.source == "file" or job.path_of(material).exists() for material in job.materials)
        if not is_fetched or ((folder / files.SPEC).exists() and files.read_result(folder) is None):
            return False
        async with self._database.transaction() as tx:
            await self._jobs.record(tx, job.id, _DIED, f"attempt {job.attempt}", self._clock.now())
        return sum(event.event == _DIED for event in await self._jobs.events(job.id)) >= _MOST_DEATHS

    async def _gather(self) -> None:
        """Take up again what ran when the database could not be used, and this ended for it."""
        known = {job.id for job in self._adopted}
        for job in await self._jobs.in_state("running"):
            if job.id in known:
                continue
            if await self._executor.attach(self._registry.attempt(job)):
                self._adopted.append(job)
            else:
                await self._endings.back(job, "given back", None, charge=False)

    async def _claim(self, job_id: int | None = None) -> Job | None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            job = await self._jobs.claim(tx, owner=self._database.boot_id, now=now, job_id=job_id)
            if job is not None:
                await self._jobs.record(tx, job.id, "claimed", f"attempt {job.attempt}", now)
        return job

    async def _adopt(self, job: Job) -> None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await self._jobs.adopt(tx, job.id, owner=self._database.boot_id)
            await self._jobs.record(tx, job.id, "adopted", f"attempt {job.attempt}", now)
        self._adopted.append(job)

    async def _go_on(self, adopted: Job) -> None:
        job = await self._jobs.get(adopted.id)
        if job is None or job.state != "running":  # cancelled since
            await self._executor.cancel(self._registry.attempt(adopted))
        else:
            await self._work(job, begin=False)

    async def _look_again(self, job_id: int | None = None, *, usual: timedelta = WAIT) -> None:
        """Put jobs that have waited long enough, or one of them, back into the queue."""
        for job in await self._jobs.in_state("waiting"):
            if job_id in (None, job.id) and job.is_due(self._clock.now(), usual=usual):
                await self._endings.back(job, "queued", job.reason, charge=False)

    async def _nap(self) -> None:
        with suppress(TimeoutError):  # then it is time to look at the waiting jobs
            async with asyncio.timeout(_NAP_S):
                await self._queue.wake.wait()

    async def _work(self, job: Job, *, begin: bool) -> None:
        """One attempt, from its start or from where it was found, to what became of it."""
        with self._queue.watching(job.id) as cancelled:
            self._announce(job, None)
            retry_at = None
            try:
                outcome = await self._attempt(job, cancelled, begin=begin)
            except NotNow as later:
                outcome, retry_at = Outcome("unavailable", None, str(later)), later.until
            log.info("attempt ended", job=job.id, attempt=job.attempt, outcome=outcome.state, reason=outcome.reason)
            if not cancelled.is_set():
                await self._endings.conclude(job, outcome, retry_at=retry_at)
            if cancelled.is_set():  # perhaps only while it was concluded
                await self._registry.clear(job)

    async def _attempt(self, job: Job, cancelled: asyncio.Event, *, begin: bool) -> Outcome:
        attempt = self._registry.attempt(job)
        try:
            if begin:
                fetched = await self._fetched(job, cancelled)
                if fetched is None:
                    return Outcome("preempted", None)
                job = fetched
                await asyncio.to_thread(_prepare, attempt, await self._specs.write(job))
                if self._stopping.is_set():
                    return Outcome("preempted", None)
                await self._executor.start(attempt)
            return await self._follow(job, attempt, cancelled)
        except asyncio.CancelledError:
            if not self._executor.outlives:
                await self._executor.cancel(attempt, grace_s=self._settings.stop_grace_seconds, save=True)
            raise
        except NotNow:
            raise
        except (SourceError, NotAllowed, BadInput, ConfigError) as error:
            return Outcome("refused", None, str(error))
        except Exception as error:
            # One job's fault must not end the queue.
            await self._executor.cancel(attempt)
            if is_full(error):
                return NO_SPACE
            log.exception("attempt could not be run", job=job.id, attempt=job.attempt)
            return Outcome("failed", None, f"The training could not be run ({type(error).__name__}): the log says more.")

    async def _fetched(self, job: Job, cancelled: asyncio.Event) -> Job | None:
        """The job when all its tweets are here; None: it was cancelled before, or Mynah stops.

        Raises:
            NotAllowed: an account has opted out; then nothing is fetched.
            SourceError, BadInput, ConfigError, OSError: as `Fetcher.fetch`.
        """
        await self._privacy.check(job.handles)
        fetching = asyncio.create_task(self._fetcher.fetch(job, lambda progress: self._announce(job, progress)))
        ends = [asyncio.create_task(event.wait()) for event in (cancelled, self._stopping)]
        try:
            await asyncio.wait({fetching, *ends}, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else None
        finally:
            for task in (fetching, *ends):
                task.cancel()
            await asyncio.gather(fetching, *ends, return_exceptions=True)

    async def _follow(self, job: Job, attempt: Attempt, cancelled: asyncio.Event) -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forward(job, attempt))
            stop = group.create_task(self._stop_when(cancelled, attempt))
            outcome = await self._executor.wait(attempt)
            stop.cancel()
        return outcome

    async def _stop_when(self, cancelled: asyncio.Event, attempt: Attempt) -> None:
        await cancelled.wait()
        await self._executor.cancel(attempt)

    async def _forward(self, job: Job, attempt: Attempt) -> None:
        """Tell every progress, and keep those that differ visibly."""
        kept: Progress | None = None
        note, least = await self._registry.notes(job), SHARE if any(material.source != "file" for material in job.materials) else 0.0
        async for told in self._executor.events(attempt):
            notes = " ".join(filter(None, (told.note, note))) or None
            progress = replace(told, fraction=max(told.fraction, least), note=notes)
            self._announce(job, progress)
            if kept is None or progress.stage != kept.stage or progress.fraction - kept.fraction >= _LEAST_STEP:
                kept = progress
                with suppress(StorageProblem):  # a training is worth more than a line about it
                    async with self._database.transaction() as tx:
                        await self._jobs.save_progress(tx, job.id, asdict(progress))


def _prepare(attempt: Attempt, spec: TrainSpec) -> None:
    """Shut out older attempts, then write down what is to be done."""
    attempt.folder.mkdir(parents=True, exist_ok=True)
    Fence(attempt.folder.parent).raise_to(attempt.number)
    files.write_spec(attempt.folder, spec)
