"""What can be wrong with the database file. Each message is one sentence for the operator, or for whoever asked."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StorageProblem(Exception):
    """The database cannot be opened, read or written."""


class InUse(StorageProblem):
    """Another process has the database open for writing."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is in use by {who}: only one Mynah may write it, so stop that one first.")


class Newer(StorageProblem):
    """The file was written by a newer Mynah."""

    def __init__(self, path: Path, found: int, known: int, backup: Path | None) -> None:
        super().__init__(
            f"{path} has schema {found} and this Mynah knows up to {known}: install the newer Mynah again, or {_go_back(path, backup)}."
        )


class Older(StorageProblem):
    """The file was written by an older Mynah, and is only to be read."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(f"{path} has schema {found} and this Mynah reads {known}: start the bot once to bring it up to date.")


class Corrupt(StorageProblem):
    """The file is damaged."""

    def __init__(self, path: Path, detail: str, backup: Path | None) -> None:
        super().__init__(f"{path} is damaged ({detail}): {_go_back(path, backup)}.")


class Busy(StorageProblem):
    """Another program holds the database, for longer than one waits."""

    def __init__(self) -> None:
        super().__init__(
            "The database was held by another program for 10 seconds, so nothing was changed: try again, "
            "and if it stays so the operator of this bot should end that program."
        )


class Full(StorageProblem):
    """There is no room to write."""

    def __init__(self) -> None:
        super().__init__("The disk is full, so nothing was changed: tell the operator of this bot to free some space, then try again.")


@contextmanager
def understood() -> Iterator[None]:
    """Turn those errors of SQLite that pass by themselves into Busy and Full. The transaction that meets one has changed nothing."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0)  # absent where the error is Python's own
        if code & 0xFF in _HELD:  # the low byte is the kind, the rest says more about it
            raise Busy from error
        if code in _NO_ROOM:
            raise Full from error
        raise


_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE)
"""What SQLite says when a file cannot grow: a full disk, a quota, a full disk under the file beside the database."""


def _go_back(path: Path, backup: Path | None) -> str:
    if backup is None:
        return f"go back to a backup of your own with: mynah restore BACKUP (there is no good one in {path.parent / 'backups'})"
    return f"go back to the newest good backup with: mynah restore {backup}"
