"""Going back to a backup, also while the bot runs.

The command puts everything that the backup holds, checked, into `MYNAH_HOME/restore`. Whoever opens the database next takes it over, under
the lock and before anything else: the command itself where no bot runs, else the running bot, which closes everything in order, takes it
over and goes on in the same process. What was replaced is kept in `MYNAH_HOME/replaced-<time>`: the database, and at the next start what no
row refers to any more.
"""

import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import structlog

from bot.backups import DATABASE, MANIFEST, WAITING, named_files
from bot.clock import Clock
from bot.errors import BadInput, StorageError
from storage import copies, restoring
from storage.errors import StorageProblem
from storage.migrate import newest_version

PLAN, REPORT = "plan.json", "restored.json"
ROOMS = ("models", "corpora", "uploads")
"""The folders of MYNAH_HOME of which a backup holds something."""
_DONE = ".restore-done"
_SQLITE = b"SQLite format 3\0"
_FORGOTTEN_S = 86400.0
"""What a killed command left behind is removed after so many seconds."""

log = structlog.get_logger("mynah.restores")


def stage(home: Path, backup: Path, clock: Clock) -> Path:
    """Check a backup and make it ready to be taken over: a file of `mynah backup`, a copy of the database, or a folder like MYNAH_HOME.

    The folder in which what it replaces is going to be kept.

    Raises:
        BadInput: it is no backup, is damaged, or another restore is waiting.
        StorageError: there is no room for it.
    """
    waiting = home / WAITING
    if waiting.exists():
        raise BadInput(f"A restore is waiting already to be taken over by the bot: wait for that, or remove {waiting} to call it off.")
    aside = _free_name(home, f"replaced-{copies.stamp(clock.now())}")
    work = home / f".restore-{os.getpid()}"
    _remove_forgotten(home)
    try:
        work.mkdir(parents=True, mode=0o700)
        _unpack(backup, work)
        found, known = copies.sound(work / DATABASE), newest_version()
        if found > known:
            raise BadInput(f"{backup} has schema {found} and this Mynah knows up to {known}: install the newer Mynah first.")
        (work / PLAN).write_text(json.dumps({"from": str(backup), "aside": aside}), encoding="utf-8")
        for path in work.rglob("*"):
            copies.to_disk(path)
        work.rename(waiting)
    except StorageProblem as problem:
        raise BadInput(f"{backup} cannot be restored: {problem}") from problem
    except (tarfile.TarError, EOFError) as error:
        raise BadInput(f"{backup} is damaged or cut off: {error}.") from error
    except OSError as error:
        raise StorageError(f"{backup} could not be unpacked into {home}: {error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return home / aside


def take_over(home: Path, now: datetime) -> None:
    """Put a restore that is waiting in the place of the database. The caller holds the lock. Killed anywhere, it is finished the next time.

    Raises:
        StorageProblem: it cannot be done; the database is as it was.
    """
    waiting, done = home / WAITING, home / _DONE
    shutil.rmtree(done, ignore_errors=True)
    if not waiting.is_dir():
        return
    try:
        plan: dict[str, str] = json.loads((waiting / PLAN).read_bytes())
        aside = home / plan["aside"]
        aside.mkdir(mode=0o700, exist_ok=True)
        if (waiting / DATABASE).exists():
            _swap(home, waiting / DATABASE, aside, plan, now)
        for path in _units(waiting):
            _move_in(path, home / path.relative_to(waiting), aside / path.relative_to(waiting))
    except (OSError, ValueError, StorageProblem) as error:
        raise StorageProblem(
            f"The restore that waits in {waiting} could not be taken over ({error}): "
            "free what is in its way and start again, or remove that folder to stay with the database as it is."
        ) from error
    waiting.rename(done)  # at once: half a folder would be half a restore
    shutil.rmtree(done)
    log.info("a backup was restored", **report(aside))


def report(aside: Path) -> dict[str, Any]:
    """What the restore that made this folder has done."""
    return dict(json.loads((aside / REPORT).read_bytes()))


def _swap(home: Path, staged: Path, aside: Path, plan: dict[str, str], now: datetime) -> None:
    """The step that counts is the last one, and is atomic: before it the old database stands, whole and alone, after it the new."""
    database, replaced = home / DATABASE, aside / DATABASE
    if database.exists():
        whole = restoring.fold(database)
        for suffix in ("-wal", "-shm"):
            beside = database.with_name(database.name + suffix)
            if beside.exists() and not whole:
                shutil.copyfile(beside, replaced.with_name(replaced.name + suffix))
            beside.unlink(missing_ok=True)
        shutil.copyfile(database, replaced)
        copies.to_disk(replaced)
    restoring.move(staged, home)
    named = restoring.contents(staged)
    same = restoring.same_jobs(staged, replaced)
    for job in named.jobs:
        if job.id not in same and (home / "jobs" / str(job.id)).exists():
            _move_in(None, home / "jobs" / str(job.id), aside / "jobs" / str(job.id))
    settled = restoring.settle(
        staged,
        replaced,
        failed={job.id for job in named.jobs if not all(_is_there(home, path) for path in job.files)},
        attempts={job.id: number for job in named.jobs if (number := _highest(home / "jobs" / str(job.id)))},
        aside=aside.name,
        now=now,
    )
    lost = sum(not (home / path).exists() and not (home / WAITING / path).exists() for path in named_files(home, named))
    told = {"from": plan["from"], "replaced": str(aside), **asdict(settled), "missing_files": lost}
    (aside / REPORT).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    copies.to_disk(staged)
    staged.replace(database)
    copies.to_disk(home)


def _is_there(home: Path, source: Path) -> bool:
    """Whether a job's file is on the disk, or comes with the backup."""
    return source.exists() or (source.is_relative_to(home) and (home / WAITING / source.relative_to(home)).exists())


def _highest(job_folder: Path) -> int:
    """The newest attempt that has left a folder; 0: none."""
    numbers = [path.name.removeprefix("a") for path in job_folder.glob("a*")]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _units(waiting: Path) -> list[Path]:
    """What is moved as one: a version of a model, a corpus, an upload."""
    return [*waiting.glob("models/*/*"), *waiting.glob("corpora/*"), *waiting.glob("uploads/*")]


def _move_in(path: Path | None, target: Path, aside: Path) -> None:
    """Put `path` at `target`; what stands there is kept at `aside`."""
    if target.exists() and not aside.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)
    if path is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _free_name(home: Path, wanted: str) -> str:
    """Not that of an earlier restore."""
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 100)))
    return next(name for name in names if not (home / name).exists())


def _remove_forgotten(home: Path) -> None:
    for folder in home.glob(".restore-*"):
        if time.time() - folder.stat().st_mtime > _FORGOTTEN_S:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(backup: Path, work: Path) -> None:
    if backup.is_dir():
        if not (backup / DATABASE).is_file():
            raise BadInput(f"The folder {backup} holds no {DATABASE}.")
        copies.copy(backup / DATABASE, work / DATABASE)
        for file in (file for room in ROOMS for file in (backup / room).rglob("*") if file.is_file() and not file.is_symlink()):
            with file.open("rb") as found:
                _write(found, work / file.relative_to(backup))
        return
    if not backup.is_file():
        raise BadInput(f"There is no backup {backup}.")
    with backup.open("rb") as opened:
        is_database = opened.read(len(_SQLITE)) == _SQLITE
    if is_database:
        copies.copy(backup, work / DATABASE)
    elif tarfile.is_tarfile(backup):
        _unpack_tar(backup, work)
    else:
        raise BadInput(f"{backup} is neither a file of mynah backup, nor a copy of the database, nor a folder.")


def _unpack_tar(backup: Path, work: Path) -> None:
    """Every member where it belongs, and each as it was written."""
    hashes: dict[str, str] = {}
    wanted: dict[str, str] | None = None
    with tarfile.open(backup, "r:") as tar:
        for member in tar:
            with _inside(tar, member) as source:
                if member.name == MANIFEST:
                    wanted = dict(json.loads(source.read())["files"])
                else:
                    hashes[member.name] = _write(source, work / _checked(member.name))
    if wanted is None or hashes != wanted or DATABASE not in hashes:
        raise BadInput(f"{backup} is damaged or cut off: its files are not those that its manifest names.")


@contextmanager
def _inside(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise BadInput(f"The backup holds {member.name!r}, which is no file of Mynah's.")
    with source:
        yield source


def _checked(name: str) -> PurePosixPath:
    """Where a member goes; nothing comes to lie outside the rooms."""
    path = PurePosixPath(name)
    if name != DATABASE and (path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or path.parts[0] not in ROOMS):
        raise BadInput(f"The backup holds {name!r}, which is no file of Mynah's.")
    return path


def _write(source: IO[bytes], target: Path) -> str:
    """Copy a file; the SHA-256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with target.open("xb") as out:
        while block := source.read(1 << 20):
            sha256.update(block)
            out.write(block)
    return sha256.hexdigest()
