"""Whose tweets they are, and what people have said about that: consents, opt-outs, what was forgotten, reports.

Of an account that nobody may train on, or that was forgotten, a digest is kept and no name. Making digests is the application's.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.database import Database, Transaction
from storage.posts import Post
from storage.times import from_text, to_text
from storage.trainings import Basis

SALTS = "privacy_salts"
"""Key of a fact: what digests are salted with, between spaces. The first is for new ones; others have come with a restored backup."""

_OF = "instr('+' || handle || '+', '+' || ? || '+') > 0"
"""Condition of a row whose handle is this account's, alone or in a mash-up."""

Statement = Literal["own", "manager", "operator"]
"""Why somebody may have a name forgotten: it is theirs or they act for its owner · they manage the server, and it is forgotten there
only · they run this bot."""


@dataclass(frozen=True)
class Consent:
    """The columns are explained in the migration."""

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    handle: str
    basis: Basis
    job_id: int | None
    given_at: datetime


@dataclass(frozen=True)
class OptOut:
    digest: str
    user_id: int
    created_at: datetime


@dataclass(frozen=True)
class Erasure:
    """Something that was forgotten."""

    id: int
    digest: str
    guild_id: int
    user_id: int
    statement: Statement
    receipt: dict[str, Any]
    """Numbers of what was deleted."""
    todo: dict[str, Any] | None
    """What is still to be deleted on the disk; None when that is done."""
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Erasure":
        parsed = {
            "receipt": json.loads(row["receipt"]),
            "todo": row["todo"] and json.loads(row["todo"]),
            "created_at": from_text(row["created_at"]),
            "finished_at": from_text(row["finished_at"]),
        }
        return cls(**{**dict(row), **parsed})


@dataclass(frozen=True)
class ErasureMessage:
    """A message that is to be deleted at Discord."""

    erasure_id: int
    channel_id: int
    message_id: int
    recipient_id: int | None


@dataclass(frozen=True)
class Report:
    """The columns are explained in the migration."""

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    handle: str | None
    post_id: int | None
    reason: str
    created_at: datetime


class PrivacyStore:
    """Consents, opt-outs and reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def salts(self) -> list[str]:
        """What digests are salted with; none yet where nobody has opted out or was forgotten."""
        row = await self._database.fetch_one("SELECT value FROM facts WHERE key = ?", (SALTS,))
        return row["value"].split() if row else []

    async def salt(self) -> str:
        """What new digests are salted with, made the first time."""
        known = await self.salts()
        if not known:
            async with self._database.transaction() as tx:
                await tx.execute("INSERT OR IGNORE INTO facts (key, value) VALUES (?, ?)", (SALTS, secrets.token_hex(16)))
            known = await self.salts()
        return known[0]

    async def add_salts(self, tx: Transaction, salts: Iterable[str]) -> None:
        """Keep those that came with an older database, after its own."""
        known = list(dict.fromkeys([*await self.salts(), *salts]))
        await tx.execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (SALTS, " ".join(known)))

    async def record(
        self,
        tx: Transaction,
        *,
        handle: str,
        basis: Basis,
        guild_id: int,
        channel_id: int,
        user_id: int,
        job_id: int | None,
        now: datetime,
    ) -> None:
        """Keep what somebody says entitles them."""
        await tx.execute(
            "INSERT INTO consents (guild_id, channel_id, user_id, handle, basis, job_id, given_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (guild_id, channel_id, user_id, handle, basis, job_id, to_text(now)),
        )

    async def consents(self, job_id: int) -> list[Consent]:
        """What was said for a job, in order."""
        rows = await self._database.fetch_all("SELECT * FROM consents WHERE job_id = ? ORDER BY id", (job_id,))
        return [Consent(**{**dict(row), "given_at": from_text(row["given_at"])}) for row in rows]

    async def opt_out(self, digest: str) -> OptOut | None:
        row = await self._database.fetch_one("SELECT * FROM opt_outs WHERE digest = ?", (digest,))
        return None if row is None else OptOut(row["digest"], row["user_id"], from_text(row["created_at"]))

    async def opt_outs(self) -> list[OptOut]:
        """Everybody who has opted out, in that order."""
        rows = await self._database.fetch_all("SELECT * FROM opt_outs ORDER BY created_at, digest")
        return [OptOut(row["digest"], row["user_id"], from_text(row["created_at"])) for row in rows]

    async def silence(self, tx: Transaction, handle: str, sentence: str) -> int:
        """Let no character of an account speak, and nothing leave any more that one has been called for; how many fell silent."""
        await tx.execute(
            f"""UPDATE posts SET state = 'failed', error = ? WHERE state IN ('due', 'pending')
                AND character_id IN (SELECT id FROM characters WHERE {_OF})""",  # noqa: S608 -- no input
            (sentence, handle),
        )
        done = await tx.execute(f"UPDATE characters SET silenced = ? WHERE silenced IS NULL AND {_OF}", (sentence, handle))  # noqa: S608
        return done.rowcount

    async def set_silence(self, tx: Transaction, character_id: int, sentence: str | None) -> None:
        """Why a character may not speak; None: it may."""
        await tx.execute("UPDATE characters SET silenced = ? WHERE id = ?", (sentence, character_id))

    async def add_opt_out(self, tx: Transaction, digest: str, *, user_id: int, now: datetime) -> bool:
        """False: it is known, and stays with whoever asked first."""
        done = await tx.execute(
            "INSERT INTO opt_outs (digest, user_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, user_id, to_text(now))
        )
        return done.rowcount == 1

    async def remove_opt_out(self, tx: Transaction, digest: str) -> bool:
        """False: there was none."""
        return (await tx.execute("DELETE FROM opt_outs WHERE digest = ?", (digest,))).rowcount == 1

    async def report(
        self,
        tx: Transaction,
        *,
        guild_id: int,
        channel_id: int,
        user_id: int,
        handle: str | None,
        post_id: int | None,
        reason: str,
        now: datetime,
    ) -> Report:
        """Keep a report."""
        rows = await tx.fetch_all(
            """INSERT INTO reports (guild_id, channel_id, user_id, handle, post_id, reason, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *""",
            (guild_id, channel_id, user_id, handle, post_id, reason, to_text(now)),
        )
        return Report(**{**dict(rows[0]), "created_at": from_text(rows[0]["created_at"])})


class ErasureStore:
    """What was forgotten, and the messages that are still to be deleted for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, tx: Transaction, *, digest: str, guild_id: int, user_id: int, statement: Statement, now: datetime) -> int:
        """Begin one; its id."""
        rows = await tx.fetch_all(
            """INSERT INTO erasures (digest, guild_id, user_id, statement, receipt, todo, created_at)
               VALUES (?, ?, ?, ?, '{}', '{}', ?) RETURNING id""",
            (digest, guild_id, user_id, statement, to_text(now)),
        )
        return int(rows[0]["id"])

    async def get(self, erasure_id: int) -> Erasure | None:
        row = await self._database.fetch_one("SELECT * FROM erasures WHERE id = ?", (erasure_id,))
        return None if row is None else Erasure.from_row(row)

    async def all(self) -> list[Erasure]:
        """Oldest first."""
        return [Erasure.from_row(row) for row in await self._database.fetch_all("SELECT * FROM erasures ORDER BY id")]

    async def unfinished(self) -> list[Erasure]:
        """Those of which something may still lie on the disk, oldest first."""
        rows = await self._database.fetch_all("SELECT * FROM erasures WHERE todo IS NOT NULL ORDER BY id")
        return [Erasure.from_row(row) for row in rows]

    async def write(self, tx: Transaction, erasure_id: int, *, receipt: Mapping[str, object], todo: Mapping[str, object] | None) -> None:
        """Keep how far it has come."""
        await tx.execute(
            "UPDATE erasures SET receipt = ?, todo = ? WHERE id = ?",
            (json.dumps(dict(receipt)), None if todo is None else json.dumps(dict(todo)), erasure_id),
        )

    async def messages(self, *, limit: int) -> list[ErasureMessage]:
        """Messages to be deleted, newest first: those are the ones that people see."""
        rows = await self._database.fetch_all(
            """SELECT erasure_id, channel_id, message_id, recipient_id FROM erasure_messages WHERE state = 'due'
               ORDER BY erasure_id, message_id DESC LIMIT ?""",
            (limit,),
        )
        return [ErasureMessage(**dict(row)) for row in rows]

    async def add_messages(self, tx: Transaction, erasure_id: int, messages: Iterable[tuple[int, int, int | None]]) -> None:
        """More messages that have to go: channel, message, and the person to whom alone it went."""
        listed = json.dumps(sorted(messages, key=lambda message: message[:2]))
        done = await tx.execute(
            """INSERT INTO erasure_messages (erasure_id, channel_id, message_id, recipient_id, state)
               SELECT ?1, value ->> 0, value ->> 1, value ->> 2, 'due' FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING""",
            (erasure_id, listed),
        )
        if done.rowcount:
            await tx.execute("UPDATE erasures SET finished_at = NULL WHERE id = ?", (erasure_id,))

    async def settle(self, tx: Transaction, message: ErasureMessage, state: Literal["gone", "unreachable"]) -> None:
        """Write down what became of one."""
        await tx.execute(
            "UPDATE erasure_messages SET state = ? WHERE erasure_id = ? AND channel_id = ? AND message_id = ?",
            (state, message.erasure_id, message.channel_id, message.message_id),
        )

    async def counts(self, erasure_id: int) -> dict[str, int]:
        """How many messages are due, gone and unreachable."""
        rows = await self._database.fetch_all(
            "SELECT state, count(*) AS n FROM erasure_messages WHERE erasure_id = ? GROUP BY state", (erasure_id,)
        )
        return {"due": 0, "gone": 0, "unreachable": 0} | {row["state"]: row["n"] for row in rows}

    async def look_again(self) -> None:
        """After a restore a post that was forgotten on its way is in doubt: it is looked for once more, and nobody is asked about it."""
        doubtful = "erasure_id IS NOT NULL AND state = 'unknown'"
        if await self._database.fetch_one(f"SELECT 1 FROM posts WHERE {doubtful} LIMIT 1"):  # noqa: S608 -- no input
            async with self._database.transaction() as tx:
                await tx.execute(f"UPDATE posts SET state = 'sending' WHERE {doubtful}")  # noqa: S608 -- no input

    async def settle_post(self, tx: Transaction, post: Post, message_id: int | None, *, unreadable: bool) -> None:
        """A post that was forgotten on its way: its message has to go where there is one, and is out of reach where nobody can tell."""
        assert post.erasure_id is not None  # noqa: S101  # only such are settled here
        if message_id is not None:
            await self.add_messages(tx, post.erasure_id, [(post.channel_id, message_id, post.recipient_id)])
        elif unreadable:
            await tx.execute(
                """INSERT INTO erasure_messages (erasure_id, channel_id, message_id, state) VALUES (?, ?, ?, 'unreachable')
                   ON CONFLICT DO NOTHING""",
                (post.erasure_id, post.channel_id, -post.id),
            )
        await tx.execute("DELETE FROM posts WHERE id = ?", (post.id,))

    async def is_any_open(self) -> bool:
        """Whether something is left to do for what was forgotten."""
        return await self._database.fetch_one("SELECT 1 FROM erasures WHERE finished_at IS NULL LIMIT 1") is not None

    async def finish(self, tx: Transaction, now: datetime) -> None:
        """Close those of which nothing is left to do; what is on its way to Discord counts as left."""
        await tx.execute(
            """UPDATE erasures SET finished_at = ? WHERE finished_at IS NULL AND todo IS NULL
               AND NOT EXISTS (SELECT 1 FROM erasure_messages WHERE erasure_id = erasures.id AND state = 'due')
               AND NOT EXISTS (SELECT 1 FROM posts WHERE posts.erasure_id = erasures.id)""",
            (to_text(now),),
        )
