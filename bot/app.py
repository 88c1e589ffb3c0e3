"""The composition root: builds every part once, opens and closes them in order. The only file that knows everybody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bot.backups import DATABASE, DailyCopies
from bot.bases import packed_folder
from bot.characters import Characters
from bot.clock import Clock, SystemClock
from bot.config import Settings
from bot.erasing import Eraser
from bot.errors import StorageError
from bot.executor.contract import Executor, Progress
from bot.executor.generator import Generator
from bot.executor.local import LocalExecutor
from bot.executor.ray import RayExecutor
from bot.fetching import Fetcher
from bot.forgetting import Forgetting
from bot.intake import Intake
from bot.jobs import JobQueue
from bot.posting import Poster
from bot.privacy import Privacy
from bot.requests import Requests
from bot.restores import take_over
from bot.runner import JobRunner
from bot.schedules import Scheduler
from bot.spending import Spending
from bot.tweets.accounts import make_source
from bot.uploads import Uploads
from storage.database import Database
from storage.errors import StorageProblem
from storage.jobs import Job
from storage.restoring import settle_home

log = structlog.get_logger("mynah.app")

JobListener = Callable[[Job, Progress | None], None]


@dataclass
class App:
    """Every part of the running program."""

    settings: Settings
    home: Path
    clock: Clock
    database: Database
    queue: JobQueue
    runner: JobRunner
    characters: Characters
    scheduler: Scheduler
    poster: Poster
    intake: Intake
    requests: Requests
    privacy: Privacy
    forgetting: Forgetting
    eraser: Eraser
    generator: Generator
    uploads: Uploads
    copies: DailyCopies
    listeners: list[JobListener] = field(default_factory=list)
    """Called with every change of a job: progress, or None when its state changed."""


@asynccontextmanager
async def open_app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """Open the folder and the database and build the parts. Nothing runs yet.

    Raises:
        StorageError: another bot holds the folder, or the database cannot be used.
    """
    clock = clock or SystemClock()
    home = settings.mynah_home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    listeners: list[JobListener] = []

    def announce(job: Job, progress: Progress | None) -> None:
        for listener in listeners:
            listener(job, progress)

    async with AsyncExitStack() as stack:
        database = await open_database(home, clock)
        stack.push_async_callback(database.close)
        generator = Generator(packed_folder(home), threads=settings.train_threads, idle_s=settings.idle_minutes * 60)
        stack.push_async_callback(generator.close)
        privacy = Privacy(database=database, clock=clock)
        queue = JobQueue(database=database, settings=settings, clock=clock, privacy=privacy)
        privacy.halt = queue.halt
        characters = Characters(database=database, generator=generator, home=home, clock=clock, blocked=settings.blocked)
        poster = Poster(database=database, clock=clock, fill_due=characters.fill_due)
        eraser = Eraser(database=database, clock=clock, remover=poster)
        poster.forgotten = eraser.wake
        forgetting = Forgetting(database=database, clock=clock, privacy=privacy, renew=generator.renew, wake_eraser=eraser.wake)
        uploads = Uploads(home)
        spending = Spending(database=database, settings=settings, clock=clock)
        fetcher = Fetcher(
            database=database,
            home=home,
            privacy=privacy,
            spending=spending,
            clock=clock,
            make=lambda name: make_source(name, settings, clock=clock),
        )
        runner = JobRunner(
            database=database,
            queue=queue,
            executor=make_executor(settings),
            fetcher=fetcher,
            privacy=privacy,
            home=home,
            settings=settings,
            clock=clock,
            announce=announce,
        )
        stack.push_async_callback(runner.stop)
        # The end of a job is told through the outbox.
        listeners.append(lambda _, progress: poster.wake() if progress is None else None)
        yield App(
            settings=settings,
            home=home,
            clock=clock,
            database=database,
            queue=queue,
            runner=runner,
            characters=characters,
            scheduler=Scheduler(database=database, clock=clock, settings=settings, wake_poster=poster.wake),
            poster=poster,
            intake=Intake(settings=settings, home=home, uploads=uploads, privacy=privacy, spending=spending, clock=clock),
            requests=Requests(database=database, queue=queue, uploads=uploads, settings=settings, clock=clock, wake_poster=poster.wake),
            privacy=privacy,
            forgetting=forgetting,
            eraser=eraser,
            generator=generator,
            uploads=uploads,
            copies=DailyCopies(home=home, clock=clock),
            listeners=listeners,
        )


async def open_database(home: Path, clock: Clock) -> Database:
    """Open the database for writing, after taking over a restore that waits. What was forgotten is forgotten again in one that is older.

    Raises:
        StorageError: another process holds it (InUse is its cause), or it cannot be used.
    """
    path = home / DATABASE

    def before() -> None:
        take_over(home, clock.now())

    try:
        database = await Database.open(path, before=before)
        try:
            await settle_home(database, home)
            await Forgetting(database=database, clock=clock, privacy=Privacy(database=database, clock=clock)).settle()
        except BaseException:
            await database.close()
            raise
    except StorageProblem as problem:
        raise StorageError(str(problem)) from problem
    return database


async def _open_to_read(path: Path) -> Database:
    try:
        return await Database.open(path, read_only=True)
    except StorageProblem as problem:
        raise StorageError(str(problem)) from problem


@asynccontextmanager
async def open_reader(settings: Settings) -> AsyncIterator[Characters]:
    """What the shell needs to list characters and to speak, also while the bot runs: the database is only read.

    Raises:
        StorageError: there is no database yet, or it cannot be used.
    """
    home = settings.mynah_home.resolve()
    if not (home / DATABASE).exists():
        raise StorageError(f"There is nothing in {settings.mynah_home} yet: train a character first, with mynah train or /train.")
    async with AsyncExitStack() as stack:
        database = await _open_to_read(home / DATABASE)
        stack.push_async_callback(database.close)
        generator = Generator(packed_folder(home), threads=settings.train_threads)
        stack.push_async_callback(generator.close)
        yield Characters(database=database, generator=generator, home=home, clock=SystemClock(), blocked=settings.blocked)


def make_executor(settings: Settings) -> Executor:
    """Where trainings run.

    Raises:
        ConfigError: on a cluster, but its address is missing or is none.
    """
    if settings.executor == "local":
        return LocalExecutor(grace_s=settings.stop_grace_seconds)
    token = settings.ray_token.get_secret_value().strip() if settings.ray_token else None
    return RayExecutor(address=settings.ray_url(), token=token, gpus=settings.ray_gpus, grace_s=settings.stop_grace_seconds)


async def run_all(*services: Callable[[], Awaitable[object]]) -> None:
    """Run services side by side until one ends; then end the others. An error of any is raised."""
    tasks = [asyncio.ensure_future(service()) for service in services]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
