"""What forgets, as the program has it that has just opened the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.app import open_database
from bot.forgetting import Forgetting
from bot.privacy import Privacy
from storage.database import Database
from tests.forgotten_home import ALICE, CLOCK, GUILD


@dataclass
class Mind:
    """What forgets."""

    database: Database
    privacy: Privacy
    forgetting: Forgetting
    renewed: list[None]

    async def forget(self, handle: str = "heron", **changes: Any) -> Any:
        CLOCK.advance(1)
        return await self.forgetting.forget(handle, **{"guild_id": GUILD, "user_id": ALICE, "statement": "own", **changes})

    async def look(self, sql: str) -> list[Any]:
        return [row[0] if len(row) == 1 else tuple(row) for row in await self.database.fetch_all(sql)]


def mind_of(database: Database) -> Mind:
    privacy = Privacy(database=database, clock=CLOCK)
    renewed: list[None] = []

    async def renew() -> None:
        renewed.append(None)

    return Mind(database, privacy, Forgetting(database=database, clock=CLOCK, privacy=privacy, renew=renew), renewed)


@asynccontextmanager
async def mind(home: Path) -> AsyncIterator[Mind]:
    """As the program has it that has just opened the database."""
    database = await open_database(home, CLOCK)
    try:
        yield mind_of(database)
    finally:
        await database.close()
