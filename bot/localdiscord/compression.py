"""How a gateway connection packs what it sends: not at all, or as one compressed stream for its whole life."""

import zlib
from typing import Protocol

import zstandard


class Packer(Protocol):
    """Packs message after message of one connection."""

    def pack(self, text: str) -> str | bytes:
        """A text frame's content, or a binary frame's."""


class Plain:
    """TEXT frames as they are."""

    def pack(self, text: str) -> str:
        return text


class ZlibStream:
    """One zlib stream; every message ends in a sync flush (00 00 ff ff)."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def pack(self, text: str) -> bytes:
        return self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    """One zstd frame for the connection, flushed after every message. A frame for each message would break clients."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor().compressobj()

    def pack(self, text: str) -> bytes:
        return self._stream.compress(text.encode()) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def packer(kind: str | None) -> Packer:
    """The packer for the `compress` of the query. Unknown kinds are sent plain, as nothing forbids."""
    if kind == "zlib-stream":
        return ZlibStream()
    if kind == "zstd-stream":
        return ZstdStream()
    return Plain()
