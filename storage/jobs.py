"""The queue's jobs. A claim never deletes a row, and what a runner writes counts only while its attempt is the current one."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import inf, log
from pathlib import Path
from statistics import median
from typing import Any, Literal

from storage.database import Database, Transaction
from storage.times import from_text, to_text
from storage.trainings import Material, Training

JobState = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
OPEN: tuple[JobState, ...] = ("queued", "running", "waiting")
"""The states of a job that has not ended."""
_TIMES = ("created_at", "started_at", "waiting_since", "finished_at", "retry_at")
_NEAREST = 5
"""Past jobs that the time of a new one is learned from."""


@dataclass(frozen=True)
class Job:
    """The columns are explained in the migration."""

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    handle: str
    source_path: str
    file_name: str
    base: str
    base_name: str
    seed: int
    state: JobState
    dedupe_key: str
    attempt: int
    charged: int
    max_attempts: int
    owner: str | None
    progress: dict[str, Any] | None
    reason: str | None
    message_id: int | None
    model_id: int | None
    created_at: datetime
    started_at: datetime | None
    waiting_since: datetime | None
    finished_at: datetime | None
    preset: str
    priority: int
    source_bytes: int | None
    materials: tuple[Material, ...]
    """One, or two or three for a mash-up."""
    multilingual: str | None
    retry_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def handles(self) -> tuple[str, ...]:
        """Whose tweets."""
        return tuple(material.handle for material in self.materials)

    def path_of(self, material: Material) -> Path:
        """Where the file with its tweets lies, or is going to."""
        return Path(self.source_path).parent / material.path

    def is_due(self, now: datetime, *, usual: timedelta) -> bool:
        """Whether a waiting job has waited long enough: until `retry_at`, or else for the usual while.

        When the clock stands before the moment at which it began to wait, it was set back, and nobody knows how long that has been.
        """
        if self.waiting_since is None or now < self.waiting_since:
            return True
        return now >= (self.retry_at or self.waiting_since + usual)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Job":
        times = {name: from_text(row[name]) for name in _TIMES}
        progress = None if row["progress"] is None else json.loads(row["progress"])
        materials = tuple(Material(**fields) for fields in json.loads(row["materials"]))
        if not materials:  # a row of before there were other sources than files
            materials = (Material(row["handle"], "file", Path(row["source_path"]).name, row["file_name"]),)
        return cls(**{**dict(row), **times, "progress": progress, "materials": materials})


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's history."""

    at: datetime
    event: str
    detail: str | None


def claiming_order(queued: Sequence[Job], last_starts: Mapping[int, datetime]) -> list[Job]:
    """The order in which queued jobs are claimed.

    An attempt that was given back goes on first. Then the servers take turns: whose newest start lies furthest back is next. Within a
    server the highest priority goes first, then the oldest. `last_starts` has the newest start of each server that ever had one.
    """
    left = sorted(queued, key=lambda job: job.id)
    turns = {guild: (1, turn) for turn, guild in enumerate(sorted(last_starts, key=lambda guild: last_starts[guild]))}
    order: list[Job] = []
    while left:
        job = min(left, key=lambda job: (job.attempt <= job.charged, turns.get(job.guild_id, (0, 0)), -job.priority, job.id))
        left.remove(job)
        turns[job.guild_id] = (2, len(order))
        order.append(job)
    return order


def _distance(one: int | None, other: int | None) -> float:
    """How unlike two sizes are: the logarithm of how many times one is the other. A size that is unknown is unlike all."""
    return abs(log(max(one, 1) / max(other, 1))) if one is not None and other is not None else inf


def _json(materials: Sequence[Material]) -> str:
    return json.dumps([asdict(material) for material in materials], ensure_ascii=False)


class JobStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self,
        tx: Transaction,
        training: Training,
        *,
        guild_id: int,
        channel_id: int,
        user_id: int,
        dedupe_key: str,
        now: datetime,
        source_bytes: int | None = None,
    ) -> Job | None:
        """Queue one. None: the dedupe key is known.

        Raises:
            sqlite3.IntegrityError: when the server has an open job for that handle.
        """
        row = await tx.fetch_one(
            """INSERT INTO jobs (guild_id, channel_id, user_id, handle, source_path, file_name, base, base_name, seed, state,
                                 dedupe_key, created_at, preset, source_bytes, materials, multilingual)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?) ON CONFLICT (dedupe_key) DO NOTHING RETURNING *""",
            (
                guild_id,
                channel_id,
                user_id,
                training.handle,
                training.source_path,
                " and ".join(material.file_name for material in training.materials),
                training.base,
                training.base_name,
                training.seed,
                dedupe_key,
                to_text(now),
                training.preset,
                source_bytes,
                _json(training.materials),
                training.multilingual,
            ),
        )
        return None if row is None else Job.from_row(row)

    async def set_materials(self, tx: Transaction, job_id: int, materials: Sequence[Material], source_bytes: int) -> None:
        """Keep what the sources told of the accounts, and how large the files with their tweets are, in bytes."""
        await tx.execute("UPDATE jobs SET materials = ?, source_bytes = ? WHERE id = ?", (_json(materials), source_bytes, job_id))

    async def get(self, job_id: int) -> Job | None:
        return await self._one("SELECT * FROM jobs WHERE id = ?", (job_id,))

    async def by_dedupe_key(self, key: str) -> Job | None:
        return await self._one("SELECT * FROM jobs WHERE dedupe_key = ?", (key,))

    async def find_open(self, guild_id: int, handle: str) -> Job | None:
        return await self._one(
            "SELECT * FROM jobs WHERE guild_id = ? AND handle = ? AND state IN ('queued', 'running', 'waiting')", (guild_id, handle)
        )

    async def in_state(self, state: JobState) -> list[Job]:
        """Oldest first."""
        return await self._many("SELECT * FROM jobs WHERE state = ? ORDER BY id", (state,))

    async def count_open(self, *, guild_id: int, user_id: int | None = None) -> int:
        rows = await self._database.fetch_all(
            """SELECT count(*) AS n FROM jobs WHERE guild_id = ?1 AND (?2 IS NULL OR user_id = ?2)
               AND state IN ('queued', 'running', 'waiting')""",
            (guild_id, user_id),
        )
        return int(rows[0]["n"])

    async def in_line(self) -> list[Job]:
        """The jobs that run, then the queued ones in claiming order."""
        return [*await self.in_state("running"), *await self._claimable()]

    async def claim(self, tx: Transaction, *, owner: str, now: datetime, job_id: int | None = None) -> Job | None:
        """Start the next attempt of the job whose turn it is, or of `job_id` if that is queued. None: nothing to do."""
        waiting = await self._claimable()
        chosen = next((job for job in waiting if job_id in (None, job.id)), None)
        if chosen is None:
            return None
        row = await tx.fetch_one(
            """UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = ?, started_at = ?, reason = NULL, progress = NULL,
                               retry_at = NULL
               WHERE id = ? RETURNING *""",
            (owner, to_text(now), chosen.id),
        )
        return None if row is None else Job.from_row(row)

    async def orphans(self, boot_id: str) -> list[Job]:
        """The jobs that another opening of the database was running: that bot is gone."""
        return await self._many("SELECT * FROM jobs WHERE state = 'running' AND owner <> ? ORDER BY id", (boot_id,))

    async def adopt(self, tx: Transaction, job_id: int, *, owner: str) -> None:
        """Go on with the running attempt of an orphan, whose worker or result is still there."""
        await tx.execute("UPDATE jobs SET owner = ? WHERE id = ? AND state = 'running'", (owner, job_id))

    async def requeue(
        self,
        tx: Transaction,
        job_id: int,
        *,
        charge: bool,
        reason: str | None,
        now: datetime,
        state: Literal["queued", "waiting"] = "queued",
        retry_at: datetime | None = None,
    ) -> bool:
        """Put a running or waiting job back, with or without counting its attempt. False: it is neither."""
        done = await tx.execute(
            """UPDATE jobs SET state = ?, charged = charged + ?, reason = ?, owner = NULL, progress = NULL, waiting_since = ?, retry_at = ?
               WHERE id = ? AND state IN ('running', 'waiting')""",
            (state, int(charge), reason, to_text(now) if state == "waiting" else None, retry_at and to_text(retry_at), job_id),
        )
        return done.rowcount == 1

    async def finish(
        self,
        tx: Transaction,
        job_id: int,
        *,
        state: Literal["succeeded", "failed", "cancelled"],
        now: datetime,
        attempt: int,
        reason: str | None = None,
        model_id: int | None = None,
    ) -> bool:
        """End it. False: superseded, it does not run under that attempt. Only cancelling ends a job that does not run."""
        done = await tx.execute(
            """UPDATE jobs SET state = ?1, finished_at = ?2, reason = ?3, model_id = ?4, owner = NULL, waiting_since = NULL, retry_at = NULL
               WHERE id = ?5 AND attempt = ?6
               AND (state = 'running' OR ?1 = 'cancelled' AND state IN ('queued', 'waiting'))""",
            (state, to_text(now), reason, model_id, job_id, attempt),
        )
        return done.rowcount == 1

    async def save_progress(self, tx: Transaction, job_id: int, progress: Mapping[str, object]) -> None:
        """Keep the newest progress of a running job."""
        await tx.execute(
            "UPDATE jobs SET progress = ? WHERE id = ? AND state = 'running'", (json.dumps(dict(progress), ensure_ascii=False), job_id)
        )

    async def set_message(self, tx: Transaction, job_id: int, message_id: int) -> None:
        """Remember the message in the channel that shows its progress."""
        await tx.execute("UPDATE jobs SET message_id = ? WHERE id = ?", (message_id, job_id))

    async def put_first(self, tx: Transaction, job_id: int) -> bool:
        """Let a queued job go before the other queued ones of its server. False: it is not queued."""
        done = await tx.execute(
            """UPDATE jobs SET priority = (SELECT max(other.priority) + 1 FROM jobs AS other
                                           WHERE other.guild_id = jobs.guild_id AND other.state = 'queued')
               WHERE id = ? AND state = 'queued'""",
            (job_id,),
        )
        return done.rowcount == 1

    async def typical_seconds(self, base_name: str, preset: str, source_bytes: int | None) -> float | None:
        """Wall time that such a job takes, learned from past ones on that base with that preset; None: there is none.

        The median of the five whose files are nearest in size among the last 50 that succeeded at once: a second attempt goes on from a
        checkpoint, and takes less.
        """
        rows = await self._database.fetch_all(
            """SELECT started_at, finished_at, source_bytes FROM jobs
               WHERE state = 'succeeded' AND attempt = 1 AND base_name = ? AND preset = ? ORDER BY id DESC LIMIT 50""",
            (base_name, preset),
        )
        near = sorted(rows, key=lambda row: _distance(row["source_bytes"], source_bytes))[:_NEAREST]
        took = [(from_text(row["finished_at"]) - from_text(row["started_at"])).total_seconds() for row in near]
        return median(took) if took else None

    async def record(self, tx: Transaction, job_id: int, event: str, detail: str | None, now: datetime) -> None:
        """Add a line to its history."""
        await tx.execute("INSERT INTO job_events (job_id, at, event, detail) VALUES (?, ?, ?, ?)", (job_id, to_text(now), event, detail))

    async def events(self, job_id: int) -> list[JobEvent]:
        """Its history, oldest first."""
        rows = await self._database.fetch_all("SELECT at, event, detail FROM job_events WHERE job_id = ? ORDER BY id", (job_id,))
        return [JobEvent(from_text(row["at"]), row["event"], row["detail"]) for row in rows]

    async def _claimable(self) -> list[Job]:
        queued = await self.in_state("queued")
        rows = await self._database.fetch_all(
            "SELECT guild_id, max(started_at) AS newest FROM jobs WHERE started_at IS NOT NULL GROUP BY guild_id"
        )
        return claiming_order(queued, {row["guild_id"]: from_text(row["newest"]) for row in rows})

    async def _one(self, sql: str, parameters: Sequence[object]) -> Job | None:
        row = await self._database.fetch_one(sql, parameters)
        return None if row is None else Job.from_row(row)

    async def _many(self, sql: str, parameters: Sequence[object]) -> list[Job]:
        return [Job.from_row(row) for row in await self._database.fetch_all(sql, parameters)]

    # Last in the class: its name hides the type.
    async def list(self, guild_id: int | None, limit: int = 25) -> list[Job]:
        """Newest first; of every server when `guild_id` is None."""
        return await self._many("SELECT * FROM jobs WHERE ?1 IS NULL OR guild_id = ?1 ORDER BY id DESC LIMIT ?2", (guild_id, limit))
