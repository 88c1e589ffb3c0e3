"""Requests: trainings that may not begin yet, because their member or a manager has to say something first. Knows no Discord.

Nothing is fetched and nothing is queued for a request. A request that is answered becomes a job under the request's own dedupe key, so that
an answer which is given twice, or again after a crash, gives one job.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from bot import questions
from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput, NotAllowed, NotFound
from bot.jobs import JobQueue, Queued
from bot.moderation import Moderation
from bot.uploads import Uploads
from storage.database import Database, Transaction
from storage.guilds import GuildSettings
from storage.jobs import JobStore
from storage.posts import PostStore
from storage.requests import Claim, Request, RequestStore
from storage.trainings import Training

KEPT = timedelta(days=7)
"""A request without an answer is dropped after so long, and what was uploaded for it deleted."""
LOOK_S = 3600.0
"""Between two looks for those, in seconds."""

log = structlog.get_logger("mynah.requests")


class Requests:
    """What members ask for, until it is queued, refused or forgotten about."""

    def __init__(
        self, *, database: Database, queue: JobQueue, uploads: Uploads, settings: Settings, clock: Clock, wake_poster: Callable[[], None]
    ) -> None:
        self._database = database
        self._requests, self._jobs, self._posts = RequestStore(database), JobStore(database), PostStore(database)
        self._queue, self._uploads, self._settings, self._clock = queue, uploads, settings, clock
        self._wake_poster = wake_poster
        self._turn = asyncio.Lock()
        """Two answers to one request come one after the other."""
        self.moderation = Moderation(database=database, clock=clock, wake_poster=wake_poster)

    async def begin(
        self,
        training: Training,
        *,
        guild_id: int,
        channel_id: int,
        user_id: int,
        dedupe_key: str,
        basis: Claim | None,
        confirm: bool,
        manages: bool,
    ) -> Request | Queued:
        """What comes of a wish: a job, or a request that somebody has to answer first.

        Its member is asked when `basis` is None or with `confirm`; `manages` says that they need no manager's approval.

        Raises:
            NotAllowed: it is not taken. Nothing stays of it.
        """
        request = await self.ask(training, guild_id=guild_id, channel_id=channel_id, user_id=user_id, dedupe_key=dedupe_key, basis=basis)
        if request.training != training:  # the same command was delivered twice
            self._uploads.discard(Path(training.source_path))
        if basis is None or confirm:
            return request
        try:
            return await self.declare(request.id, basis, guild_id=guild_id, user_id=user_id, manages=manages)
        except NotAllowed:
            await self.withdraw(request.id, guild_id=guild_id)
            raise

    async def ask(
        self, training: Training, *, guild_id: int, channel_id: int, user_id: int, dedupe_key: str, basis: Claim | None = None
    ) -> Request:
        """Keep what a member wants until they have said what entitles them, or have confirmed it.

        A member has as many open requests as they may have unfinished jobs: a newer question takes the place of the oldest.

        Raises:
            NotAllowed: as many of theirs wait for a manager.
        """
        async with self._turn, self._database.transaction() as tx:
            known = await self._requests.by_dedupe_key(dedupe_key)
            if known is not None:
                return known
            replaced = await self._replaced(tx, guild_id, user_id, training.handle)
            request = await self._requests.insert(
                tx,
                guild_id=guild_id,
                channel_id=channel_id,
                user_id=user_id,
                training=training,
                basis=basis,
                dedupe_key=dedupe_key,
                now=self._clock.now(),
            )
        if request is None:
            raise RuntimeError(f"{dedupe_key} was neither found nor inserted")
        for old in replaced:
            self._discard(old)
        return request

    async def shown(self, dedupe_key: str, message_id: int) -> None:
        """This message tells of the wish with that key, so it goes when its account is forgotten."""
        async with self._database.transaction() as tx:
            await self._requests.set_message(tx, dedupe_key, message_id)

    async def get(self, request_id: int, *, guild_id: int) -> Request:
        """A request of that server.

        Raises:
            NotFound: it has none of that number.
        """
        request = await self._requests.get(request_id)
        if request is None or request.guild_id != guild_id:
            raise NotFound("This question is not known any more: ask again with /train.")
        return request

    async def declare(self, request_id: int, basis: Claim | None, *, guild_id: int, user_id: int, manages: bool) -> Request | Queued:
        """Its member says what entitles them, or confirms with None what they said before.

        A request that a manager has to approve comes back; any other is queued.

        Raises:
            NotFound, BadInput: there is no such open request.
            NotAllowed: somebody else asked for it, or the queue does not take it now.
        """
        async with self._turn:
            request = await self._open(request_id, guild_id)
            if request.user_id != user_id:
                raise NotAllowed(f"Only <@{request.user_id}>, who asked for it, can answer this.")
            if request.state == "approval":
                return request
            claim = basis or request.basis
            if claim is None:
                raise BadInput("Say first what entitles you: press one of the other buttons.")
            settings = await self.moderation.get(guild_id)
            waits = settings.approval and not manages
            async with self._database.transaction() as tx:
                await self._requests.declare(tx, request.id, claim, "approval" if waits else "asked")
                declared = await self.get(request_id, guild_id=guild_id)
                if waits:
                    await self._ask_managers(tx, declared, settings)
            return declared if waits else await self._accept(declared, by=None)

    async def approve(self, request_id: int, *, guild_id: int, by: int) -> Queued:
        """A manager lets it begin.

        Raises:
            NotFound, BadInput: there is no such open request, or its member has not answered yet.
            NotAllowed: the queue does not take it now.
        """
        async with self._turn:
            request = await self._to_approve(request_id, guild_id)
            try:
                return await self._accept(request, by=by)
            except NotAllowed as error:  # its sentence is meant for the one who asked
                raise NotAllowed(f"<@{request.user_id}> cannot have it now: {error}") from error

    async def deny(self, request_id: int, *, guild_id: int, by: int) -> Request:
        """A manager does not; the one who asked is told in their channel.

        Raises:
            NotFound, BadInput: as `approve`.
        """
        async with self._turn:
            request = await self._to_approve(request_id, guild_id)
            async with self._database.transaction() as tx:
                await self._requests.end(tx, request.id, "denied", now=self._clock.now(), by=by)
                await self._posts.insert(
                    tx,
                    dedupe_key=f"request:{request.id}:denied",
                    kind="notice",
                    guild_id=guild_id,
                    channel_id=request.channel_id,
                    created_by=0,
                    now=self._clock.now(),
                    message=questions.denied(request).to_dict(),
                )
        self._discard(request)
        self._wake_poster()
        log.info("request denied", id=request.id, by=by)
        return request

    async def withdraw(self, request_id: int, *, guild_id: int) -> Request:
        """It is not wanted any more.

        Raises:
            NotFound, BadInput: there is no such open request.
        """
        async with self._turn:
            request = await self._open(request_id, guild_id)
            async with self._database.transaction() as tx:
                await self._requests.end(tx, request.id, "withdrawn", now=self._clock.now())
        self._discard(request)
        return request

    async def waiting(self, guild_id: int) -> list[Request]:
        """Those that a manager of the server has to decide about, oldest first."""
        return await self._requests.to_approve(guild_id)

    async def set_moderation(self, guild_id: int, *, channel_id: int | None, approval: bool | None, by: int) -> GuildSettings:
        """Change what is not None; what waits for a manager is asked again where the channel is another, or did not take the question.

        Raises:
            BadInput: as `Moderation.set`.
        """
        settings = await self.moderation.set(guild_id, channel_id=channel_id, approval=approval, by=by)
        async with self._database.transaction() as tx:
            for request in await self._requests.to_approve(guild_id):
                await self._ask_managers(tx, request, settings)
        return settings

    async def expire(self) -> int:
        """Drop what nobody has answered for `KEPT`; how many."""
        dropped = 0
        async with self._turn:
            for request in await self._requests.open():
                # Stopped between the two steps of accepting it: the job has its upload.
                taken = await self._jobs.by_dedupe_key(request.dedupe_key) is not None
                if not taken and self._clock.now() - request.created_at < KEPT:
                    continue
                async with self._database.transaction() as tx:
                    await self._requests.end(tx, request.id, "accepted" if taken else "expired", now=self._clock.now())
                if not taken:
                    self._discard(request)
                    dropped += 1
        return dropped

    async def run(self) -> None:
        """Drop what is too old, for ever."""
        while True:
            await self.expire()
            await asyncio.sleep(LOOK_S)

    async def _accept(self, request: Request, *, by: int | None) -> Queued:
        if request.basis is None:
            raise RuntimeError(f"request {request.id} has no basis")
        queued = await self._queue.enqueue(
            request.training,
            guild_id=request.guild_id,
            channel_id=request.channel_id,
            user_id=request.user_id,
            dedupe_key=request.dedupe_key,
            basis=request.basis,
        )
        async with self._database.transaction() as tx:
            await self._requests.end(tx, request.id, "accepted", now=self._clock.now(), by=by)
        if queued.job.source_path != request.training.source_path:  # it joined a job that has its own
            self._discard(request)
        return queued

    async def _replaced(self, tx: Transaction, guild_id: int, user_id: int, handle: str) -> list[Request]:
        """Withdraw what a new request takes the place of."""
        theirs = await self._requests.open_of(guild_id, user_id)
        most = self._settings.jobs_per_member
        waiting = [request for request in theirs if request.state == "approval"]
        if len(waiting) >= most:
            raise NotAllowed(
                f"{len(waiting)} trainings that you asked for wait for a manager and {most} is the most: ask a manager to decide about one."
            )
        asked = [request for request in theirs if request.state == "asked"]
        room = most - len(waiting) - 1
        others = [request for request in asked if request.handle != handle]
        kept = others[-room:] if room else []
        replaced = [request for request in asked if request not in kept]
        for request in replaced:
            await self._requests.end(tx, request.id, "withdrawn", now=self._clock.now())
        return replaced

    async def _ask_managers(self, tx: Transaction, request: Request, settings: GuildSettings) -> None:
        key = f"request:{request.id}:approval:{settings.moderation_channel}"
        if await self._posts.again(tx, key):
            self._wake_poster()
        else:
            await self.moderation.tell(tx, request.guild_id, questions.approval(request), dedupe_key=key)

    async def _open(self, request_id: int, guild_id: int) -> Request:
        request = await self.get(request_id, guild_id=guild_id)
        if not request.is_open:
            raise BadInput(questions.closed(request))
        return request

    async def _to_approve(self, request_id: int, guild_id: int) -> Request:
        request = await self._open(request_id, guild_id)
        if request.state != "approval":
            raise BadInput(f"<@{request.user_id}> has not said yet what entitles them, so there is nothing to approve.")
        return request

    def _discard(self, request: Request) -> None:
        self._uploads.discard(Path(request.training.source_path))
