"""At the shell: whose tweets a training gets, and from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bot.errors import BadInput
from bot.handles import JOINT, mash_up, normalise
from bot.intake import SERVICES, Service
from bot.uploads import Uploads
from storage.jobs import Material

NO_TWEETS = (
    "Give a file with --from (an X archive zip, tweets.js, an outbox.json, JSON lines, CSV or text), "
    "or name where the posts are read with --source x, bluesky or mastodon."
)


class Source(StrEnum):
    """Where tweets are read that come from no file."""

    X = "x"
    BLUESKY = "bluesky"
    MASTODON = "mastodon"


class Consent(StrEnum):
    """What entitles the operator."""

    OWN = "own"
    AGREED = "agreed"
    PUBLIC = "public"


@dataclass(frozen=True)
class Accounts:
    """The accounts of one character, each with its file or to be read from the source."""

    handle: str
    """Of the character."""
    given: tuple[tuple[str, Path | None], ...]
    """In the order of that handle; None = from the source."""
    service: Service | None

    @property
    def fetched(self) -> int:
        """How many accounts are read from the source."""
        return sum(path is None for _, path in self.given)

    def materials(self, uploads: Uploads) -> tuple[tuple[Material, ...], str]:
        """The same for the queue, and the path that it goes by: of the first account that is read, or else of the first file."""
        room = uploads.room()
        materials = tuple(self._material(handle, path, uploads, room) for handle, path in self.given)
        named = next((material for material in materials if material.source != "file"), materials[0])
        return materials, str(room / named.path)

    def _material(self, handle: str, path: Path | None, uploads: Uploads, room: Path) -> Material:
        if path is not None:
            return Material(handle, "file", str(path), path.name)
        if self.service is None:
            raise BadInput(NO_TWEETS)
        fetched = uploads.fetched(room, self.service, handle)
        return Material(handle, self.service, fetched.name, f"@{handle} on {SERVICES[self.service]}")


def read_accounts(handles: Sequence[str], files: Sequence[Path], source: Source | None) -> Accounts:
    """What was typed: the first file is the first handle's, and so on; the accounts that are left over are read from the source.

    Raises:
        BadInput: a handle is none, a file is not there, or there are too many or too few of them.
    """
    paths = [existing(file) for file in files]
    names = [_one(handle) for handle in handles]
    handle = mash_up(names)
    if len(paths) > len(names):
        raise BadInput(f"There are {len(paths)} files for {len(names)} accounts: give one --from for each account, in the same order.")
    if len(paths) < len(names) and source is None:
        raise BadInput(f"There are no tweets of @{names[len(paths)]}. {NO_TWEETS}")
    if len(paths) == len(names) and source is not None:
        raise BadInput(
            f"There is a file for every account, so nothing is left to read from {SERVICES[source.value]}: leave out one of them."
        )
    given = dict.fromkeys(names) | dict(zip(names, paths, strict=False))
    return Accounts(handle, tuple(sorted(given.items())), source.value if source else None)


def existing(file: Path) -> Path:
    """The file's absolute path.

    Raises:
        BadInput: there is no such file.
    """
    if not file.is_file():
        raise BadInput(f"There is no file {file}: --from takes an X archive (zip), tweets.js, outbox.json, JSON lines, CSV or text file.")
    return file.resolve()


def _one(typed: str) -> str:
    handle = normalise(typed)
    if JOINT in handle:
        raise BadInput(f"@{handle} is a mash-up: name its accounts one by one, such as mynah train {handle.replace(JOINT, ' ')}.")
    return handle
