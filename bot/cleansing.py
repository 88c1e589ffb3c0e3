"""Cleansing: the copies that lie in MYNAH_HOME, rid of what was forgotten. Knows no Discord; all of it is work for a thread.

    backups/*.db               a copy of the database each: the same statements as in the database, then written anew
    backups/*.tar              what `mynah backup` makes: its database likewise, and what that does not name any more is left out
    replaced-*/                what restores have replaced: its database likewise, and whatever in the folder it does not name is removed
    .restore-*  backups/.*     what a process that was killed had begun: removed

A copy that cannot be changed, since it is damaged or there is no room, stays as it is and is named to whoever asked.
"""

import errno
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from bot.backups import DATABASE, extract, without
from bot.errors import BadInput
from storage import copies
from storage.erased import Found, Named, Target
from storage.erasing import clean
from storage.errors import Busy, Full, StorageProblem
from storage.restoring import contents

Wanted = Callable[[Named], Sequence[Target]]
"""Those that were forgotten, of those that a copy names."""

_ROOMS = ("bases", "models", "corpora", "uploads", "jobs")
"""Where there are no copies."""
_NOT_TO_BE_READ = (StorageProblem, BadInput, OSError, tarfile.TarError, EOFError, ValueError, KeyError)
"""What damaged copies and full disks raise."""

log = structlog.get_logger("mynah.cleansing")


@dataclass
class Cleansed:
    """What was done."""

    found: Found = field(default_factory=Found)
    """What the copies named: on the disk of MYNAH_HOME, too, and messages at Discord."""
    copies: int = 0
    """Copies that held something of it, and do not any more."""
    unclean: list[Path] = field(default_factory=list)
    """Copies that could not be looked through or changed."""
    again: str | None = None
    """Why something could not be done that may be possible later."""


def cleanse(home: Path, wanted: Wanted, gone: Found) -> Cleansed:
    """Go through every copy under `home`; `gone` is what the database has lost. May be repeated."""
    done = Cleansed()
    with copies.alone(home):
        _remove_half_done(home)
        for kind, files in ((_database, _files(home, "db")), (_tar, _files(home, "tar")), (_replaced, home.glob("replaced-*/"))):
            for file in sorted(files):
                try:
                    found = kind(home, file, wanted)
                except _NOT_TO_BE_READ as error:
                    log.warning("a copy cannot be rid of what was forgotten", copy=str(file), reason=str(error))
                    done.unclean.append(file)
                    if isinstance(error, Busy | Full) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
                        done.again = str(error)
                else:
                    done.copies += found is not None
                    done.found.add(found or Found())
        done.found.add(Found(models=gone.models, corpora=gone.corpora, jobs=gone.jobs, uploads=gone.uploads))
        for folder in home.glob("replaced-*/"):  # also where its database cannot be read: no number is given twice
            for path in _paths(done.found):
                _remove(folder / path)
    return done


def remove(home: Path, found: Found) -> int:
    """Remove what goes with rows that are gone; how many files and folders that were. What the database still names is another's."""
    return sum(_remove(home / path) for path in _paths(found) - _named(home / DATABASE))


def _paths(found: Found) -> set[Path]:
    """Where it lies, relative to MYNAH_HOME."""
    paths = [Path("models", str(character), f"v{version}") for character, version in found.models]
    paths += [Path("models", f".new-{job}") for job in found.jobs] + [Path("jobs", str(job)) for job in found.jobs]
    paths += [Path("corpora", f"{number}.jsonl") for number in found.corpora] + [Path("uploads", name) for name in found.uploads]
    return set(paths)


def _named(database: Path) -> set[Path]:
    """What rows name, likewise."""
    named = contents(database)
    rooms = {path.parent for job in named.jobs for path in job.files} | {job.room for job in named.jobs} | set(named.requests)
    paths = [Path("models", str(character), f"v{version}") for character, version in named.models]
    paths += [Path("corpora", f"{number}.jsonl") for number in named.corpora] + [Path("jobs", str(job.id)) for job in named.jobs]
    return {*paths, *(Path("uploads", room.name) for room in rooms if room.parent.name == "uploads")}


def _remove(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    else:
        return False
    if path.parent.parent.name == "models" and not any(path.parent.iterdir()):
        path.parent.rmdir()
    return True


def _files(home: Path, kind: str) -> list[Path]:
    """Wherever somebody has put one, in the folder or in a folder of their own inside it."""
    return [*home.glob(f"*.{kind}"), *(file for file in home.glob(f"*/*.{kind}") if file.parent.name not in _ROOMS)]


def _database(_: Path, file: Path, wanted: Wanted) -> Found | None:
    return clean(file, wanted)


def _tar(home: Path, file: Path, wanted: Wanted) -> Found | None:
    """A backup: first its database alone, which comes first in it, then the whole without what that has lost."""
    room = home / "backups"
    room.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=room, prefix=".backup-") as folder:
        database = Path(folder) / DATABASE
        extract(file, database)
        found = clean(database, wanted)
        if found is not None:
            without(file, database, _paths(found))
    return found


def _replaced(_: Path, folder: Path, wanted: Wanted) -> Found | None:
    """What a restore has replaced. Files that its database does not name could be anybody's."""
    database = folder / DATABASE
    found = clean(database, wanted) if database.exists() else None
    if found is not None:
        for suffix in ("-wal", "-shm"):
            database.with_name(DATABASE + suffix).unlink(missing_ok=True)
    keep = _named(database) if database.exists() else set()
    for path in [*folder.glob("models/*/*"), *folder.glob("corpora/*"), *folder.glob("uploads/*"), *folder.glob("jobs/*")]:
        if path.relative_to(folder) not in keep:
            _remove(path)
    return found


def _remove_half_done(home: Path) -> None:
    """Nobody else makes a copy now; who prepares a restore has its process in the name of its folder."""
    copies.remove_half_written(home / "backups")
    for left in (found for pattern in (".*.tmp", ".backup-*") for place in ("", "*/") for found in home.glob(place + pattern)):
        if left.parent.name not in _ROOMS:
            _remove(left)
    for folder in home.glob(".restore-*"):
        process = folder.name.removeprefix(".restore-")
        if not process.isdigit() or not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)
