"""The outbox: every message that was promised, and what became of it.

    due ──► pending ──► sending ──► sent ──► deleted
     │         │           ├──► pending   (refused for now, or found absent when reconciled)
     └─────────┴──► failed ┴──► unknown   (whether it arrived cannot be told)

`sending` is written before the request leaves: found at a start, its outcome is unknown and is looked up, never guessed. An `unknown` post
is left alone until a person says: it is there (`sent`, without a message id), or post it again (`pending`).
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.database import Database, Transaction
from storage.times import from_text, to_text

PostKind = Literal["say", "schedule", "result", "question", "notice"]
"""A question asks what became of an unknown post; a notice tells one person of a post that failed."""
PostState = Literal["due", "pending", "sending", "sent", "failed", "unknown", "deleted"]


@dataclass(frozen=True)
class Post:
    """The columns are explained in the migration."""

    id: int
    dedupe_key: str
    kind: PostKind
    guild_id: int
    channel_id: int
    state: PostState
    message: dict[str, Any] | None
    nonce: str
    character_id: int | None
    model_id: int | None
    job_id: int | None
    schedule_id: int | None
    prompt: str | None
    seed: int | None
    text: str | None
    why: dict[str, Any] | None
    message_id: int | None
    error: str | None
    created_by: int
    created_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    recipient_id: int | None
    about_id: int | None
    handle: str | None = None
    erasure_id: int | None = None

    @property
    def lane(self) -> int:
        """Posts of one lane go out in order, one at a time: those of a channel, and those to one person."""
        return self.recipient_id or self.channel_id

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Post":
        times = {name: from_text(row[name]) for name in ("created_at", "sending_at", "sent_at")}
        parsed = {name: None if row[name] is None else json.loads(row[name]) for name in ("message", "why")}
        return cls(**{**dict(row), **times, **parsed})


class PostStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self,
        tx: Transaction,
        *,
        dedupe_key: str,
        kind: PostKind,
        guild_id: int,
        channel_id: int,
        created_by: int,
        now: datetime,
        state: PostState = "pending",
        message: Mapping[str, object] | None = None,
        character_id: int | None = None,
        model_id: int | None = None,
        job_id: int | None = None,
        schedule_id: int | None = None,
        prompt: str | None = None,
        seed: int | None = None,
        text: str | None = None,
        why: Mapping[str, object] | None = None,
        recipient_id: int | None = None,
        about_id: int | None = None,
    ) -> Post | None:
        """Promise a message. None: the dedupe key is known, so it is promised already."""
        nonce = hashlib.sha256(dedupe_key.encode()).hexdigest()[:25]
        row = await tx.fetch_one(
            """INSERT INTO posts (dedupe_key, kind, guild_id, channel_id, state, message, nonce, character_id, model_id, job_id,
                                  schedule_id, prompt, seed, text, why, created_by, created_at, recipient_id, about_id)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe_key) DO NOTHING RETURNING *""",
            (
                dedupe_key,
                kind,
                guild_id,
                channel_id,
                state,
                _json(message),
                nonce,
                character_id,
                model_id,
                job_id,
                schedule_id,
                prompt,
                seed,
                text,
                _json(why),
                created_by,
                to_text(now),
                recipient_id,
                about_id,
            ),
        )
        return None if row is None else Post.from_row(row)

    async def get(self, post_id: int) -> Post | None:
        return await self._one("SELECT * FROM posts WHERE id = ?", (post_id,))

    async def by_dedupe_key(self, key: str) -> Post | None:
        return await self._one("SELECT * FROM posts WHERE dedupe_key = ?", (key,))

    async def at_message(self, guild_id: int, message_id: int) -> Post | None:
        """What a server's character said in that message."""
        return await self._one(
            "SELECT * FROM posts WHERE guild_id = ? AND message_id = ? AND kind IN ('say', 'schedule')", (guild_id, message_id)
        )

    async def due(self) -> list[Post]:
        """Those that have to be spoken or rendered first, oldest first."""
        return await self.in_state("due")

    async def in_state(self, state: PostState) -> list[Post]:
        """Oldest first."""
        return await self._many("SELECT * FROM posts WHERE state = ? ORDER BY id", (state,))

    async def unknown_in(self, guild_id: int) -> list[Post]:
        """Those of a server of which nobody knows whether they arrived, oldest first."""
        return await self._many(
            "SELECT * FROM posts WHERE guild_id = ? AND state = 'unknown' AND kind NOT IN ('question', 'notice') ORDER BY id", (guild_id,)
        )

    async def newest_of(self, schedule_id: int, *, sent: bool = False) -> int:
        """Id of the schedule's newest post, or of the newest that arrived; 0 without one."""
        rows = await self._database.fetch_all(
            "SELECT coalesce(max(id), 0) AS id FROM posts WHERE schedule_id = ? AND (? = 0 OR state IN ('sent', 'deleted'))",
            (schedule_id, int(sent)),
        )
        return int(rows[0]["id"])

    async def recent_texts(self, character_id: int, limit: int) -> list[str]:
        """What the character said and was sent, newest first."""
        rows = await self._database.fetch_all(
            "SELECT text FROM posts WHERE character_id = ? AND state = 'sent' AND text IS NOT NULL ORDER BY id DESC LIMIT ?",
            (character_id, limit),
        )
        return [row["text"] for row in rows]

    async def message_ids(self, channel_id: int, limit: int) -> set[int]:
        """The messages in a channel that are known to be posts, the newest of them."""
        rows = await self._database.fetch_all(
            """SELECT message_id FROM posts WHERE channel_id = ? AND state IN ('sent', 'deleted') AND message_id IS NOT NULL
               ORDER BY id DESC LIMIT ?""",
            (channel_id, limit),
        )
        return {row["message_id"] for row in rows}

    async def fill(
        self,
        tx: Transaction,
        post_id: int,
        *,
        message: Mapping[str, object],
        character_id: int | None,
        model_id: int | None,
        prompt: str | None,
        seed: int | None,
        text: str | None,
        why: Mapping[str, object] | None,
    ) -> bool:
        """Give a due post its words, so that it can be sent. False: it is not due."""
        done = await tx.execute(
            """UPDATE posts SET state = 'pending', message = ?, character_id = ?, model_id = ?, prompt = ?, seed = ?, text = ?, why = ?
               WHERE id = ? AND state = 'due'""",
            (_json(message), character_id, model_id, prompt, seed, text, _json(why), post_id),
        )
        return done.rowcount == 1

    async def mark_sending(self, tx: Transaction, post_id: int, now: datetime) -> bool:
        """To be committed before the request leaves. False: it is not pending."""
        done = await tx.execute(
            "UPDATE posts SET state = 'sending', sending_at = ? WHERE id = ? AND state = 'pending'", (to_text(now), post_id)
        )
        return done.rowcount == 1

    async def mark_sent(self, tx: Transaction, post_id: int, message_id: int, now: datetime) -> bool:
        """Discord has it. False: it was not on its way."""
        done = await tx.execute(
            """UPDATE posts SET state = 'sent', message_id = ?, sent_at = ?, error = NULL
               WHERE id = ? AND state IN ('sending', 'unknown')""",
            (message_id, to_text(now), post_id),
        )
        return done.rowcount == 1

    async def mark_pending(self, tx: Transaction, post_id: int) -> bool:
        """It surely did not arrive and is to be sent again. False: it was not on its way."""
        done = await tx.execute(
            "UPDATE posts SET state = 'pending', sending_at = NULL, error = NULL WHERE id = ? AND state IN ('sending', 'unknown')",
            (post_id,),
        )
        return done.rowcount == 1

    async def mark_failed(self, tx: Transaction, post_id: int, error: str) -> bool:
        """It cannot be spoken or was refused for good. False: it is sent already."""
        done = await tx.execute(
            "UPDATE posts SET state = 'failed', error = ? WHERE id = ? AND state IN ('due', 'pending', 'sending', 'unknown')",
            (error, post_id),
        )
        return done.rowcount == 1

    async def mark_unknown(self, tx: Transaction, post_id: int, error: str) -> bool:
        """Whether it arrived cannot be told. False: it was not on its way."""
        done = await tx.execute("UPDATE posts SET state = 'unknown', error = ? WHERE id = ? AND state = 'sending'", (error, post_id))
        return done.rowcount == 1

    async def confirm(self, tx: Transaction, post_id: int, now: datetime) -> bool:
        """A person has seen that an unknown post is there. False: it is not unknown."""
        done = await tx.execute(
            "UPDATE posts SET state = 'sent', sent_at = ?, error = NULL WHERE id = ? AND state = 'unknown'", (to_text(now), post_id)
        )
        return done.rowcount == 1

    async def repeat(self, tx: Transaction, post_id: int) -> bool:
        """A person wants an unknown post sent again. False: it is not unknown."""
        done = await tx.execute(
            "UPDATE posts SET state = 'pending', sending_at = NULL, error = NULL WHERE id = ? AND state = 'unknown'", (post_id,)
        )
        return done.rowcount == 1

    async def again(self, tx: Transaction, dedupe_key: str) -> bool:
        """What has failed is wanted all the same, now that its channel takes it. False: it has not failed, or was never promised."""
        done = await tx.execute(
            "UPDATE posts SET state = 'pending', sending_at = NULL, error = NULL WHERE dedupe_key = ? AND state = 'failed'", (dedupe_key,)
        )
        return done.rowcount == 1

    async def mark_deleted(self, tx: Transaction, post_id: int) -> bool:
        """It was taken back. False: it is on its way, or deleted already."""
        done = await tx.execute("UPDATE posts SET state = 'deleted' WHERE id = ? AND state NOT IN ('sending', 'deleted')", (post_id,))
        return done.rowcount == 1

    async def _one(self, sql: str, parameters: Sequence[object] = ()) -> Post | None:
        row = await self._database.fetch_one(sql, parameters)
        return None if row is None else Post.from_row(row)

    async def _many(self, sql: str, parameters: Sequence[object] = ()) -> list[Post]:
        return [Post.from_row(row) for row in await self._database.fetch_all(sql, parameters)]


def _json(value: Mapping[str, object] | None) -> str | None:
    return None if value is None else json.dumps(dict(value), ensure_ascii=False)
