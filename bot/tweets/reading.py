"""From bytes to text: encodings, pieces and lines, never more than a piece in memory.

Every text that Mynah reads is UTF-8, or UTF-16 or UTF-32 that says so by its first bytes. Anything else is refused with the line where it
shows: a guess would teach broken letters.
"""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.errors import BadInput

PIECE_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 4_000_000
"""A line of JSON with everything that the API tells about one tweet is some 30,000."""

NEXT_STEP = (
    "give the X archive zip, its tweets.js, the export of a Mastodon account or its outbox.json, JSON lines, CSV, or a .txt with one tweet "
    "per line."
)
"""How a sentence about a wrong file ends."""

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Stream:
    """An open file, or an open member of a zip."""

    name: str
    """What a message calls it."""
    read: Callable[[int], bytes]
    """At most so many bytes, none at the end."""


@contextmanager
def open_stream(path: Path, name: str) -> Iterator[Stream]:
    """The file at `path`, called `name`."""
    with path.open("rb") as file:
        yield Stream(name, file.read)


def encoding_of(head: bytes) -> str:
    """By the byte order mark; UTF-8 without one."""
    return next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), "utf-8")


def pieces(stream: Stream) -> Iterator[str]:
    """The text of `stream`, about 1 MiB at a time, without a byte order mark.

    Raises:
        BadInput: a byte that is no text in this encoding, with its line.
    """
    line = 1
    data = stream.read(PIECE_BYTES)
    encoding = encoding_of(data)
    decoder = codecs.getincrementaldecoder(encoding)()
    while True:
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            wrong = error.object[error.start]
            line += error.object.count(b"\n", 0, error.start)
            message = f"{stream.name} is not {encoding.removesuffix('-sig').upper()} text: line {line:,} holds the byte 0x{wrong:02X}"
            raise BadInput(f"{message}; save it as UTF-8 and send it again.") from error
        line += text.count("\n")
        if text:
            yield text
        if not data:
            return
        data = stream.read(PIECE_BYTES)


def lines(stream: Stream) -> Iterator[str]:
    r"""The lines of `stream`, each with its \n, whichever of \r\n, \n and \r ended it.

    Raises:
        BadInput: a line of more than 4,000,000 characters, or a byte that is no text.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    rest = ""
    number = 1
    for piece in pieces(stream):
        *whole, rest = (rest + newlines.decode(piece)).split("\n")
        for line in whole:
            yield line + "\n"
        number += len(whole)
        if len(rest) > MAX_LINE_CHARACTERS:
            raise BadInput(
                f"{stream.name} is not made of tweets: line {number} is longer than {MAX_LINE_CHARACTERS:,} characters; {NEXT_STEP}"
            )
    rest += newlines.decode("", final=True)
    if rest:
        yield rest if rest.endswith("\n") else rest + "\n"
