"""Uploads: files that people hand over, kept until the worker has read them."""

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
    """The folder of uploads: one folder each, so that no two names clash."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    async def save(self, name: str, size: int, write: Callable[[Path], Awaitable[object]]) -> Path:
        """Let `write` put the file where it may lie, and say where. Size in bytes. Nothing stays of a file that could not be written.

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
        path = self._folder / uuid4().hex / safe_name(name)
        try:
            path.parent.mkdir(parents=True)
            await write(path)
        except BaseException as error:
            self.discard(path)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NoSpace("The disk is full, so the file could not be taken: tell the operator of this bot, then try again.") from error
            raise
        return path

    @asynccontextmanager
    async def received(self, name: str, size: int, write: Callable[[Path], Awaitable[object]]) -> AsyncIterator[Path]:
        """`save`, and discard the file when what is then done with it fails."""
        path = await self.save(name, size, write)
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
