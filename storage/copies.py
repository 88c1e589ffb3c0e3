"""Whole copies of a database, taken while it is in use: making them, keeping the newest, and finding the newest good one.

They lie in `backups/` beside the database and are named for when and why they were made, so that names sort by time:

    mynah-2026-11-21T071836Z-daily.db          the newest seven are kept
    mynah-2026-11-21T071836Z-before-0003.db    before migration 3; the newest is kept
    mynah-2026-11-21T071836Z.tar               what `mynah backup` makes: the database, as its first member, and the files that go with it
"""

import fcntl
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from storage.errors import StorageProblem, understood

KEPT = 7
_STAMP = "%Y-%m-%dT%H%M%SZ"
_DAILY = "daily"
_FORGOTTEN_S = 86400.0
T = TypeVar("T")


def uri(path: Path) -> str:
    """Where to open `path` for reading only."""
    return f"{path.resolve().as_uri()}?mode=ro"


def stamp(now: datetime) -> str:
    """A moment as it stands in names."""
    return now.astimezone(UTC).strftime(_STAMP)


def named(path: Path, now: datetime, why: str) -> Path:
    """Where a copy of `path` goes."""
    return path.parent / "backups" / f"{path.stem}-{stamp(now)}-{why}.db"


def newest_daily(path: Path) -> datetime | None:
    """When the newest daily copy was made, by its name."""
    for file in reversed(_of(path, _DAILY)):
        with suppress(ValueError):  # a name of somebody else's
            return datetime.strptime(file.name.split("-", 1)[1].removesuffix(f"-{_DAILY}.db"), _STAMP).replace(tzinfo=UTC)
    return None


def copy_daily(path: Path, now: datetime) -> Path:
    """Make the day's copy, and remove those that are older than the newest seven.

    Raises:
        StorageProblem, OSError: as `copy`.
    """
    with alone(path.parent):
        remove_half_written(path.parent / "backups", older_than_s=_FORGOTTEN_S)
        return _copy_and_keep(path, now, _DAILY, KEPT)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Wait for one's turn to make or change copies in `home/backups`, among all processes. Not for the event loop."""
    lock = os.open(home, os.O_RDONLY)  # the kernel locks a folder as well, and gives it back however the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def copy_before(path: Path, now: datetime, migration: int) -> Path:
    """Make the copy before a migration; an older one before the same migration is removed.

    Raises:
        StorageProblem, OSError: as `copy`.
    """
    return _copy_and_keep(path, now, f"before-{migration:04}", 1)


def copy(path: Path, target: Path) -> None:
    """Write a checked, self-contained copy of `path` to `target`; nothing is there until it is whole.

    Raises:
        StorageProblem: either file is damaged, or there is no room.
        OSError: the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        _fill(path, unfinished)
        to_disk(unfinished)
        unfinished.rename(target)
        to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def look(file: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """Read a database that nobody changes meanwhile. Rows come as `sqlite3.Row`.

    Raises:
        StorageProblem: it is damaged, or none.
    """
    try:
        with closing(sqlite3.connect(uri(file), uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return read(connection)
    except sqlite3.Error as error:
        raise StorageProblem(f"{file} cannot be read: {error}.") from error


def changed(file: Path, change: Callable[[sqlite3.Connection], T]) -> T:
    """Change a copy, and leave nothing in it of what is deleted. Whole, or as it was; its age stays. Rows come as `sqlite3.Row`.

    Raises:
        StorageProblem: it is damaged, or there is no room.
        OSError: the folder cannot be written.
    """
    unfinished, times = file.with_name(f".{file.name}.{os.getpid()}.tmp"), file.stat()
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        _fill(file, unfinished)
        with understood(), closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = MEMORY")  # a file of it would hold what is deleted
            connection.execute("PRAGMA synchronous = OFF")  # all of it is flushed at the end
            connection.execute("PRAGMA foreign_keys = ON")
            done = change(connection)
            connection.execute("VACUUM")
        os.utime(unfinished, ns=(times.st_atime_ns, times.st_mtime_ns))
        to_disk(unfinished)
        unfinished.replace(file)
        to_disk(file.parent)
    except sqlite3.Error as error:
        raise StorageProblem(f"{file} could not be changed: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return done


def sound(file: Path) -> int:
    """The version of the schema in a sound, whole database file.

    Raises:
        StorageProblem: it is none.
    """
    try:
        with closing(sqlite3.connect(uri(file), uri=True)) as connection:
            problem = _problem(connection)
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise StorageProblem(f"{file} is no sound database: {error}.") from error
    if problem is not None or version == 0:
        raise StorageProblem(f"{file} is no sound database of Mynah's: {problem or 'it is empty'}.")
    return version


def newest_good(path: Path, *, newest_version: int) -> Path | None:
    """The newest sound file in `backups/` beside `path` whose schema is at most `newest_version`."""
    folder = path.parent / "backups"
    found = sorted([*folder.glob("*.db"), *folder.glob("*.tar")], key=lambda file: (file.stat().st_mtime, file.name), reverse=True)
    return next((file for file in found if _is_good(file, path.name, newest_version)), None)


def to_disk(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(path: Path, unfinished: Path) -> None:
    try:
        with understood(), closing(sqlite3.connect(uri(path), uri=True)) as source, closing(sqlite3.connect(unfinished)) as made:
            source.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")
            problem = _problem(made)
    except sqlite3.Error as error:
        raise StorageProblem(f"{path} could not be copied: {error}.") from error
    if problem is not None:
        raise StorageProblem(f"The copy of {path} is not sound: {problem}.")


def _problem(connection: sqlite3.Connection) -> str | None:
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        return found.splitlines()[-1]
    return "rows refer to nothing" if connection.execute("PRAGMA foreign_key_check").fetchone() else None


def _copy_and_keep(path: Path, now: datetime, why: str, most: int) -> Path:
    target = named(path, now, why)
    copy(path, target)
    for old in _of(path, why)[:-most]:
        if old != target:  # the clock may have been set back
            old.unlink()
    return target


def remove_half_written(folder: Path, *, older_than_s: float = 0.0) -> None:
    """What processes that were killed had begun. The caller is `alone`, or gives those that work the time to end."""
    for left in folder.glob(".*"):
        if time.time() - left.stat().st_mtime >= older_than_s:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _of(path: Path, why: str) -> list[Path]:
    """Copies of one kind, oldest first."""
    return sorted((path.parent / "backups").glob(f"{path.stem}-*-{why}.db"))


def _is_good(file: Path, member: str, newest_version: int) -> bool:
    with suppress(StorageProblem, OSError, tarfile.TarError, KeyError, EOFError):
        if file.suffix == ".db":
            return sound(file) <= newest_version
        with TemporaryDirectory() as folder, tarfile.open(file, "r:") as tar:
            inside = tar.extractfile(member)
            if inside is not None:
                with (Path(folder) / member).open("wb") as out:
                    shutil.copyfileobj(inside, out)
                return sound(Path(folder) / member) <= newest_version
    return False
