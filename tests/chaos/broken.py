"""Outboxes that are wrong in the two ways in which outboxes usually are. The harness must catch both."""

from collections.abc import Callable

from bot.messages import Message
from bot.outbox import Outbox
from storage.posts import Post


async def _post_then_mark(self: Outbox, post: Post, message: Message) -> None:
    """Nothing is written before the request leaves: after a crash it is sent again."""
    await self.prepare(post, message)
    message_id = await self.transmit(post, message)
    async with self._database.transaction() as tx:
        await self._posts.mark_sending(tx, post.id, self._clock.now())
        await self._posts.mark_sent(tx, post.id, message_id, self._clock.now())


async def _never_look(self: Outbox, post: Post, message: Message) -> None:
    """What may have been sent is taken for sent."""
    await self._settle(post, "sent", message_id=1)


def post_then_mark() -> None:
    Outbox._send = _post_then_mark  # type: ignore[method-assign]


def mark_and_never_look() -> None:
    Outbox._reconcile = _never_look  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], None]] = {"post, then mark": post_then_mark, "mark, and never look": mark_and_never_look}
