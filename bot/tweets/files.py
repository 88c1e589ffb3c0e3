"""Reads whatever file of tweets a person gives: what it is is told by its content first, then by its name."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bot.errors import BadInput, BrokenArchive
from bot.tweets.archive import read_archive
from bot.tweets.edits import last_versions
from bot.tweets.jsontext import array_records, assigned_name, line_records
from bot.tweets.members import Members
from bot.tweets.outbox import find_outbox, is_outbox, read_outbox, read_tar, read_zip
from bot.tweets.reading import NEXT_STEP, Stream, encoding_of, lines, open_stream
from bot.tweets.records import Record, to_profile, to_tweet, unwrap
from bot.tweets.source import Profile, Tweet
from bot.tweets.tables import find_delimiter, table_records
from bot.tweets.tars import is_tar

Reader = Callable[[Stream], Iterator[Record]]

MAX_TWEETS = 5_000_000
MAX_FILE_BYTES = 12 << 30
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
    if path.is_dir():
        raise BadInput(f"{name} is a folder; give the file data/tweets.js in it, or the zip as X made it.")
    if not path.is_file():
        raise BadInput(f"There is no file {name}; {NEXT_STEP}")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        profile, tweets = _read_zip(path, name)
    elif is_tar(path):
        profile, tweets = read_tar(path, name)
    else:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"{name} is larger than {MAX_FILE_BYTES >> 20:,} MiB; send a part of it.")
        profile, tweets = _read_text_file(path, name, head)
    return profile, _limited(tweets, name)


def _read_zip(path: Path, name: str) -> tuple[Profile, Iterator[Tweet]]:
    with Members(path, name) as members:
        outbox = find_outbox(members.names)
    return read_zip(path, name, outbox) if outbox else read_archive(path, name)


def _limited(tweets: Iterator[Tweet], name: str) -> Iterator[Tweet]:
    for number, tweet in enumerate(tweets, start=1):
        if number > MAX_TWEETS:
            raise BadInput(f"{name} holds more than {MAX_TWEETS:,} tweets; send a part of them.")
        yield tweet


def _read_text_file(path: Path, name: str, head: bytes) -> tuple[Profile, Iterator[Tweet]]:
    suffix = Path(name).suffix.lower()
    _refuse_binary(name, head, suffix)
    # A letter may be cut in two where the head ends, and what is wrong in it is told when it is read.
    text = head.decode(encoding_of(head), errors="ignore")
    if not text.strip():
        raise BadInput(f"{name} is empty; {NEXT_STEP}")
    if _WEB_PAGE.match(text):
        raise BadInput(f"{name} is a web page; {NEXT_STEP}")
    if is_outbox(text):
        return read_outbox(path, name)
    reader = _choose_reader(text, suffix)
    if reader is None:
        raise BadInput(f"{name} is no file of tweets that Mynah knows; {NEXT_STEP}")
    with open_stream(path, name) as stream:
        _, first = next(reader(stream), ("", {}))
    return to_profile(unwrap(first)), last_versions(_tweets(path, name, reader))


def _refuse_binary(name: str, head: bytes, suffix: str) -> None:
    if not head:
        raise BadInput(f"{name} is empty; {NEXT_STEP}")
    kind = next((kind for mark, kind in _BINARY.items() if head.startswith(mark)), None)
    if kind is None and b"\0" in head and encoding_of(head).startswith("utf-8"):
        kind = "no text, or UTF-16 without its mark"
    if kind is not None:
        raise BadInput(f"{name} is {kind}; {NEXT_STEP}")
    if suffix == ".zip":
        raise BrokenArchive(f"{name} is no zip, whatever its name says; download it again and send the whole file.")


def _choose_reader(head: str, suffix: str) -> Reader | None:
    if assigned_name(head) or _JSON_ARRAY.match(head) or (suffix in {".js", ".json"} and head.lstrip().startswith("[")):
        return array_records
    if _JSON_OBJECT.match(head) or suffix in {".json", ".jsonl", ".ndjson"}:
        return line_records
    if suffix in {".csv", ".tsv"} or (suffix in _TEXT_SUFFIXES and _is_header(head)):
        return table_records
    return _text_records if suffix in _TEXT_SUFFIXES else None


def _is_header(text: str) -> bool:
    """A first line with a column of texts and others, each named in a word or two."""
    header = text.splitlines()[0]
    delimiter = find_delimiter(header)
    return delimiter is not None and delimiter in header and all(len(cell) <= 40 for cell in header.split(delimiter))


def _text_records(stream: Stream) -> Iterator[Record]:
    for number, line in enumerate(lines(stream), start=1):
        if line.strip():
            yield f"Line {number:,} of {stream.name}", {"text": line.strip()}


def _tweets(path: Path, name: str, reader: Reader) -> Iterator[tuple[Mapping[str, object], Tweet]]:
    """Each with its record."""
    author: str | None = None
    with open_stream(path, name) as stream:
        for where, item in reader(stream):
            record = unwrap(item)
            named = to_profile(record).handle
            if named and author and named.lower() != author.lower():
                raise BadInput(f"{where} is by @{named} and those before by @{author}: give the tweets of one account at a time.")
            author = author or named
            yield record, to_tweet(record, where)
