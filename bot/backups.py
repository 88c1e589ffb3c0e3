"""Backups: a copy of the database each day, and one file with everything that is needed to come back on another machine.

    mynah.sqlite3              first in the file: the database
    models/… corpora/…         what its rows name
    uploads/…                  what trainings that have not ended still read
    manifest.json              last: when it was made, and the SHA-256 of all the others; without it the file is not whole

`bot/restores.py` goes back to one.
"""

import asyncio
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import structlog

from bot.clock import Clock
from bot.errors import BadInput, StorageError
from storage import copies
from storage.errors import StorageProblem
from storage.restoring import Contents, contents

DATABASE = "mynah.sqlite3"
"""Name of the database in MYNAH_HOME, and in a backup."""
MANIFEST = "manifest.json"
WAITING = "restore"
"""Folder in MYNAH_HOME with a restore that is whole, and waits for whoever opens the database next."""
EVERY = timedelta(days=1)
AGAIN = timedelta(hours=1)
"""After so long a daily copy that could not be made is tried again."""
_LOOK_S = 1.0

log = structlog.get_logger("mynah.backups")


@dataclass(frozen=True)
class Made:
    """A backup that was written."""

    path: Path
    size: int
    """Bytes."""
    models: int
    missing: int
    """Files or folders that rows name and that are not there."""


class DailyCopies:
    """The copies that a running bot makes; it also sees when a restore wants the bot's place."""

    def __init__(self, *, home: Path, clock: Clock) -> None:
        self._home, self._clock = home, clock
        self._path = home / DATABASE
        self._newest = copies.newest_daily(self._path)

    async def run(self) -> None:
        """Make a copy each day, until a restore waits to be taken over."""
        while not (self._home / WAITING).is_dir():
            await self.look()
            await asyncio.sleep(_LOOK_S)
        log.info("a restore is waiting: closing everything for it")

    async def look(self) -> None:
        """Make today's copy if it is time."""
        now = self._clock.now()
        if self._newest is not None and timedelta(0) <= now - self._newest < EVERY:  # the clock may have been set back
            return
        try:
            made = await asyncio.to_thread(copies.copy_daily, self._path, now)
        except (StorageProblem, OSError) as error:
            log.error("the daily copy of the database could not be made", reason=str(error))  # noqa: TRY400 -- the sentence says it all
            self._newest = now - EVERY + AGAIN
        else:
            log.info("daily copy of the database", file=made.name)
            self._newest = now


def back_up(home: Path, target: Path | None, clock: Clock) -> Made:
    """Write everything into one file; works while the bot runs.

    Raises:
        BadInput: there is such a file already, or no such folder.
        StorageError: there is nothing to back up, or the database is damaged, or no room.
    """
    path = home / DATABASE
    if not path.is_file():
        raise StorageError(f"There is nothing to back up in {home} yet.")
    if target is None:
        target = home / "backups" / f"{path.stem}-{copies.stamp(clock.now())}.tar"
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise BadInput(f"{target} is there already: name a file that is not.")
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent} for the backup.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with copies.alone(home):
            made = _write(home, path, unfinished, target, clock)
            copies.to_disk(unfinished)
            unfinished.rename(target)
            copies.to_disk(target.parent)
    except (OSError, StorageProblem) as error:
        raise StorageError(f"The backup could not be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return made


def named_files(home: Path, named: Contents) -> list[Path]:
    """The files and folders that rows name, relative to `home`, whether they are there or not."""
    uploads = home / "uploads"
    found = [Path("models", str(character), f"v{version}") for character, version in named.models]
    found += [Path("corpora", f"{number}.jsonl") for number in named.corpora]
    needed = {path.parent for job in named.jobs for path in job.files}
    rooms = needed | {room for room in (*(job.room for job in named.jobs), *named.requests) if room.exists()}
    found += [room.relative_to(home) for room in sorted(rooms) if room.parent == uploads]
    return found


def extract(backup: Path, database: Path) -> None:
    """Take the database out of a backup, and its manifest beside it.

    Raises:
        BadInput: it is no whole backup.
        OSError, tarfile.TarError: it cannot be read.
    """
    with tarfile.open(backup, "r:") as tar:
        for name, target in ((DATABASE, database), (MANIFEST, database.with_name(MANIFEST))):
            try:
                member = tar.extractfile(name)
            except KeyError:
                member = None
            if member is None:
                raise BadInput(f"{backup} is no whole file of mynah backup: it has no {name}.")
            with member, target.open("wb") as out:
                shutil.copyfileobj(member, out)


def without(backup: Path, database: Path, gone: AbstractSet[Path]) -> None:
    """Write a backup anew with what `extract` took out of it, changed, and without what `gone` names. Whole, or as it was; its age stays.

    Raises:
        OSError, tarfile.TarError: it cannot be read, or there is no room.
    """
    manifest = json.loads(database.with_name(MANIFEST).read_bytes())
    unfinished, times = backup.with_name(f".{backup.name}.{os.getpid()}.tmp"), backup.stat()
    unfinished.touch(mode=0o600)
    try:
        with tarfile.open(backup, "r:") as tar, tarfile.open(unfinished, "w") as made:
            hashes: dict[str, str] = {}
            _add(made, database, DATABASE, hashes)
            for member in tar:
                source = tar.extractfile(member)
                path = Path(member.name)
                if source is None or member.name in (DATABASE, MANIFEST) or not gone.isdisjoint({path, *path.parents}):
                    continue
                hashing = _Hashing(source)
                made.addfile(member, hashing)
                hashes[member.name] = hashing.sha256.hexdigest()
            _add_manifest(made, {**manifest, "files": hashes})
        os.utime(unfinished, ns=(times.st_atime_ns, times.st_mtime_ns))
        copies.to_disk(unfinished)
        unfinished.replace(backup)
        copies.to_disk(backup.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(home: Path, path: Path, unfinished: Path, target: Path, clock: Clock) -> Made:
    unfinished.touch(mode=0o600)
    hashes: dict[str, str] = {}
    with TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder, tarfile.open(unfinished, "w") as tar:
        copy = Path(folder) / DATABASE
        copies.copy(path, copy)
        named = contents(copy)
        _add(tar, copy, DATABASE, hashes)
        missing = sum(not _add_all(tar, home, relative, hashes) for relative in named_files(home, named))
        _add_manifest(tar, {"made_at": clock.now().isoformat(), "home": str(home), "files": hashes})
    return Made(target, unfinished.stat().st_size, len(named.models), missing)


def _add_manifest(tar: tarfile.TarFile, manifest: Mapping[str, Any]) -> None:
    content = json.dumps(manifest, indent=1).encode()
    info = tarfile.TarInfo(MANIFEST)
    info.size, info.mode = len(content), 0o600
    tar.addfile(info, io.BytesIO(content))


def _add_all(tar: tarfile.TarFile, home: Path, relative: Path, hashes: dict[str, str]) -> bool:
    """Add a file, or all of a folder; whether there was any."""
    found = list(_files(home / relative))
    for file in found:
        _add(tar, file, file.relative_to(home).as_posix(), hashes)
    return bool(found)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.iterdir() if file.is_file() and not file.is_symlink())
    elif path.is_file():
        yield path


def _add(tar: tarfile.TarFile, file: Path, name: str, hashes: dict[str, str]) -> None:
    with file.open("rb") as source:
        info = tarfile.TarInfo(name)
        info.size, info.mode = os.fstat(source.fileno()).st_size, 0o600
        hashing = _Hashing(source)
        tar.addfile(info, hashing)
        hashes[name] = hashing.sha256.hexdigest()


class _Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.sha256.update(content)
        return content
