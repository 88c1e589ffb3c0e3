"""What X charged for, by month: the row of a month only grows."""

import sqlite3
from dataclasses import dataclass

from storage.database import Database, Transaction


@dataclass(frozen=True)
class Month:
    """The columns are explained in the migration."""

    month: str
    posts: int
    users: int
    usd: float

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Month":
        return cls(**dict(row))


class SpendingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, month: str) -> Month:
        """What was spent in a month such as 2026-11."""
        row = await self._database.fetch_one("SELECT * FROM spending WHERE month = ?", (month,))
        return Month(month, 0, 0, 0.0) if row is None else Month.from_row(row)

    async def add(self, tx: Transaction, month: str, *, posts: int, users: int, usd: float) -> None:
        """Add to it."""
        await tx.execute(
            """INSERT INTO spending (month, posts, users, usd) VALUES (?, ?, ?, ?) ON CONFLICT (month)
               DO UPDATE SET posts = posts + excluded.posts, users = users + excluded.users, usd = usd + excluded.usd""",
            (month, posts, users, usd),
        )
