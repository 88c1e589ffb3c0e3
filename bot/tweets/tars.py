"""One member of a tar, packed or not, that a stranger sent: looked for by its name and read through a budget, never unpacked."""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from bot.errors import BrokenArchive
from bot.tweets.members import MAX_MEMBERS, MAX_READ_BYTES, MIB, RATIO_FREE_BYTES
from bot.tweets.reading import Stream

MAX_RATIO = 100
"""Unpacked to packed, of the whole. Pictures have 1, and the posts of those who show none 20."""
_MAX_HEADER_BYTES = 1 << 16
"""tarfile reads a header at once, however long it says that it is."""
_LONG_NUMBER = re.compile(rb"\d{64}")
"""tarfile (before Python 3.11.10) takes time that grows with the square of a number's length in a header."""
_GZIP = b"\x1f\x8b"
_MARK = slice(257, 262)
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError)
"""What the tarfile and gzip modules raise on damaged or strange files."""


def is_tar(path: Path) -> bool:
    """Whether the file at `path` begins as a tar does, packed with gzip or not."""
    try:
        with _unpacked(path) as file:
            return file.read(512)[_MARK] == b"ustar"
    except _DAMAGE:
        return False


@contextmanager
def open_member(path: Path, name: str, wanted: str) -> Iterator[Stream | None]:
    """The member `wanted`, at the top of the tar or in one folder; None where there is none.

    Raises:
        BrokenArchive: damaged or made as a trap; also while it is read.
    """
    with _unpacked(path) as file:
        guarded = _Guarded(file, name, max(RATIO_FREE_BYTES, MAX_RATIO * path.stat().st_size))
        try:
            tar = tarfile.open(fileobj=guarded, mode="r:")  # noqa: SIM115  # it holds nothing that would have to be closed
            member = _find(tar, guarded, wanted)
            found = None if member is None else tar.extractfile(member)
            guarded.found = True
        except _DAMAGE as error:
            raise _damaged(name) from error
        yield None if found is None else Stream(f"{wanted} in {name}", _Reading(found, guarded, name).read)


def _unpacked(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path) if is_packed else path.open("rb"))


def _find(tar: tarfile.TarFile, file: "_Guarded", wanted: str) -> tarfile.TarInfo | None:
    pattern = re.compile(rf"(?:\./)?(?:(?!\.\./)[^/]+/)?{re.escape(wanted)}")
    for _ in range(MAX_MEMBERS):
        member = tar.next()
        if member is None:
            file.read_rest()  # damage looks like an end
            return None
        tar.members.clear()  # type: ignore[attr-defined]  # else each of them is remembered
        file.check_end(member.offset_data + member.size)
        if pattern.fullmatch(member.name) and member.isreg() and not member.issparse():
            return member
    raise BrokenArchive(f"{file.name} holds more than {MAX_MEMBERS:,} files; unpack it and send its outbox.json.")


class _Guarded(io.RawIOBase):
    """The unpacked file, of which never much is read at once, and not more in all than the packed one can honestly hold."""

    def __init__(self, file: IO[bytes], name: str, most_bytes: int) -> None:
        self.name = name
        self._file = file
        self._most_bytes = most_bytes
        self.found = False
        """No header is read any more."""

    def check_end(self, position: int) -> None:
        if position > self._most_bytes:
            raise BrokenArchive(f"{self.name} unpacks to more than {MAX_RATIO} times its size, as only a trap does; send its outbox.json.")

    def read(self, size: int = -1) -> bytes:
        if self.found:
            return self._file.read(size)
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise BrokenArchive(f"{self.name} has a header of {size:,} bytes, as only a trap has; unpack it and send its outbox.json.")
        data = self._file.read(size)
        if _LONG_NUMBER.search(data):
            raise BrokenArchive(f"{self.name} has a header with an endless number, as only a trap has; unpack it and send its outbox.json.")
        return data

    def read_rest(self) -> None:
        """To the end, where the checksum is."""
        while self._file.read(MIB):
            self.check_end(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _Reading:
    """A member while it is read."""

    def __init__(self, member: IO[bytes], whole: _Guarded, name: str) -> None:
        self._member, self._whole, self._name = member, whole, name
        self._bytes = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._member.read(size)
            if not data:
                self._whole.read_rest()
        except _DAMAGE as error:
            raise _damaged(self._name) from error
        self._bytes += len(data)
        if self._bytes > MAX_READ_BYTES:
            raise BrokenArchive(f"{self._name} holds more than {MAX_READ_BYTES // MIB:,} MiB of posts; send a part of them.")
        return data


def _damaged(name: str) -> BrokenArchive:
    return BrokenArchive(f"{name} is damaged or cut short; download it again and send the whole file.")
