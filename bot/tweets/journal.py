"""What has been fetched of one account: each page is on the disk, with where the next one begins, before that is asked for.

    <file>.pages   one JSON object per line: the account, each page, and each time that the source had to be left alone
    <file>.known   tweets of the account that were there before, as lines of a corpus
    <file>         in the end: JSON lines as `read_source` reads them

A line that was cut off by a crash counts as not written. All of this waits for the disk: it is nothing for an event loop.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from bot.tweets.source import Page, Profile


class Journal:
    """The pages of one account, in the order in which they came."""

    def __init__(self, path: Path, handle: str) -> None:
        """Read what there is for the file at `path`; a last line that is not whole is removed."""
        self._path, self._handle = path, handle
        self._pages, self._known = path.with_name(f"{path.name}.pages"), path.with_name(f"{path.name}.known")
        self.profile: Profile | None = None
        self.since: str | None = None
        """Only what is newer than this id is asked for."""
        self.pages: list[int] = []
        """How many posts the source sent with each."""
        self.cursor: str | None = None
        self._cursors: set[str | None] = set()
        self._ids: set[str] = set()
        self._repeats = 0
        """Pages with nothing but what had come before, since the last that was none."""
        self.ended = False
        """Nothing more is to be asked for."""
        self.note: str | None = None
        """Why it ended before all was read: a sentence for people."""
        self.tries = 0
        """How often the source had to be left alone since the last page."""
        for line in self._whole_lines():
            self._take(line)

    @property
    def exists(self) -> bool:
        """Whether something was begun, and not yet cleared away."""
        return self._pages.exists()

    @property
    def is_written(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    @property
    def read(self) -> int:
        """Posts that the source sent in all."""
        return sum(self.pages)

    def keep_known(self, corpus: Path, *, digits: bool) -> tuple[int, str | None]:
        """Set the account's tweets in a corpus aside; how many they are, and the newest id of those that are numbers, or that are none."""
        newest, count = None, 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with corpus.open(encoding="utf-8") as lines, self._known.open("w", encoding="utf-8") as known:
            for line in lines:
                tweet = json.loads(line)
                if tweet.get("author_handle") not in (None, self._handle):
                    continue
                known.write(line.rstrip("\n") + "\n")
                count += 1
                number = tweet.get("id")
                if number and number.isdigit() == digits:
                    newest = max(newest or "", number, key=_age)
            _to_disk(known)
        return count, newest

    def drop_known(self) -> None:
        """They are of no use."""
        self._known.unlink(missing_ok=True)

    def begin(self, profile: Profile, since: str | None) -> None:
        """Whose posts are going to come, and from where on."""
        self._append({"profile": asdict(profile), "since": since})

    def add(self, page: Page) -> None:
        """The next page."""
        tweets = [asdict(tweet) | {"created_at": tweet.created_at and tweet.created_at.isoformat()} for tweet in page.tweets]
        self._append({"read": page.read, "cursor": page.cursor, "tweets": tweets})

    def turns(self, page: Page) -> bool:
        """Whether the source leads back to where it has been, or gives a second page in a row with nothing but what it gave before."""
        return page.cursor in self._cursors or bool(self._repeats and self._is_repeat([tweet.id for tweet in page.tweets]))

    def _is_repeat(self, ids: Sequence[str | None]) -> bool:
        return bool(ids) and all(one in self._ids for one in ids)

    def put_off(self) -> None:
        """The source had to be left alone."""
        self._append({"tries": self.tries + 1})

    def cut_short(self, note: str) -> None:
        """Let it be enough, and say why."""
        self._append({"note": note})

    def write(self) -> int:
        """Write the file: what was fetched, then what was known before, each tweet once. Gives how many there are."""
        new = self._path.with_name(f"{self._path.name}.new")
        count = 0
        with new.open("w", encoding="utf-8") as file:
            for tweet in self._each_once():
                file.write(json.dumps(tweet) + "\n")
                count += 1
            _to_disk(file)
        new.replace(self._path)
        _folder_to_disk(self._path.parent)
        return count

    def clear(self) -> None:
        """Remove all but the file."""
        self._known.unlink(missing_ok=True)
        self._pages.unlink(missing_ok=True)

    def _each_once(self) -> Iterator[dict[str, Any]]:
        """The tweets that were fetched, newest first, then those that were known and are not among them."""
        whose = {"author_handle": self._handle, "author_name": self.profile and self.profile.name}
        seen: set[str] = set()
        for line in self._whole_lines():
            for tweet in line.get("tweets", ()):
                if tweet["id"] is None or tweet["id"] not in seen:
                    seen.add(tweet["id"])
                    yield whose | tweet
        if self._known.exists():
            with self._known.open(encoding="utf-8") as lines:
                yield from (tweet | whose for tweet in map(json.loads, lines) if tweet.get("id") not in seen)

    def _append(self, line: dict[str, Any]) -> None:
        """Add a line, which counts when this returns."""
        is_new = not self._pages.exists()
        self._pages.parent.mkdir(parents=True, exist_ok=True)
        with self._pages.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            _to_disk(file)
        if is_new:
            _folder_to_disk(self._pages.parent)
            _folder_to_disk(self._pages.parent.parent)
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        match line:
            case {"profile": profile, "since": since}:
                self.profile, self.since, self.tries = Profile(**profile), since, 0
            case {"read": read, "cursor": cursor, "tweets": tweets}:
                self.pages.append(read)
                self.cursor, self.tries = cursor, 0
                self._cursors.add(cursor)
                ids = [tweet["id"] for tweet in tweets]
                self._repeats = self._repeats + 1 if self._is_repeat(ids) else 0
                self._ids.update(filter(None, ids))
                self.ended = cursor is None
            case {"tries": tries}:
                self.tries = tries
            case {"note": note}:
                self.note, self.ended = note, True

    def _whole_lines(self) -> Iterator[dict[str, Any]]:
        try:
            file = self._pages.open("rb+")
        except FileNotFoundError:
            return
        with file:
            whole = 0
            for line in file:
                try:
                    parsed = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    parsed = None
                if not isinstance(parsed, dict):
                    break
                whole += len(line)
                yield parsed
            file.truncate(whole)


def _age(number: str) -> tuple[int, str]:
    """Ids grow with time: as numbers, or as texts of one length."""
    return len(number), number


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
