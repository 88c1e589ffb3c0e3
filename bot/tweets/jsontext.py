"""JSON as tweets come in it: `window.YTD.tweets.part0 = [ … ]`, a bare array, or one object per line. Read item by item."""

import json
import re
from collections.abc import Iterator, Sequence

from bot.errors import BadInput, BrokenArchive
from bot.tweets.reading import NEXT_STEP, Stream, lines, pieces
from bot.tweets.records import Record

MAX_ITEM_CHARACTERS = 4_000_000
"""One tweet with all that X knows about it is some 2,000 characters, at most 30,000."""

# The name that an archive's file gives its data: `YTD.tweets.part0`, `Grailbird.data.tweets_2015_02`.
_GLOBAL_NAME = re.compile(r"\s*(?:var\s+)?([\w.$]+)\s*=\s*(?=[\[{])")
_AGAIN = "download or export it again and send the whole file."
_BETWEEN_ITEMS = re.compile(r"[\s,]*")
_KIND = re.compile(r"(?:window\.)?YTD\.(\w+)\.part\d+")
OWN_TWEETS = ("tweets", "tweet")


def assigned_name(head: str) -> str | None:
    """`window.YTD.tweets.part0` where `head` begins with such an assignment."""
    match = _GLOBAL_NAME.match(head)
    return match[1] if match else None


def kind_of(name: str) -> str | None:
    """`tweets`, `like`, `deleted_tweets` … where a file of an X archive has this global name."""
    match = _KIND.fullmatch(name)
    return match[1] if match else None


def array_records(stream: Stream, *, kinds: Sequence[str] = OWN_TWEETS) -> Iterator[Record]:
    """The objects of the one array in `stream`, each as soon as it was read. A file of an archive must be one of `kinds`.

    Not ijson: its path of a hundred thousand nested brackets filled the memory.

    Raises:
        BrokenArchive: no array of objects, or one that is damaged or cut short.
        BadInput: an archive's file of another kind, or bytes that are no text.
    """
    window = _Window(stream)
    window.fill()
    kind = kind_of(assigned_name(window.text) or "")
    if kind is not None and kind not in kinds:
        raise BadInput(f"{stream.name} holds the archive's {kind[:40]}, not the person's own tweets; {NEXT_STEP}")
    window.position = window.text.find("[") + 1
    if not window.position:
        raise BrokenArchive(f"{stream.name} holds no list of tweets; {NEXT_STEP}")
    yield from window.items()
    window.expect_end()


def member_records(stream: Stream, name: str) -> Iterator[Record]:
    """The objects of the array that stands under `name`, near its beginning, in the one object in `stream`.

    Raises:
        BrokenArchive: no such array, or one that is damaged or cut short.
        BadInput: bytes that are no text.
    """
    window = _Window(stream)
    window.fill()
    start = re.search(rf'"{name}"\s*:\s*\[', window.text)
    if start is None:
        raise BrokenArchive(f"{stream.name} holds no list of posts under {name!r}; {_AGAIN}")
    window.position = start.end()
    yield from window.items()
    while window.fill():  # so that a zip's checksum is looked at
        window.position = len(window.text)


class _Window:
    """The part of a long text that is being read, refilled as it is used up."""

    def __init__(self, stream: Stream) -> None:
        self.name = stream.name
        self.text = ""
        self.position = 0
        self._pieces = pieces(stream)
        self._decoder = json.JSONDecoder()

    def fill(self) -> bool:
        """Add the next piece; False at the end of the text."""
        piece = next(self._pieces, "")
        self.text = self.text[self.position :] + piece
        self.position = 0
        return bool(piece)

    def items(self) -> Iterator[Record]:
        """The objects up to the end of the array."""
        count = 0
        while (item := self.next_item(count)) is not None:
            count += 1
            yield f"Tweet {count:,} of {self.name}", item

    def next_item(self, count: int) -> dict[str, object] | None:
        """The next object, or None where the array ends; `count` have been read."""
        while True:
            self.position = _BETWEEN_ITEMS.match(self.text, self.position).end()  # type: ignore[union-attr]  # matches nothing too
            if self.text.startswith("]", self.position):
                self.position += 1
                return None
            try:
                item, end = self._decoder.raw_decode(self.text, self.position)
            except (ValueError, RecursionError) as error:
                if len(self.text) - self.position > MAX_ITEM_CHARACTERS:
                    raise BrokenArchive(f"{self.name} is damaged at tweet {count + 1:,}; {_AGAIN}") from error
                if not self.fill():
                    raise BrokenArchive(f"{self.name} breaks off or is damaged at tweet {count + 1:,}; {_AGAIN}") from error
                continue
            if not isinstance(item, dict):
                raise BrokenArchive(f"{self.name} is not a list of tweets: item {count + 1:,} is no object; {NEXT_STEP}")
            self.position = end
            return item

    def expect_end(self) -> None:
        """Read to the end of the text, so that a zip's checksum is looked at."""
        more = True
        while more:
            if self.text[self.position :].strip().strip(";"):
                raise BrokenArchive(f"{self.name} goes on after its list of tweets; send each list as its own file.")
            self.position = len(self.text)
            more = self.fill()


def line_records(stream: Stream) -> Iterator[Record]:
    """The objects of JSON lines; empty lines are skipped.

    Raises:
        BadInput: a line that is no JSON object, or bytes that are no text.
    """
    for number, line in enumerate(lines(stream), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise BadInput(
                f"{stream.name} is not JSON lines: line {number:,} is no JSON object; write one tweet per line, or one JSON array."
            )
        yield f"Line {number:,} of {stream.name}", record


def read_object(stream: Stream) -> dict[str, object]:
    """The one object of a small file such as `manifest.js`; empty when there is none that can be read."""
    try:
        text = "".join(pieces(stream))
        value = json.loads(text[text.find("=") + 1 :].strip().rstrip(";"))
    except (BadInput, ValueError, RecursionError):
        return {}
    if isinstance(value, list):
        value = value[0] if value else {}
    return value if isinstance(value, dict) else {}
