"""A queue and a runner on a home of their own, which can crash and start again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.digests import digest
from bot.executor.contract import Attempt, Progress
from bot.fetching import Fetcher
from bot.jobs import JobQueue, Queued
from bot.privacy import Privacy
from bot.runner import JobRunner
from bot.spending import Spending
from bot.tweets.source import Source
from bot.uploads import Uploads
from storage.database import Database
from storage.jobs import Job, JobStore
from storage.posts import Post, PostStore
from storage.privacy import PrivacyStore
from storage.trainings import Basis, Material, Training
from tests.clock import ManualClock
from tests.contracts.fake_executor import FakeExecutor
from tests.records import training_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_NUMBERS = count()
"""Also after a restart, no two interactions have the same."""


class Desk:
    """What one start of the bot would hold."""

    def __init__(self, home: Path, database: Database, clock: ManualClock, executor: FakeExecutor, **settings: Any) -> None:
        self.home, self.database, self.clock, self.executor = home, database, clock, executor
        self.told: list[tuple[str, Progress | None]] = []
        self.jobs, self.posts = JobStore(database), PostStore(database)
        made = Settings(_env_file=None, mynah_home=home, **settings)
        self.privacy = Privacy(database=database, clock=clock)
        self.queue = JobQueue(database=database, settings=made, clock=clock, privacy=self.privacy)
        self.spending = Spending(database=database, settings=made, clock=clock)
        self.sources: dict[str, Source] = {}
        """By name: what is asked for the accounts' posts."""
        self.runner = JobRunner(
            database=database,
            queue=self.queue,
            executor=executor,
            fetcher=Fetcher(
                database=database,
                home=home,
                privacy=self.privacy,
                spending=self.spending,
                clock=clock,
                make=lambda name: self.sources[name],
            ),
            privacy=self.privacy,
            home=home,
            settings=made,
            clock=clock,
            announce=self._announce,
        )
        self._news = asyncio.Event()

    def _announce(self, job: Job, progress: Progress | None) -> None:
        self.told.append((job.state, progress))
        self._news.set()

    async def opted_out(self, handle: str) -> str:
        """Only the row of an opt-out, as from a ledger: what is queued stays. Its digest."""
        store = PrivacyStore(self.database)
        hashed = digest(handle, await store.salt())
        async with self.database.transaction() as tx:
            await store.add_opt_out(tx, hashed, user_id=9, now=self.clock.now())
        return hashed

    def upload(self, name: str = "heron.zip") -> Path:
        path = self.home / "uploads" / f"u{next(_NUMBERS)}" / name
        path.parent.mkdir(parents=True)
        path.write_text("tweets")
        return path

    async def ask(
        self,
        handle: str = "heron",
        *,
        guild_id: int = 7,
        user_id: int = 9,
        path: Path | None = None,
        key: str = "",
        preset: str = "default",
        basis: Basis = "agreed",
        training: Training | None = None,
    ) -> Queued:
        source = path or self.upload()
        training = training or training_of(handle, source, preset=preset)
        return await self.queue.enqueue(
            training,
            guild_id=guild_id,
            channel_id=8,
            user_id=user_id,
            dedupe_key=key or f"interaction:{next(_NUMBERS)}",
            basis=basis,
        )

    async def ask_source(self, source: str = "x", handles: Sequence[str] = ("heron",), *, guild_id: int = 7, key: str = "") -> Queued:
        """Ask for accounts whose posts are still to be fetched."""
        uploads = Uploads(self.home)
        room = uploads.room()
        paths = [uploads.fetched(room, source, handle) for handle in handles]
        materials = [Material(h, source, p.name, f"@{h} on {source.upper()}") for h, p in zip(handles, paths, strict=True)]  # type: ignore[arg-type]  # one of its names
        training = training_of("+".join(handles), paths[0], materials=tuple(materials))
        return await self.queue.enqueue(
            training, guild_id=guild_id, channel_id=8, user_id=9, dedupe_key=key or f"interaction:{next(_NUMBERS)}", basis="own"
        )

    async def train(self, **request: Any) -> Job:
        """Ask, and work until it has ended."""
        return await self.runner.run_one((await self.ask(**request)).job.id)

    async def job(self, job_id: int) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def reaches(self, job_id: int, *states: str) -> Job:
        """Wait until the job is in one of these states."""
        async with asyncio.timeout(20):
            while (job := await self.job(job_id)).state not in states:
                self._news.clear()
                await self._news.wait()
        return job

    def attempt(self, job: Job, number: int = 1) -> Attempt:
        return Attempt(job.id, number, self.home / "jobs" / str(job.id) / f"a{number}")

    async def results(self) -> list[Post]:
        return [post for post in await self.posts.due() if post.kind == "result"]

    async def history(self, job: Job) -> list[str]:
        return [event.event for event in await self.jobs.events(job.id)]

    def files(self) -> set[str]:
        """Everything that lies in the home, but for the database."""
        return {
            path.relative_to(self.home).as_posix()
            for path in self.home.rglob("*")
            if path.is_file() and not path.name.startswith("mynah.sqlite3")
        }


@asynccontextmanager
async def desk(home: Path, *plans: Any, clock: ManualClock | None = None, **settings: Any) -> AsyncIterator[Desk]:
    """Open one. Leaving it is a crash: the database is closed, and nothing is given back."""
    database = await Database.open(home / "mynah.sqlite3")
    try:
        yield Desk(home, database, clock or ManualClock(NOON), FakeExecutor(*plans), **settings)
    finally:
        await database.close()


@asynccontextmanager
async def at_work(one: Desk) -> AsyncIterator[asyncio.Task[None]]:
    """The runner runs, until it is stopped in good order."""
    task = asyncio.create_task(one.runner.run())
    try:
        yield task
        await one.runner.stop()
        await task
    finally:
        await cut_off(task)


async def cut_off(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
