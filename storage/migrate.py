"""Bringing a database file to the newest schema: `migrations/NNNN_*.sql`, each in one transaction with its number.

A migration that is stopped half-way leaves the version before it. A file is copied to `backups/` before it is changed.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from storage.copies import copy_before, newest_good, uri
from storage.errors import Corrupt, Newer, Older, StorageProblem, understood

MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(path: Path, migrations: Path = MIGRATIONS) -> None:
    """Check the file, or make it, and bring it to the newest schema. The caller holds the lock.

    Raises:
        Corrupt: the file is damaged.
        Newer: it has a schema that this code does not know.
        Busy, Full: as their sentences say.
        StorageProblem: it cannot be opened or written.
    """
    steps = _steps(migrations)
    try:
        path.touch(mode=0o600)
        with understood(), closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            version = _checked_version(connection, path, known=len(steps))
            if 0 < version < len(steps):
                copy_before(path, datetime.now(UTC), version + 1)
            for number, script in enumerate(steps[version:], start=version + 1):
                _apply(connection, number, script)
    except (sqlite3.OperationalError, OSError) as error:
        raise StorageProblem(f"{path} cannot be opened or brought up to date: {error}.") from error


def check(path: Path, migrations: Path = MIGRATIONS) -> None:
    """Check that the file can be read as it is.

    Raises:
        Older, Newer: it is of another version.
        StorageProblem: it is missing, damaged, or cannot be read.
    """
    known = len(_steps(migrations))
    if not path.is_file():
        raise StorageProblem(f"There is no database at {path} yet: start the bot or train a character first.")
    try:
        with understood(), closing(sqlite3.connect(uri(path), uri=True, timeout=10)) as connection:
            version = _checked_version(connection, path, known=known)
    except sqlite3.OperationalError as error:
        raise StorageProblem(f"{path} cannot be read: {error}.") from error
    if version < known:
        raise Older(path, version, known)


def newest_version() -> int:
    """The schema that this code makes."""
    return len(_steps(MIGRATIONS))


def _steps(migrations: Path) -> list[str]:
    files = sorted(migrations.glob("*.sql"))
    numbers = [int(file.name[:4]) for file in files]
    if numbers != list(range(1, len(files) + 1)):
        raise ValueError(f"the migrations are numbered {numbers}, not one by one from 1")
    return [file.read_text(encoding="utf-8") for file in files]


def _checked_version(connection: sqlite3.Connection, path: Path, *, known: int) -> int:
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # locked, unreadable or full: not damage
        raise
    except sqlite3.DatabaseError as error:
        raise Corrupt(path, str(error), newest_good(path, newest_version=known)) from error
    if verdict != "ok":
        raise Corrupt(path, verdict.splitlines()[-1], newest_good(path, newest_version=known))
    if version > known:
        raise Newer(path, version, known, newest_good(path, newest_version=known))
    return version


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    """Run one migration. Foreign keys are off here, so that it may rebuild tables; they are checked before the end."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};")
        _check_references(connection, number)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _check_references(connection: sqlite3.Connection, number: int) -> None:
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise sqlite3.OperationalError(f"migration {number} leaves rows that refer to nothing")
