"""Board: the message in the channel that shows how each open job goes, edited as it does. Knows no Discord."""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial

import structlog

from bot import messages
from bot.clock import Clock
from bot.executor.contract import Progress
from bot.jobs import JobQueue
from bot.outbox import Later, Refused
from bot.posting import Poster
from storage.database import Database
from storage.jobs import Job, JobStore

INTERVAL_S = 3.0
"""Between two edits of one message, in seconds."""
REPLY_GRACE = timedelta(seconds=30)
"""How long the reply to the command may take to become the job's message."""

log = structlog.get_logger("mynah.board")


class Board:
    """Edits by the bot's token only: that of an interaction dies after 15 minutes."""

    def __init__(self, *, database: Database, queue: JobQueue, poster: Poster, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._database = database
        self._jobs = JobStore(database)
        self._queue = queue
        self._poster = poster
        self._clock = clock
        self._interval_s = interval_s
        self._news: dict[int, Progress | None] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._without_reply: set[int] = set()
        """Jobs whose message the reply to a command does not become."""

    async def adopt(self, job: Job, message_id: int) -> None:
        """This message shows the job from now on."""
        async with self._database.transaction() as tx:
            await self._jobs.set_message(tx, job.id, message_id)
        self.show(job)

    def post(self, job: Job) -> None:
        """The job gets a message of its own, at once: it began by another way than a command in its channel."""
        self._without_reply.add(job.id)
        self.show(job)

    def show(self, job: Job, progress: Progress | None = None) -> None:
        """There is news of a job; of what comes within the interval the newest is shown."""
        if job.guild_id == 0:  # asked for at the shell
            return
        self._news[job.id] = progress
        if job.id not in self._tasks:
            self._tasks[job.id] = task = asyncio.create_task(self._keep(job.id), name=f"board-{job.id}")
            task.add_done_callback(partial(self._kept, job.id))

    async def show_queue(self) -> None:
        """A job began or ended, so the others have moved up."""
        for job in await self._jobs.in_state("queued"):
            self.show(job)

    def close(self) -> None:
        """Edit nothing more."""
        for task in self._tasks.values():
            task.cancel()

    def _kept(self, job_id: int, task: asyncio.Task[None]) -> None:
        del self._tasks[job_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job's message could not be kept", job=job_id, exc_info=error)

    async def _keep(self, job_id: int) -> None:
        while job_id in self._news:
            progress = self._news.pop(job_id)
            try:
                shown = await self._update(job_id, progress)
            except Later:
                shown = False
            except Refused as refusal:
                log.warning("a job's message cannot be shown", job=job_id, reason=str(refusal))
                shown = True
            if shown:
                self._without_reply.discard(job_id)
            else:
                self._news.setdefault(job_id, progress)
            await asyncio.sleep(self._interval_s)

    async def _update(self, job_id: int, progress: Progress | None) -> bool:
        """Edit the job's message, or send it anew when it is gone. False: to be tried again."""
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        if progress is not None:
            job = replace(job, progress=asdict(progress))
        if job.message_id is None and job.id not in self._without_reply and self._clock.now() - job.created_at < REPLY_GRACE:
            return False
        message = messages.job(job, await self._queue.place(job) if job.state == "queued" else None)
        if job.message_id is not None and await self._poster.edit(job.channel_id, job.message_id, message):
            return True
        if job.is_open:  # of its end the result tells
            message_id = await self._poster.send(job.channel_id, message, nonce=f"{job.id}:{job.message_id or 0}")
            async with self._database.transaction() as tx:
                await self._jobs.set_message(tx, job.id, message_id)
        return True
