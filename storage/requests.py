"""Trainings that were asked for and may not begin yet: their member has to say something, or a manager has to approve.

asked ──► approval ──► accepted (a job has come of it)
  │           └──► denied
  └───────────┴──► withdrawn, expired, accepted
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from storage.database import Database, Transaction
from storage.times import from_text, to_text
from storage.trainings import Material, Training

Claim = Literal["own", "agreed", "public"]
"""What entitles a member: it is their account, its owner agreed, or it is an organisation, a bot or a fictional character."""
RequestState = Literal["asked", "approval", "accepted", "denied", "withdrawn", "expired"]


@dataclass(frozen=True)
class Request:
    """The columns are explained in the migration."""

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    handle: str
    training: Training
    basis: Claim | None
    state: RequestState
    dedupe_key: str
    decided_by: int | None
    created_at: datetime
    ended_at: datetime | None
    message_id: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in ("asked", "approval")

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Request":
        kept = json.loads(row["training"])
        training = Training(**{**kept, "materials": tuple(Material(**material) for material in kept["materials"])})
        times = {name: from_text(row[name]) for name in ("created_at", "ended_at")}
        return cls(**{**dict(row), **times, "training": training})


class RequestStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self,
        tx: Transaction,
        *,
        guild_id: int,
        channel_id: int,
        user_id: int,
        training: Training,
        basis: Claim | None,
        dedupe_key: str,
        now: datetime,
    ) -> Request | None:
        """Keep one, in the state `asked`. None: the dedupe key is known."""
        row = await tx.fetch_one(
            """INSERT INTO requests (guild_id, channel_id, user_id, handle, training, basis, state, dedupe_key, created_at)
               VALUES (?, ?, ?, ?, ?, ?, 'asked', ?, ?) ON CONFLICT (dedupe_key) DO NOTHING RETURNING *""",
            (
                guild_id,
                channel_id,
                user_id,
                training.handle,
                json.dumps(asdict(training), ensure_ascii=False),
                basis,
                dedupe_key,
                to_text(now),
            ),
        )
        return None if row is None else Request.from_row(row)

    async def get(self, request_id: int) -> Request | None:
        return await self._one("SELECT * FROM requests WHERE id = ?", (request_id,))

    async def by_dedupe_key(self, key: str) -> Request | None:
        return await self._one("SELECT * FROM requests WHERE dedupe_key = ?", (key,))

    async def open(self) -> list[Request]:
        """Those whose uploads are still needed, oldest first."""
        return await self._many("SELECT * FROM requests WHERE state IN ('asked', 'approval') ORDER BY id")

    async def to_approve(self, guild_id: int) -> list[Request]:
        """Those of a server that wait for a manager, oldest first."""
        return await self._many("SELECT * FROM requests WHERE guild_id = ? AND state = 'approval' ORDER BY id", (guild_id,))

    async def open_of(self, guild_id: int, user_id: int) -> list[Request]:
        """A member's open ones in a server, oldest first."""
        return await self._many(
            "SELECT * FROM requests WHERE guild_id = ? AND user_id = ? AND state IN ('asked', 'approval') ORDER BY id", (guild_id, user_id)
        )

    async def set_message(self, tx: Transaction, dedupe_key: str, message_id: int) -> None:
        """This message answers the command that asked for it."""
        await tx.execute("UPDATE requests SET message_id = ? WHERE dedupe_key = ?", (message_id, dedupe_key))

    async def declare(self, tx: Transaction, request_id: int, basis: Claim, state: Literal["asked", "approval"]) -> bool:
        """Keep what its member says. False: it is not `asked` any more."""
        done = await tx.execute("UPDATE requests SET basis = ?, state = ? WHERE id = ? AND state = 'asked'", (basis, state, request_id))
        return done.rowcount == 1

    async def end(
        self,
        tx: Transaction,
        request_id: int,
        state: Literal["accepted", "denied", "withdrawn", "expired"],
        *,
        now: datetime,
        by: int | None = None,
    ) -> bool:
        """Close it. False: it is closed already."""
        done = await tx.execute(
            "UPDATE requests SET state = ?, ended_at = ?, decided_by = ? WHERE id = ? AND state IN ('asked', 'approval')",
            (state, to_text(now), by, request_id),
        )
        return done.rowcount == 1

    async def _one(self, sql: str, parameters: Sequence[object] = ()) -> Request | None:
        row = await self._database.fetch_one(sql, parameters)
        return None if row is None else Request.from_row(row)

    async def _many(self, sql: str, parameters: Sequence[object] = ()) -> list[Request]:
        return [Request.from_row(row) for row in await self._database.fetch_all(sql, parameters)]
