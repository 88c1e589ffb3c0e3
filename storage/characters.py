"""Characters: whom a server speaks to. Those of guild 0 were trained at the shell and are heard in every server."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from storage.database import Database, Transaction
from storage.times import from_text, to_text

SHELL = 0
"""The guild id of what was made at the shell."""


@dataclass(frozen=True)
class Character:
    id: int
    guild_id: int
    handle: str
    """How people call for it: whose tweets they are, no @, lower case; of a mash-up all handles with + between."""
    name: str
    """Display name, without the AI label."""
    active_model_id: int | None
    """The version that speaks; None until one is trained."""
    created_by: int
    created_at: datetime
    handles: tuple[str, ...]
    """Whose tweets it learned from."""
    avatar_url: str | None
    """The account's picture, where its source names one."""
    silenced: str | None
    """Why it may not speak: one sentence for people; None while it may."""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Character":
        return cls(**{**dict(row), "created_at": from_text(row["created_at"]), "handles": tuple(json.loads(row["handles"]))})


class CharacterStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, character_id: int) -> Character | None:
        row = await self._database.fetch_one("SELECT * FROM characters WHERE id = ?", (character_id,))
        return None if row is None else Character.from_row(row)

    async def find(self, guild_id: int, handle: str) -> Character | None:
        """The server's own, or else the shell's."""
        row = await self._database.fetch_one(
            "SELECT * FROM characters WHERE handle = ? AND guild_id IN (?, ?) ORDER BY guild_id = ? LIMIT 1",
            (handle, guild_id, SHELL, SHELL),
        )
        return None if row is None else Character.from_row(row)

    async def list_all(self) -> list[Character]:
        rows = await self._database.fetch_all("SELECT * FROM characters ORDER BY handle, guild_id")
        return [Character.from_row(row) for row in rows]

    async def ensure(self, tx: Transaction, *, guild_id: int, handle: str, name: str, created_by: int, now: datetime) -> Character:
        """The server's own of that handle, made if there is none."""
        await tx.execute(
            """INSERT INTO characters (guild_id, handle, handles, name, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT DO NOTHING""",
            (guild_id, handle, json.dumps(handle.split("+")), name, created_by, to_text(now)),
        )
        rows = await tx.fetch_all("SELECT * FROM characters WHERE guild_id = ? AND handle = ?", (guild_id, handle))
        return Character.from_row(rows[0])

    async def activate(
        self, tx: Transaction, character_id: int, model_id: int, *, name: str | None = None, avatar_url: str | None = None
    ) -> None:
        """Let that version speak, and take the display name and the picture that its tweets came with, where they did."""
        await tx.execute(
            """UPDATE characters SET active_model_id = ?, name = coalesce(?, name), avatar_url = coalesce(?, avatar_url), silenced = NULL
               WHERE id = ?""",
            (model_id, name, avatar_url, character_id),
        )

    async def delete(self, tx: Transaction, character_id: int) -> bool:
        """Delete it with its corpora, models and schedules; its jobs stay, and its posts, which know whose words they are. False: none."""
        await tx.execute("UPDATE posts SET handle = (SELECT handle FROM characters WHERE id = ?1) WHERE character_id = ?1", (character_id,))
        return (await tx.execute("DELETE FROM characters WHERE id = ?", (character_id,))).rowcount == 1

    # Last in the class: its name hides the type.
    async def list(self, guild_id: int) -> list[Character]:
        """The server's own and those of the shell that it has no own for, by handle."""
        rows = await self._database.fetch_all(
            """SELECT * FROM characters WHERE guild_id = ?1
               OR guild_id = ?2 AND handle NOT IN (SELECT handle FROM characters WHERE guild_id = ?1) ORDER BY handle""",
            (guild_id, SHELL),
        )
        return [Character.from_row(row) for row in rows]
