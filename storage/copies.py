"""Whole copies of a database, taken while it is in use, and finding the newest good one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def uri(path: Path) -> str:
    """Where to open `path` for reading only."""
    return f"{path.resolve().as_uri()}?mode=ro"


def copy(path: Path, target: Path) -> None:
    """Write a checked, self-contained copy of `path` to `target`; nothing is there until it is whole.

    Raises:
        sqlite3.DatabaseError: when either file is damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.tmp")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(uri(path), uri=True)) as source, closing(sqlite3.connect(unfinished)) as made:
            source.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")
            problems = made.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problems != "ok" or made.execute("PRAGMA foreign_key_check").fetchone():
                raise sqlite3.DatabaseError(f"the copy of {path} is not sound: {problems}")
        _to_disk(unfinished)
        unfinished.rename(target)
        _to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def newest_good(path: Path, *, newest_version: int) -> Path | None:
    """The newest sound file in `backups/` beside `path` whose schema is at most `newest_version`."""
    found = sorted((path.parent / "backups").glob("*.db"), key=lambda file: file.stat().st_mtime, reverse=True)
    return next((file for file in found if _is_good(file, newest_version)), None)


def _is_good(file: Path, newest_version: int) -> bool:
    try:
        with closing(sqlite3.connect(uri(file), uri=True)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            return 0 < version <= newest_version and bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
