"""What must be set right in a backup before it takes the place of a database: it has forgotten what happened since it was made.

Posts that were to be sent may stand in their channels, slots may have been posted, jobs may have gone on or ended, and numbers may have
been given to others. All of it is one transaction in the copy, and may be repeated. Every statement works on every schema there ever was.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.copies import uri
from storage.database import Database
from storage.errors import StorageProblem, understood
from storage.facts import FactStore
from storage.times import to_text

ASIDE = "restored_aside"
"""Key of a fact: the folder into which the next start moves what no row refers to, where it would remove it otherwise."""
SETTLED = "restored_settled"
"""Key of a fact: JSON of what the last restore set right."""
HOME = "home"
"""Key of a fact: the MYNAH_HOME that rows mean where they name files."""
MARGIN = 1000
"""So many numbers are passed over where nobody knows which were given since the backup was made."""
LATER = datetime(9999, 1, 1, tzinfo=UTC)
"""No slot: the scheduler sets it right at its start, and posts none of those that have passed."""
_MOVES = tuple(
    f"UPDATE {table} SET {column} = ?2 || substr({column}, length(?1) + 1) WHERE substr({column}, 1, length(?1) + 1) = ?1 || '/'"  # noqa: S608
    for table, column in (("jobs", "source_path"), ("jobs", "base"), ("models", "base"))
)
_MOVE_REQUESTS = tuple(
    f"""UPDATE requests SET training = json_set(training, '$.{field}', ?2 || substr(training ->> '$.{field}', length(?1) + 1))
        WHERE substr(training ->> '$.{field}', 1, length(?1) + 1) = ?1 || '/'"""  # noqa: S608 -- no input
    for field in ("source_path", "base")
)
_NO_LONGER_KNOWN = "A backup was restored in which this was still to be posted: whether it has been since, nobody can tell."


@dataclass(frozen=True)
class OpenJob:
    """A job that had not ended when the backup was made."""

    id: int
    attempt: int
    files: tuple[Path, ...]
    """What was handed over for it; what is fetched can be fetched again."""
    room: Path
    """The folder in which they are, or come."""


@dataclass(frozen=True)
class Contents:
    """What the rows of a database name on the disk."""

    models: list[tuple[int, int]]
    """Character and version."""
    corpora: list[int]
    jobs: list[OpenJob]
    requests: list[Path]
    """Folders of trainings that wait for somebody's answer."""


@dataclass(frozen=True)
class Settled:
    """What was set right, as numbers of rows."""

    unknown: int
    """Posts of which nobody can tell whether they were sent."""
    dropped: int
    """Posts that had no words yet: slots that had come, and results that were to be told."""
    schedules: int
    """Schedules whose slot has passed."""
    failed_jobs: int
    """Jobs whose upload is gone: they have ended since, or their files are elsewhere."""
    open_jobs: int
    """Jobs that go on."""


def contents(path: Path) -> Contents:
    """What belongs to a database, read beside whoever uses it."""
    with closing(sqlite3.connect(uri(path), uri=True, timeout=10)) as connection:
        models = connection.execute("SELECT character_id, version FROM models ORDER BY 1, 2").fetchall()
        corpora = [number for (number,) in connection.execute("SELECT id FROM corpora ORDER BY 1")]
        tables = _tables(connection)
        connection.row_factory = sqlite3.Row
        jobs = connection.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running', 'waiting')").fetchall()
        asked = "SELECT training FROM requests WHERE state IN ('asked', 'approval')"
        requests = connection.execute(asked).fetchall() if "requests" in tables else []
    return Contents(models, corpora, [_open_job(row) for row in jobs], [_room(json.loads(row["training"])) for row in requests])


def _open_job(row: sqlite3.Row) -> OpenJob:
    room = Path(row["source_path"]).parent
    materials = json.loads(row["materials"]) if "materials" in row.keys() else []  # noqa: SIM118 -- a row is no mapping
    handed_over = [room / material["path"] for material in materials if material["source"] == "file"]
    return OpenJob(row["id"], row["attempt"], tuple(handed_over) if materials else (Path(row["source_path"]),), room)


def _room(training: dict[str, Any]) -> Path:
    return Path(training["source_path"]).parent


def fold(path: Path) -> bool:
    """Bring everything into the one file, which nobody writes to. False: it is damaged.

    Raises:
        StorageProblem: somebody uses it for longer than 10 seconds, or there is no room.
    """
    try:
        with understood(), closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            (held, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError:
        return False
    if held:
        raise StorageProblem("another program is reading the database")
    return True


async def settle_home(database: Database, home: Path) -> None:
    """At every start: let rows name files under `home` that were under another folder when they were written."""
    facts = FactStore(database)
    known = await facts.get(HOME)
    if known == str(home):
        return
    async with database.transaction() as tx:
        for statement in (*_MOVES, *_MOVE_REQUESTS) if known else ():
            await tx.execute(statement, (known, str(home)))
        await facts.put(tx, HOME, str(home))


def same_jobs(staged: Path, replaced: Path) -> set[int]:
    """The jobs that both know, so that a folder of that number is theirs; none where `replaced` cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(uri(staged), uri=True)) as connection:
        connection.execute("ATTACH DATABASE ? AS replaced", (uri(replaced),))
        rows = connection.execute("SELECT id FROM jobs JOIN replaced.jobs AS other USING (id, handle, created_at, dedupe_key)")
        return {number for (number,) in rows}
    return set()


def move(staged: Path, home: Path) -> None:
    """The same in a copy that nobody has open."""
    with closing(sqlite3.connect(staged, isolation_level=None)) as connection:
        known = connection.execute("SELECT value FROM facts WHERE key = ?", (HOME,)).fetchone()
        moves = (*_MOVES, *_MOVE_REQUESTS) if "requests" in _tables(connection) else _MOVES
        for statement in moves if known else ():
            connection.execute(statement, (known[0], str(home)))
        connection.execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (HOME, str(home)))


def settle(staged: Path, replaced: Path, *, failed: set[int], attempts: Mapping[int, int], aside: str, now: datetime) -> Settled:
    """Set the copy right.

    Args:
        staged: the copy that is going to be the database.
        replaced: the database in whose place it comes; may be missing or damaged.
        failed: open jobs whose upload is gone.
        attempts: the highest attempt of each open job that has left a folder.
        aside: name of the folder for what no row refers to.
        now: the moment of the restore.
    """
    given = _numbers(replaced)
    with closing(sqlite3.connect(staged, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        facts = dict(connection.execute("SELECT key, value FROM facts WHERE key IN (?, ?)", (ASIDE, SETTLED)))
        if facts.get(ASIDE) == aside:  # this was done, and then the process was killed
            return Settled(**json.loads(facts[SETTLED]))
        settled = Settled(
            unknown=_count(
                connection, "UPDATE posts SET state = 'unknown', error = ? WHERE state IN ('pending', 'sending')", _NO_LONGER_KNOWN
            ),
            dropped=_count(connection, "UPDATE posts SET state = 'failed', error = ? WHERE state = 'due'", _NO_LONGER_KNOWN),
            schedules=_count(connection, "UPDATE schedules SET next_at = ? WHERE next_at <= ?", to_text(LATER), to_text(now)),
            failed_jobs=sum(_fail(connection, job, now) for job in failed),
            open_jobs=sum(_go_on(connection, job, attempts.get(job)) for job in _open(connection) - failed),
        )
        _carry_spending(connection, _spending(replaced))
        for table, number in connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            after = number + MARGIN if given is None else max(number, given.get(table, 0))
            connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (after, table))
        for table in set(given or {}) - {name for (name,) in connection.execute("SELECT name FROM sqlite_sequence")}:
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, (given or {})[table]))
        connection.execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (ASIDE, aside))
        connection.execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (SETTLED, json.dumps(asdict(settled))))
        connection.execute("COMMIT")
    return settled


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _numbers(path: Path) -> dict[str, int] | None:
    """The highest number ever given in each table; None where that cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(uri(path), uri=True)) as connection:
        return dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    return None


def _spending(path: Path) -> list[tuple[object, ...]]:
    """What was spent in each month, as a database knows it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(uri(path), uri=True)) as connection:
        return connection.execute("SELECT month, posts, users, usd FROM spending").fetchall()
    return []


def _carry_spending(connection: sqlite3.Connection, months: list[tuple[object, ...]]) -> None:
    """Money that has gone since the backup was made does not come back with it. A copy of before there was any is left as it is."""
    if "spending" in _tables(connection):
        connection.executemany(
            """INSERT INTO spending (month, posts, users, usd) VALUES (?, ?, ?, ?) ON CONFLICT (month) DO UPDATE
               SET posts = max(posts, excluded.posts), users = max(users, excluded.users), usd = max(usd, excluded.usd)""",
            months,
        )


def _count(connection: sqlite3.Connection, statement: str, *parameters: object) -> int:
    return connection.execute(statement, parameters).rowcount


def _open(connection: sqlite3.Connection) -> set[int]:
    return {number for (number,) in connection.execute("SELECT id FROM jobs WHERE state IN ('queued', 'running', 'waiting')")}


def _fail(connection: sqlite3.Connection, job: int, now: datetime) -> int:
    reason = (
        "A backup was restored in which this training had not ended; its file is gone since: upload it again if the character is missing."
    )
    done = _count(
        connection,
        "UPDATE jobs SET state = 'failed', reason = ?, finished_at = ?, owner = NULL, waiting_since = NULL WHERE id = ?",
        reason,
        to_text(now),
        job,
    )
    connection.execute("INSERT INTO job_events (job_id, at, event, detail) VALUES (?, ?, 'failed', ?)", (job, to_text(now), reason))
    return done


def _go_on(connection: sqlite3.Connection, job: int, attempt: int | None) -> int:
    """Attempts that were made since are not made again under the same number: their folders are there."""
    if attempt is not None:
        connection.execute(
            "UPDATE jobs SET state = 'queued', attempt = ?1, owner = NULL, waiting_since = NULL WHERE id = ?2 AND attempt < ?1",
            (attempt, job),
        )
    return 1
