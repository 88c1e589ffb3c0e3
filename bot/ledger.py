"""The ledger: what holds of whatever database lies in MYNAH_HOME, also of an older one that is put in its place.

`privacy.json` has the digests of who opted out and of what was forgotten, beside the database, which has them too. A restored backup may
know nothing of them; whoever opens the database next sees the difference, and forgets again (`bot/forgetting.py`).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.errors import StorageError
from storage.copies import to_disk
from storage.database import Database
from storage.privacy import ErasureStore, PrivacyStore, Statement
from storage.times import to_text

LEDGER = "privacy.json"


@dataclass(frozen=True)
class OptOutEntry:
    """A row of opt_outs."""

    digest: str
    user_id: int
    created_at: str


@dataclass(frozen=True)
class ErasureEntry:
    """A row of erasures: what it takes to do it again."""

    digest: str
    guild_id: int
    user_id: int
    statement: Statement
    created_at: str


@dataclass(frozen=True)
class Entries:
    """What the ledger has."""

    salts: tuple[str, ...] = ()
    opt_outs: tuple[OptOutEntry, ...] = ()
    erasures: tuple[ErasureEntry, ...] = ()

    def less(self, other: "Entries") -> "Entries":
        """Those that the other does not have. Who asked for something may have been forgotten since, and does not count."""
        opt_outs = {entry.digest for entry in other.opt_outs}
        erasures = {(entry.digest, entry.created_at) for entry in other.erasures}
        return Entries(
            tuple(salt for salt in self.salts if salt not in other.salts),
            tuple(entry for entry in self.opt_outs if entry.digest not in opt_outs),
            tuple(entry for entry in self.erasures if (entry.digest, entry.created_at) not in erasures),
        )

    def plus(self, other: "Entries") -> "Entries":
        """These, and those of the other that are new."""
        new = other.less(self)
        return Entries(self.salts + new.salts, self.opt_outs + new.opt_outs, self.erasures + new.erasures)


_ENTRIES = TypeAdapter(Entries)
_NOTHING = Entries()


class Ledger:
    """The file beside a database."""

    def __init__(self, database: Database) -> None:
        self._store, self._erasures = PrivacyStore(database), ErasureStore(database)
        self._path = database.path.with_name(LEDGER)
        self._turn = asyncio.Lock()

    async def read(self) -> Entries:
        """What the file has; nothing, where nobody has opted out or was forgotten.

        Raises:
            StorageError: it is damaged.
        """
        return await asyncio.to_thread(_read, self._path)

    async def in_database(self) -> Entries:
        """What the database has."""
        return Entries(
            tuple(await self._store.salts()),
            tuple(OptOutEntry(one.digest, one.user_id, to_text(one.created_at)) for one in await self._store.opt_outs()),
            tuple(
                ErasureEntry(one.digest, one.guild_id, one.user_id, one.statement, to_text(one.created_at))
                for one in await self._erasures.all()
            ),
        )

    async def copy(self) -> None:
        """Let the file have what the database has."""
        async with self.writing():
            pass  # it is written before and after

    @asynccontextmanager
    async def writing(self, more: Entries = _NOTHING) -> AsyncIterator[None]:
        """Around the transaction that changes opt-outs or erasures. What is going to be new stands in the file before it begins.

        A process that is killed between the two has not confirmed anything yet, and the next start does it.

        Raises:
            StorageError: there is no room for the file.
        """
        async with self._turn:
            written = (await self.in_database()).plus(more)
            await asyncio.to_thread(_write, self._path, written)
            try:
                yield
            finally:
                if (now := await self.in_database()) != written:
                    await asyncio.to_thread(_write, self._path, now)


def _read(path: Path) -> Entries:
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return Entries()
    except ValidationError as error:
        raise StorageError(
            f"{path} is damaged, and it says who opted out and what was forgotten: put it back from a copy, or remove it "
            "if no backup was restored since it was damaged."
        ) from error


def _write(path: Path, entries: Entries) -> None:
    if entries == Entries() and not path.exists():
        return
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entries), indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        to_disk(path.parent)
    except OSError as error:
        raise StorageError(f"{path} cannot be written, so nothing was forgotten or opted out: {error}.") from error
