"""The rules by which the outbox is delivered: each post at most once, in order, one at a time in a channel. Knows no Discord.

A post goes `pending → sending → sent`. `sending` is committed before the request leaves. A post found in that state, after a crash or
after an answer that never came, may stand in the channel or not: it is looked for there first, and sent again only when it is absent.

    answer                          state after it
    sent                            sent
    a refusal (Refused)             failed
    not now (Later)                 pending, tried again
    none, or an error of Discord's  stays sending → after `settle_s` the channel is read: there → sent, not there → pending,
                                    not to be read → unknown, and never sent again by itself: a person is asked (doubts.py)

A post that is forgotten while it is on its way has lost its words and stays until it is known what became of it: then its message, if
there is one, is to be deleted (`erasing.py`), and nothing is left of it here.

A post of a schedule that could not be delivered within the schedule's grace is dropped when there is a newer one, or when the schedule
skips what is late: after days without Discord nobody gets them all.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from bot.clock import Clock
from bot.doubts import Doubts
from bot.errors import MynahError, NotFound
from bot.messages import Message
from bot.notices import Notices
from storage.database import Database
from storage.errors import StorageProblem
from storage.posts import Post, PostStore
from storage.privacy import ErasureStore
from storage.schedules import ScheduleStore

OPEN = ("due", "pending", "sending")
SETTLE_S = 5.0
"""How long Discord may take to show a message whose request ended without an answer, in seconds."""
FIRST_WAIT_S = 0.25
REST_S = 60.0
"""After an error of our own, in seconds."""
LONGEST_WAIT_S = 60.0
"""Between two tries, in seconds: doubled with each, unless Discord asks for more."""

log = structlog.get_logger("mynah.outbox")

FillDue = Callable[[Post], Awaitable[Post | None]]


class Refused(Exception):
    """Discord will never take this post. The message is a sentence for the person."""


class Later(Exception):
    """The request was not carried out, and may be sent again after `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s} s")
        self.wait_s = wait_s


class Unanswered(Exception):
    """The request left and no clear answer came."""


class Unreadable(Exception):
    """The channel cannot be read, so nobody can tell whether a post stands there."""


class Outbox(ABC):
    """Delivers posts as they become due or pending, those of one lane (a channel, or one person) in order."""

    def __init__(self, *, database: Database, clock: Clock, fill_due: FillDue, settle_s: float = SETTLE_S) -> None:
        self._database = database
        self._clock = clock
        self._fill_due = fill_due
        self._settle_s = settle_s
        self._posts, self._schedules, self._erasures = PostStore(database), ScheduleStore(database), ErasureStore(database)
        self.notices = Notices(database=database)
        self.doubts = Doubts(database=database, clock=clock)
        self.forgotten: Callable[[], None] = lambda: None
        """Called when it has turned out what became of a post that was forgotten on its way; set by the eraser."""
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._channels: dict[int, asyncio.Task[None]] = {}

    @abstractmethod
    async def prepare(self, post: Post, message: Message) -> None:
        """What must be done before `transmit`, and may be repeated.

        Raises:
            Refused, Later: as their names say.
        """

    @abstractmethod
    async def transmit(self, post: Post, message: Message) -> int:
        """Send the message once and return its id. Any error but the first two leaves the outcome unknown.

        Raises:
            Refused, Later: the message was certainly not sent.
            Unanswered: it may have been.
        """

    @abstractmethod
    async def find(self, post: Post, message: Message) -> int | None:
        """The id of the message if it stands in the channel.

        Raises:
            Refused: the channel is gone, and what was in it.
            Later: the channel cannot be read at the moment.
            Unreadable: the channel may not be read.
        """

    def wake(self) -> None:
        """There may be something to deliver."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._start_channels()
                await self._wake.wait()
        finally:
            for task in self._channels.values():
                task.cancel()
            await asyncio.gather(*self._channels.values(), return_exceptions=True)

    async def get(self, post_id: int, *, guild_id: int) -> Post:
        """A post of a server.

        Raises:
            NotFound: it has none of that number.
        """
        post = await self._posts.get(post_id)
        if post is None or post.guild_id != guild_id:
            raise NotFound(f"There is no post {post_id} in this server.")
        return post

    async def delivered(self, post_ids: Sequence[int], timeout_s: float) -> list[Post]:
        """The posts once all of them are delivered or given up, or as they stand after `timeout_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                while any(post.state in OPEN for post in await self._read(post_ids)):
                    await self._changed.wait()
        return await self._read(post_ids)

    async def _read(self, post_ids: Sequence[int]) -> list[Post]:
        found = [await self._posts.get(post_id) for post_id in post_ids]
        return [post for post in found if post is not None]

    async def _open_posts(self) -> list[Post]:
        found = [*await self._posts.due(), *await self._posts.in_state("pending"), *await self._posts.in_state("sending")]
        return sorted(found, key=lambda post: post.id)

    async def _start_channels(self) -> None:
        await self.doubts.ask()
        for channel_id in {post.lane for post in await self._open_posts()}:
            if channel_id not in self._channels:
                task = asyncio.create_task(self._deliver_channel(channel_id), name=f"outbox-{channel_id}")
                self._channels[channel_id] = task
                task.add_done_callback(partial(self._channel_done, channel_id))

    def _channel_done(self, channel_id: int, task: asyncio.Task[None]) -> None:
        del self._channels[channel_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, StorageProblem):
                log.error("delivery rests in a channel: the database could not be used", channel=channel_id, reason=str(error))
            else:
                log.error("delivery stopped in a channel for a minute, or until the next post", channel=channel_id, exc_info=error)
            asyncio.get_running_loop().call_later(REST_S, self._wake.set)
        else:
            self._wake.set()  # a post may have come between the task's last look and its end

    async def _deliver_channel(self, channel_id: int) -> None:
        """Deliver what is open in one channel, oldest first, until nothing is."""
        waits = 0
        while post := next((post for post in await self._open_posts() if post.lane == channel_id), None):
            try:
                await self._deliver(post)
            except Later as later:
                waits += 1
                log.info("a post has to wait", post=post.id, channel=channel_id, wait_s=later.wait_s)
                await asyncio.sleep(max(later.wait_s, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**waits)))
            else:
                waits = 0
            async with self._changed:
                self._changed.notify_all()

    async def _deliver(self, post: Post) -> None:
        """Bring a post one state further."""
        if await self._is_stale(post):
            late = round((self._clock.now() - post.created_at).total_seconds() / 60)
            await self._settle(post, "failed", error=f"It was dropped: it could not be delivered in time, and is {late} minutes late.")
            return
        match post.state:
            case "due":
                await self._fill(post)
            case "pending":
                await self._send(post, Message.from_dict(post.message or {}))
            case _:
                await self._reconcile(post, Message.from_dict(post.message or {}))

    async def _is_stale(self, post: Post) -> bool:
        """Whether a slot's post has waited for Discord for so long that it is not wanted any more."""
        if post.kind != "schedule" or post.state == "sending":
            return False
        schedule = await self._schedules.get(post.schedule_id) if post.schedule_id else None
        if self._clock.now() - post.created_at <= timedelta(seconds=schedule.grace_s if schedule else 0):
            return False
        return schedule is None or schedule.policy == "skip" or await self._posts.newest_of(schedule.id) > post.id

    async def _fill(self, post: Post) -> None:
        try:
            filled = await self._fill_due(post)
        except Exception as error:  # one post that cannot be made must not hold up its channel
            log.exception("a due post could not be made", post=post.id)
            await self._settle(
                post, "failed", error=str(error) if isinstance(error, MynahError) else "Something went wrong; the log says what."
            )
            return
        if filled is None and post in await self._posts.due():
            await self._settle(post, "failed", error="There was nothing to post.")

    async def _send(self, post: Post, message: Message) -> None:
        try:
            await self.prepare(post, message)
            async with self._database.transaction() as tx:
                if not await self._posts.mark_sending(tx, post.id, self._clock.now()):
                    return
            await self._transmit(post, message)
        except Refused as refusal:
            await self._settle(post, "failed", error=str(refusal), tell=True)

    async def _transmit(self, post: Post, message: Message) -> None:
        try:
            message_id = await self.transmit(post, message)
        except Later:
            await self._settle(post, "pending")
            raise
        except Refused:
            raise
        except Unanswered as lost:
            log.warning("no clear answer to a post: looking whether it is there", post=post.id, channel=post.channel_id, reason=str(lost))
        except Exception:  # whatever else happens once the request may have left says nothing about its outcome
            log.warning("no clear answer to a post: looking whether it is there", post=post.id, channel=post.channel_id, exc_info=True)
        else:
            await self._settle(post, "sent", message_id=message_id)

    async def _reconcile(self, post: Post, message: Message) -> None:
        """Find out what became of a request whose answer was never seen."""
        await asyncio.sleep(self._settle_s)
        try:
            message_id = await self.find(post, message)
        except Refused as refusal:
            await self._settle(post, "failed", error=str(refusal), tell=True)
        except Unreadable as reason:
            await self._settle(post, "unknown", error=str(reason))
        else:
            await self._settle(post, "pending" if message_id is None else "sent", message_id=message_id)

    async def _settle(self, post: Post, state: str, *, message_id: int | None = None, error: str = "", tell: bool = False) -> None:
        """Write down what became of it; with `tell` the one whom a failure concerns is told."""
        async with self._database.transaction() as tx:
            current = await self._posts.get(post.id)
            forgotten = current is not None and current.erasure_id is not None
            match state, message_id:
                case _ if current is not None and forgotten:
                    await self._erasures.settle_post(tx, current, message_id, unreadable=state == "unknown")
                case "sent", int(known_id):
                    await self._posts.mark_sent(tx, post.id, known_id, self._clock.now())
                case "pending", _:
                    await self._posts.mark_pending(tx, post.id)
                case "unknown", _:
                    await self._posts.mark_unknown(tx, post.id, error)
                case _:
                    if await self._posts.mark_failed(tx, post.id, error) and tell:
                        await self.notices.promise(tx, post, error, self._clock.now())
        if forgotten:
            self.forgotten()
        if state in ("failed", "unknown"):
            self._wake.set()  # somebody may have to be told or asked
        log.info("post", id=post.id, channel=post.channel_id, state=state, **({"error": error} if error else {}))
