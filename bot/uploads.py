"""Uploads: files that people hand over, and what is fetched for them, kept until the worker has read them."""

import errno
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from bot.errors import BadInput, NoSpace

LIMIT_MIB = 100
NAME_LIMIT = 100
"""Characters of a file's name that are kept."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Uploads:
    """The folder of uploads: one folder for each request, so that no two names clash."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    def room(self) -> Path:
        """A folder for one request, which is made when the first file comes into it."""
        return self._folder / uuid4().hex

    def fetched(self, room: Path, source: str, handle: str) -> Path:
        """Where the tweets of an account are going to lie that are fetched from a source."""
        return room / safe_name(f"{source}-{handle}.jsonl")

    async def save(self, name: str, size: int, write: Callable[[Path], Awaitable[object]], *, room: Path | None = None) -> Path:
        """Let `write` put the file where it may lie, and say where. Size in bytes.

        `room` is where the request's other files are. When one cannot be written, nothing stays of any of them.

        Raises:
            BadInput: it is empty or too large.
            NoSpace: the disk is full.
        """
        if size > LIMIT_MIB * 2**20:
            raise BadInput(
                f"{name[:NAME_LIMIT]} has {size / 2**20:,.0f} MiB, and {LIMIT_MIB} MiB is the most that can be taken: "
                "of an X archive only data/tweets.js is needed."
            )
        if size == 0:
            raise BadInput(f"{name[:NAME_LIMIT]} is empty: upload an X archive zip, tweets.js, JSON lines, CSV or text.")
        room = room or self.room()
        path = room / safe_name(name)
        try:
            room.mkdir(parents=True, exist_ok=True)
            if path.exists():  # a second tweets.js
                path = room / f"{len(list(room.iterdir())) + 1}-{path.name}"
            await write(path)
        except BaseException as error:
            self.discard(path)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NoSpace("The disk is full, so the file could not be taken: tell the operator of this bot, then try again.") from error
            raise
        return path

    @asynccontextmanager
    async def received(
        self, name: str, size: int, write: Callable[[Path], Awaitable[object]], *, room: Path | None = None
    ) -> AsyncIterator[Path]:
        """`save`, and discard the file when what is then done with it fails."""
        path = await self.save(name, size, write, room=room)
        try:
            yield path
        except BaseException:
            self.discard(path)
            raise

    def discard(self, path: Path) -> None:
        """Remove an upload with its folder; does nothing when it is gone, and touches nothing outside the folder of uploads."""
        if path.parent.parent == self._folder:
            shutil.rmtree(path.parent, ignore_errors=True)


def safe_name(name: str) -> str:
    """The name as a plain file name, with its ending: what the reader of the file goes by."""
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip("._") or "upload"
    return plain[-NAME_LIMIT:].lstrip("._-") or "upload"
