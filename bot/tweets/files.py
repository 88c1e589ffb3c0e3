"""Reads whatever file of tweets a person gives: what it is is told by its content first, then by its name."""

import re
from collections.abc import Iterator
from pathlib import Path

from bot.errors import BadInput, BrokenArchive
from bot.tweets.archive import read_archive
from bot.tweets.jsontext import array_items, assigned_name, line_objects
from bot.tweets.reading import NEXT_STEP, Part, encoding_of, file_part, lines
from bot.tweets.records import to_profile, to_tweet, unwrap
from bot.tweets.source import Profile, Tweet
from bot.tweets.tables import find_delimiter, table_tweets

MAX_TWEETS = 1_000_000
MAX_FILE_BYTES = 2 << 30
HEAD_BYTES = 1 << 16

_TEXT_SUFFIXES = {".txt", ".text", ""}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BINARY = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF89a": "a GIF picture",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\xfd7zXZ": "an xz file",
    b"SQLite format 3": "a database",
    b"\x7fELF": "a program",
}
_WEB_PAGE = re.compile(r"\s*<(?:!doctype|\?xml|html|head|body|!--)", re.IGNORECASE)
_JSON_ARRAY = re.compile(r"\s*\[\s*[\]{]")
_JSON_OBJECT = re.compile(r'\s*\{\s*["}]')


def read_source(path: Path, *, file_name: str | None = None) -> tuple[Profile, Iterator[Tweet]]:
    """Who wrote the tweets in the file at `path`, and the tweets, read as they are asked for.

    `file_name` is what the person calls the file, where that differs from its name on disk.

    Raises:
        BadInput: not a file of tweets. Some faults show only when the tweets are read: then the iterator raises.
        BrokenArchive: damaged, hostile, or of no known layout; the same holds.
    """
    name = file_name or path.name
    if not path.is_file():
        raise BadInput(f"There is no file {name}. {NEXT_STEP}")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        profile, tweets = read_archive(path, name)
    else:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"{name} is larger than {MAX_FILE_BYTES >> 20:,} MiB. Send a part of it.")
        profile, tweets = _read_text_file(file_part(path, name), head, Path(name).suffix.lower())
    return profile, _limited(tweets, name)


def _limited(tweets: Iterator[Tweet], name: str) -> Iterator[Tweet]:
    for number, tweet in enumerate(tweets, start=1):
        if number > MAX_TWEETS:
            raise BadInput(f"{name} holds more than {MAX_TWEETS:,} tweets. Send a part of them.")
        yield tweet


def _read_text_file(part: Part, head: bytes, suffix: str) -> tuple[Profile, Iterator[Tweet]]:
    _refuse_binary(part.name, head, suffix)
    # A letter may be cut in two where the head ends, and what is wrong in it is told when it is read.
    text = head.decode(encoding_of(head), errors="ignore")
    if not text.strip():
        raise BadInput(f"{part.name} is empty. {NEXT_STEP}")
    if _WEB_PAGE.match(text):
        raise BadInput(f"{part.name} is a web page. {NEXT_STEP}")
    if assigned_name(text) or _JSON_ARRAY.match(text) or (suffix in {".js", ".json"} and text.lstrip().startswith("[")):
        return _read_array(part)
    if _JSON_OBJECT.match(text) or suffix in {".json", ".jsonl", ".ndjson"}:
        return _read_json_lines(part)
    if suffix in {".csv", ".tsv"} or (suffix in _TEXT_SUFFIXES and _is_header(text)):
        return Profile(), table_tweets(part)
    if suffix in _TEXT_SUFFIXES:
        return Profile(), _read_lines(part)
    raise BadInput(f"{part.name} is no file of tweets that Mynah knows. {NEXT_STEP}")


def _refuse_binary(name: str, head: bytes, suffix: str) -> None:
    if not head:
        raise BadInput(f"{name} is empty. {NEXT_STEP}")
    kind = next((kind for mark, kind in _BINARY.items() if head.startswith(mark)), None)
    if kind is None and b"\0" in head and encoding_of(head) in {"utf-8", "utf-8-sig"}:
        kind = "no text, or UTF-16 without its mark"
    if kind is not None:
        raise BadInput(f"{name} is {kind}. {NEXT_STEP}")
    if suffix == ".zip":
        raise BrokenArchive(f"{name} is no zip, whatever its name says. Download it again and send the whole file.")


def _is_header(text: str) -> bool:
    """A first line with a column of texts and others, each named in a word or two."""
    header = text.splitlines()[0]
    delimiter = find_delimiter(header)
    return delimiter is not None and delimiter in header and all(len(cell) <= 40 for cell in header.split(delimiter))


def _read_array(part: Part) -> tuple[Profile, Iterator[Tweet]]:
    first = unwrap(next(array_items(part), {}))
    return to_profile(first), (
        to_tweet(unwrap(item), f"Tweet {number:,} of {part.name}") for number, item in enumerate(array_items(part), start=1)
    )


def _read_json_lines(part: Part) -> tuple[Profile, Iterator[Tweet]]:
    _, first = next(line_objects(part), (0, {}))
    return to_profile(first), (to_tweet(unwrap(record), f"Line {number:,} of {part.name}") for number, record in line_objects(part))


def _read_lines(part: Part) -> Iterator[Tweet]:
    for number, line in enumerate(lines(part), start=1):
        if line.strip():
            yield to_tweet({"text": line}, f"Line {number:,} of {part.name}")
