"""The members of a zip that a stranger sent: counted, never unpacked, read by name through a budget.

A zip is refused as a whole when anything in it is meant for a trap (a name that leaves the folder, a link, a name that stands twice):
X makes none such.
"""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from bot.errors import BrokenArchive
from bot.tweets.reading import Stream

MIB = 1 << 20
MAX_MEMBERS = 300_000
"""X archives hold one member per picture; the largest that are known have some 100,000."""
MAX_LIST_BYTES = 32 * MIB
"""Of the zip's list of members, which is read at once."""
MAX_READ_BYTES = 12 * 1024 * MIB
"""Unpacked, of all members that are read."""
MAX_RATIO = 400
"""Unpacked to packed. Tweets have 8 to 15."""
RATIO_FREE_BYTES = 64 * MIB
"""Below this a high ratio harms nobody."""

MAX_SHOWN_CHARACTERS = 80
"""Of a member's name, in a sentence. It may have 65,535."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR_64_BYTES = 20
_END_64 = struct.Struct("<4sQ2H2L4Q")
_UNSAFE_NAME = re.compile(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|\0")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What the zipfile module raises on damaged or strange files."""


class Members:
    """An open zip. Use as a context manager."""

    def __init__(self, path: Path, name: str) -> None:
        """Open and look at the list of members.

        Raises:
            BrokenArchive: cut short, damaged, too large, or made as a trap.
        """
        self.name = name
        self._packed = 0
        self._unpacked = 0
        _check_list_size(path, name)
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise BrokenArchive(f"{name} is damaged or cut short; download it again and send the whole file.") from error
        try:
            self._infos = _checked(self._zip.infolist(), name)
        except BrokenArchive:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """Of files only, in the zip's order, with / between folders; without what macOS adds."""
        return list(self._infos)

    def size(self, name: str) -> int:
        """Bytes, unpacked, as the zip claims."""
        return self._infos[name].file_size

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """One member, to be read.

        Raises:
            BrokenArchive: locked or damaged; also while it is read, or when more is read than any archive of tweets unpacks to.
        """
        info = self._infos[name]
        if info.flag_bits & 0x1:
            raise BrokenArchive(f"{self.name} is locked with a password; send it without one.")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise BrokenArchive(f"{self.name} is packed in a way that Mynah does not read; unpack it and send {shown(name)}.")
        self._packed += info.compress_size
        try:
            file = self._zip.open(info)
        except _DAMAGE as error:
            raise self._damaged(name) from error
        with file:
            yield Stream(f"{shown(name)} in {self.name}", lambda size: self._read(file, name, size))

    def _read(self, file: IO[bytes], name: str, size: int) -> bytes:
        try:
            data = file.read(size)
        except _DAMAGE as error:
            raise self._damaged(name) from error
        self._unpacked += len(data)
        if self._unpacked > MAX_READ_BYTES:
            raise BrokenArchive(f"{self.name} unpacks to more than {MAX_READ_BYTES // MIB:,} MiB of tweets; send a part of them.")
        if self._unpacked > RATIO_FREE_BYTES and self._unpacked > MAX_RATIO * self._packed:
            raise BrokenArchive(
                f"{self.name} unpacks to more than {MAX_RATIO} times its size, as only a trap does; send its tweets.js unpacked."
            )
        return data

    def _damaged(self, name: str) -> BrokenArchive:
        return BrokenArchive(f"{shown(name)} in {self.name} is damaged; download the archive again and send the whole file.")


def shown(name: str) -> str:
    """A member's name as a sentence can hold it: its end, and no letters that nobody sees."""
    end = name if len(name) <= MAX_SHOWN_CHARACTERS else f"…{name[-MAX_SHOWN_CHARACTERS:]}"
    return end if end.isprintable() else ascii(end)


def _check_list_size(path: Path, name: str) -> None:
    """Look at the end of the file before zipfile reads the whole list of members into memory."""
    tail_bytes = _END.size + 0xFFFF + _LOCATOR_64_BYTES + _END_64.size
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail_bytes))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BrokenArchive(f"{name} is cut short: the end of the zip is missing; download it again and send the whole file.")
    *_, count, list_bytes, _, _ = _END.unpack_from(tail, at)
    at_64 = at - _LOCATOR_64_BYTES - _END_64.size
    if at_64 >= 0 and tail.startswith(b"PK\x06\x06", at_64):
        *_, count, list_bytes, _ = _END_64.unpack_from(tail, at_64)
    if count > MAX_MEMBERS or list_bytes > MAX_LIST_BYTES:
        raise BrokenArchive(
            f"{name} holds {count:,} files, more than the {MAX_MEMBERS:,} that Mynah looks through; send its tweets.js alone."
        )


def _checked(infos: list[zipfile.ZipInfo], name: str) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        member = info.orig_filename.replace("\\", "/")
        if _UNSAFE_NAME.search(member):
            raise BrokenArchive(
                f"{name} holds a file named {member[:80]!a}, which leads out of its folder; download the archive again from X."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BrokenArchive(f"{name} holds a link ({member[:80]!a}) instead of a file; download the archive again from X.")
        if member.endswith("/") or member.startswith("__MACOSX/") or member.rpartition("/")[2].startswith("._"):
            continue
        if member in found:
            raise BrokenArchive(f"{name} holds {member[:80]!a} twice; download the archive again from X.")
        found[member] = info
    return found
