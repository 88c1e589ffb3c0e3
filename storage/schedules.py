"""Schedules: the truth about when a character posts by itself."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage.database import Database, Transaction
from storage.times import from_text, to_text

Policy = Literal["once", "skip"]
"""What a slot that was missed by more than the grace gets: one late post, or none."""


@dataclass(frozen=True)
class Schedule:
    id: int
    guild_id: int
    channel_id: int
    character_id: int
    cron: str
    """Five fields, as cronsim reads them: weekday 1 is Monday."""
    zone: str
    """IANA time zone."""
    prompt: str
    policy: Policy
    grace_s: int
    next_at: datetime
    """The next slot, UTC."""
    created_by: int
    created_at: datetime
    jitter_s: int
    """A post comes up to so many seconds after its slot."""
    quiet: str | None
    """HH:MM-HH:MM in the zone: no post comes then. None = none are quiet."""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Schedule":
        return cls(**{**dict(row), "next_at": from_text(row["next_at"]), "created_at": from_text(row["created_at"])})


class ScheduleStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self,
        tx: Transaction,
        *,
        guild_id: int,
        channel_id: int,
        character_id: int,
        cron: str,
        zone: str,
        prompt: str,
        policy: Policy,
        grace_s: int,
        next_at: datetime,
        created_by: int,
        now: datetime,
        jitter_s: int = 0,
        quiet: str | None = None,
    ) -> Schedule:
        rows = await tx.fetch_all(
            """INSERT INTO schedules (guild_id, channel_id, character_id, cron, zone, prompt, policy, grace_s, next_at, created_by,
                                      created_at, jitter_s, quiet)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *""",
            (
                guild_id,
                channel_id,
                character_id,
                cron,
                zone,
                prompt,
                policy,
                grace_s,
                to_text(next_at),
                created_by,
                to_text(now),
                jitter_s,
                quiet,
            ),
        )
        return Schedule.from_row(rows[0])

    async def get(self, schedule_id: int) -> Schedule | None:
        found = await self._many("SELECT * FROM schedules WHERE id = ?", (schedule_id,))
        return found[0] if found else None

    async def all(self) -> list[Schedule]:
        return await self._many("SELECT * FROM schedules ORDER BY id")

    async def due(self, now: datetime) -> list[Schedule]:
        """Those whose slot has come, earliest first."""
        return await self._many("SELECT * FROM schedules WHERE next_at <= ? ORDER BY next_at, id", (to_text(now),))

    async def earliest(self, after: datetime) -> datetime | None:
        """The next slot of all that comes after a moment."""
        rows = await self._database.fetch_all("SELECT min(next_at) AS earliest FROM schedules WHERE next_at > ?", (to_text(after),))
        earliest: str | None = rows[0]["earliest"]
        return from_text(earliest)

    async def advance(self, tx: Transaction, schedule_id: int, *, expected: datetime, next_at: datetime) -> bool:
        """Move on to `next_at`. False: the schedule is gone or its slot is not `expected` any more."""
        done = await tx.execute(
            "UPDATE schedules SET next_at = ? WHERE id = ? AND next_at = ?", (to_text(next_at), schedule_id, to_text(expected))
        )
        return done.rowcount == 1

    async def delete(self, tx: Transaction, schedule_id: int) -> bool:
        """False: there was none."""
        return (await tx.execute("DELETE FROM schedules WHERE id = ?", (schedule_id,))).rowcount == 1

    async def count(self, guild_id: int) -> int:
        rows = await self._database.fetch_all("SELECT count(*) AS n FROM schedules WHERE guild_id = ?", (guild_id,))
        return int(rows[0]["n"])

    async def _many(self, sql: str, parameters: Sequence[object] = ()) -> list[Schedule]:
        return [Schedule.from_row(row) for row in await self._database.fetch_all(sql, parameters)]

    # Last in the class: its name hides the type.
    async def list(self, guild_id: int) -> list[Schedule]:
        return await self._many("SELECT * FROM schedules WHERE guild_id = ? ORDER BY id", (guild_id,))
