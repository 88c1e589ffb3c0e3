"""The one writing connection: transactions under a lock, reads that never see half of one, backups.

SQLite allows one writer, and a second writing connection can damage the file in the versions that are in use; so there is one
connection, one transaction at a time, and a lock on the file.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aiosqlite

from storage import lock
from storage.copies import copy, uri
from storage.errors import Busy, StorageProblem, understood
from storage.migrate import check, prepare

SQLITE = sqlite3.sqlite_version
"""Which SQLite this is."""
T = TypeVar("T")
Parameters = Sequence[object] | Mapping[str, object]


@dataclass(frozen=True)
class Executed:
    """What a statement did."""

    rowcount: int
    lastrowid: int | None


class Transaction:
    """What may be done inside `Database.transaction()`. Await nothing else in there: everybody waits for its end."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection: aiosqlite.Connection | None = connection

    async def execute(self, sql: str, parameters: Parameters = ()) -> Executed:
        """Run one statement that returns no rows."""
        async with self._open().execute(sql, parameters) as cursor:
            return Executed(cursor.rowcount, cursor.lastrowid)

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """Run one statement, such as an INSERT … RETURNING, and give its first row."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """Run one statement and give its rows."""
        return list(await self._open().execute_fetchall(sql, parameters))

    def end(self) -> None:
        """A statement after the end would belong to nobody's transaction."""
        self._connection = None

    def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise RuntimeError("this transaction has ended")
        return self._connection


class Database:
    """An open database."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, file_lock: int | None) -> None:
        self.path = path
        self.boot_id = uuid4().hex
        """Differs at every opening: a running job of another boot id has lost its bot."""
        self._connection = connection
        self._file_lock = file_lock
        self._turn = asyncio.Lock()
        self._inside: asyncio.Task[Any] | None = None

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False, before: Callable[[], None] | None = None) -> "Database":
        """Open, and make or migrate the file first; with `read_only` neither, which works beside a running bot.

        `before` is called in a thread, under the lock, when nobody has looked at the file yet: it may put another in its place.

        Raises:
            InUse, Newer, Corrupt, StorageProblem: as their sentences say.
        """
        if read_only:
            await asyncio.to_thread(check, path)
            return cls(path, await _connect(path, read_only=True), None)
        path.parent.mkdir(parents=True, exist_ok=True)
        file_lock = lock.acquire(path)
        try:
            if before is not None:
                await _to_the_end(asyncio.to_thread(before))
            await _to_the_end(asyncio.to_thread(prepare, path))
            return cls(path, await _connect(path, read_only=False), file_lock)
        except BaseException:
            lock.release(file_lock)
            raise

    async def close(self) -> None:
        """Close, after the transaction that is under way. An unclosed connection's thread keeps the process from ending."""
        async with self._turn:
            await _to_the_end(self._connection.close())
            if self._file_lock is not None:
                lock.release(self._file_lock)
                self._file_lock = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back when anything is raised in it, cancellation included.

        Raises:
            Busy, Full: as their sentences say; nothing was changed.
        """
        if self._inside is asyncio.current_task():
            raise RuntimeError("a transaction inside a transaction")
        async with self._turn:
            self._inside = asyncio.current_task()
            transaction = Transaction(self._connection)
            try:
                with understood():
                    async with self._begun():
                        yield transaction
            finally:
                transaction.end()
                self._inside = None

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[None]:
        try:
            await _to_the_end(self._connection.execute_fetchall("BEGIN IMMEDIATE"))
            yield
            await _to_the_end(self._connection.commit())
        except BaseException:
            await _to_the_end(self._connection.rollback())  # does nothing when nothing is open
            raise

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """Read. Waits for the transaction that is under way; inside one's own transaction it sees that."""
        if self._inside is asyncio.current_task():
            return list(await self._connection.execute_fetchall(sql, parameters))
        async with self._turn:
            with understood():
                return list(await self._connection.execute_fetchall(sql, parameters))

    async def compact(self) -> None:
        """Write the file anew, so that nothing of what was deleted is left in it or in the files beside it. Everybody waits meanwhile.

        Raises:
            Busy: another program reads it; Full: it needs its own size twice more for that. What was deleted stays deleted.
            StorageProblem: there is no place for what SQLite writes meanwhile.
        """
        try:
            async with self._turn:
                with understood():
                    await _to_the_end(self._connection.execute_fetchall("VACUUM"))
                    (row,) = await _to_the_end(self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))
        except sqlite3.Error as error:
            raise StorageProblem(f"{self.path} could not be written anew: {error}.") from error
        if row[0]:
            raise Busy

    async def backup(self, target: Path) -> None:
        """Write a checked copy of the whole database to `target`, while it is in use.

        Raises:
            StorageProblem: the copy is not sound, or there is no room; `target` is as it was then.
        """
        await asyncio.to_thread(copy, self.path, target)


async def _connect(path: Path, *, read_only: bool) -> aiosqlite.Connection:
    try:
        with understood():
            return await _connected(path, read_only=read_only)
    except sqlite3.OperationalError as error:
        raise StorageProblem(f"{path} cannot be opened: {error}.") from error


async def _connected(path: Path, *, read_only: bool) -> aiosqlite.Connection:
    connection = await (aiosqlite.connect(uri(path), uri=True) if read_only else aiosqlite.connect(path, isolation_level=None))
    try:
        connection.row_factory = sqlite3.Row
        await connection.execute_fetchall("PRAGMA busy_timeout = 10000")
        if not read_only:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
            await connection.execute_fetchall("PRAGMA synchronous = FULL")
            await connection.execute_fetchall("PRAGMA foreign_keys = ON")
            await connection.execute_fetchall("PRAGMA secure_delete = ON")
    except BaseException:
        await connection.close()
        raise
    return connection


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait until the work is done even if this task is cancelled meanwhile; be cancelled only then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # seen: the cancellation is what is raised
    raise cancelled
