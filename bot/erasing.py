"""Erasing: messages whose words were forgotten are deleted at Discord, one after the other, in the background. Knows no Discord.

A message that is gone already is as good. One that the bot may not delete, or whose channel is closed to it, counts as out of reach.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog

from bot.clock import Clock
from bot.outbox import Later, Refused
from storage.database import Database
from storage.privacy import ErasureMessage, ErasureStore

LOOK_S = 30.0
"""So soon a message is noticed that turned out to stand in its channel, in seconds."""
LONGEST_WAIT_S = 300.0
"""Between two tries while Discord does not answer, in seconds: doubled with each, unless Discord asks for more."""
_AT_ONCE = 100

log = structlog.get_logger("mynah.erasing")


class Remover(Protocol):
    """Who can delete messages: `bot.posting.Poster`."""

    async def attached(self) -> None:
        """Return once Discord can be asked."""

    async def erase(self, channel_id: int, message_id: int, recipient_id: int | None) -> None:
        """Delete a message; does nothing when it is gone. `recipient_id`: to whom alone it went.

        Raises:
            Refused: Discord does not let the bot.
            Later: it cannot be done now.
        """


class Eraser:
    """Deletes what is to be deleted."""

    def __init__(self, *, database: Database, clock: Clock, remover: Remover, first_wait_s: float = 1.0) -> None:
        self._database, self._clock, self._remover, self._first_wait_s = database, clock, remover, first_wait_s
        self._store = ErasureStore(database)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to delete."""
        self._wake.set()

    async def run(self) -> None:
        """Work for ever, from the moment on at which Discord can be asked."""
        await self._remover.attached()
        while True:
            self._wake.clear()
            await self.work()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):  # wait_for of Python 3.11 can miss that it was cancelled
                    await self._wake.wait()

    async def work(self) -> None:
        """Delete until nothing is due."""
        while messages := await self._store.messages(limit=_AT_ONCE):
            for message in messages:
                await self._erase(message)
        if await self._store.is_any_open():
            async with self._database.transaction() as tx:
                await self._store.finish(tx, self._clock.now())

    async def _erase(self, message: ErasureMessage) -> None:
        wait_s = self._first_wait_s
        while True:
            try:
                await self._remover.erase(message.channel_id, message.message_id, message.recipient_id)
            except Later as later:
                await asyncio.sleep(max(wait_s, later.wait_s))
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            except Refused as refusal:
                log.warning("a forgotten post is out of reach", channel=message.channel_id, message=message.message_id, reason=str(refusal))
                return await self._settle(message, gone=False)
            else:
                return await self._settle(message, gone=True)

    async def _settle(self, message: ErasureMessage, *, gone: bool) -> None:
        async with self._database.transaction() as tx:
            await self._store.settle(tx, message, "gone" if gone else "unreachable")
