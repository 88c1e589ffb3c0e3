"""What the managers of a server have set."""

from dataclasses import dataclass
from datetime import datetime

from storage.database import Database, Transaction
from storage.times import from_text, to_text


@dataclass(frozen=True)
class GuildSettings:
    """The columns are explained in the migration."""

    guild_id: int
    moderation_channel: int | None
    approval: bool
    set_by: int
    set_at: datetime


class GuildStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, guild_id: int) -> GuildSettings | None:
        """None: nobody has set anything."""
        row = await self._database.fetch_one("SELECT * FROM guilds WHERE guild_id = ?", (guild_id,))
        if row is None:
            return None
        return GuildSettings(**{**dict(row), "approval": bool(row["approval"]), "set_at": from_text(row["set_at"])})

    async def put(self, tx: Transaction, settings: GuildSettings) -> None:
        """Keep these in place of the former ones."""
        await tx.execute(
            "INSERT OR REPLACE INTO guilds (guild_id, moderation_channel, approval, set_by, set_at) VALUES (?, ?, ?, ?, ?)",
            (settings.guild_id, settings.moderation_channel, int(settings.approval), settings.set_by, to_text(settings.set_at)),
        )
