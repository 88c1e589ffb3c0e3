"""A scheduler on a database, as one start of the bot has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.config import Settings
from bot.schedules import Scheduler
from storage.characters import CharacterStore
from storage.database import Database
from storage.posts import Post, PostStore
from storage.schedules import Schedule
from tests.clock import ManualClock

START = datetime(2026, 3, 1, tzinfo=UTC)


class Station:
    """A scheduler on a database, as one start of the bot has them."""

    def __init__(self, database: Database, clock: ManualClock, character_id: int, **limits: Any) -> None:
        self.database, self.clock, self.character_id = database, clock, character_id
        self.woken = 0
        self.scheduler = Scheduler(database=database, clock=clock, settings=Settings(_env_file=None, **limits), wake_poster=self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def add(self, cron: str, zone: str = "UTC", **changes: Any) -> Schedule:
        values = {"guild_id": 7, "channel_id": 8, "character_id": self.character_id, "prompt": "Today", "created_by": 9}
        return await self.scheduler.add(cron=cron, zone=zone, **{**values, **changes})

    async def posts(self) -> list[Post]:
        return await PostStore(self.database).due()

    async def fired(self, zone: str = "UTC") -> list[str]:
        """The slots that were posted, as the wall clock of that zone shows them."""
        return [f"{slot_of(post).astimezone(ZoneInfo(zone)):%a %d %H:%M}" for post in await self.posts()]

    async def pass_time(self, span: timedelta, step: timedelta = timedelta(minutes=10)) -> None:
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.set(self.clock.now() + step)
            await self.scheduler.tick()


def slot_of(post: Post) -> datetime:
    return datetime.fromisoformat(post.dedupe_key.split(":", 2)[2])


@asynccontextmanager
async def station(home: Path, clock: ManualClock, **limits: Any) -> AsyncIterator[Station]:
    database = await Database.open(home / "mynah.sqlite3")
    try:
        async with database.transaction() as tx:
            heron = await CharacterStore(database).ensure(tx, guild_id=7, handle="heron", name="Heron", created_by=9, now=START)
        yield Station(database, clock, heron.id, **limits)
    finally:
        await database.close()
