"""A person's X archive, as X gives it for download, in each layout that X has used.

    since 2022    data/manifest.js, data/tweets.js, data/tweets-part1.js …   window.YTD.tweets.part0 = [{"tweet": {…}}, …]
    2019 to 2022  data/tweet.js or tweet.js                                  the same, in some without the wrapper
    until 2018    data/js/tweets/2015_02.js …, tweets.csv ("Grailbird")      Grailbird.data.tweets_2015_02 = [{…}, …]

The whole may stand in one folder of the zip. Nothing else is opened: no deleted tweets, messages, circles, and the account file only where
no manifest names the account.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bot.errors import BrokenArchive
from bot.tweets.cleaning import unescape
from bot.tweets.jsontext import array_items, read_object
from bot.tweets.members import Members
from bot.tweets.reading import NEXT_STEP
from bot.tweets.records import parse_time, to_tweet
from bot.tweets.source import Profile, Tweet
from bot.tweets.tables import table_tweets

MAX_INDEX_BYTES = 16 << 20
"""Of manifest.js, account.js and user_details.js."""
NOTE_SECONDS = 10
"""How far the times of a long post may lie apart in tweets.js and note-tweet.js."""

_PART = re.compile(r"(?P<folder>(?:.*/)?)(?P<kind>tweets?|note-tweet)(?:-part(?P<number>\d+))?\.js")
_GRAILBIRD = re.compile(r"(?P<root>(?:.*/)?)data/js/tweets/(?P<month>\d{4}_\d{2})\.js")
_TABLE = re.compile(r"(?P<root>(?:.*/)?)tweets\.csv")


@dataclass(frozen=True)
class Layout:
    """Which members of the zip hold what. Names are full, files in the order in which they are read."""

    root: str
    """Folder that holds the archive, ending in /, or empty."""
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table: str | None = None
    """`tweets.csv`, where there is nothing better."""


def read_archive(path: Path, name: str) -> tuple[Profile, Iterator[Tweet]]:
    """Whose archive the zip at `path` is, and its tweets, read as they are asked for.

    Raises:
        BrokenArchive: damaged, hostile, or no archive of X; later, from the iterator, also BadInput for bytes that are no text.
    """
    with Members(path, name) as members:
        layout = find_layout(members)
        profile = _profile(members, layout.root)
    return profile, _tweets(path, name, layout)


def find_layout(members: Members) -> Layout:
    """Where the tweets are.

    Raises:
        BrokenArchive: nowhere, or in more than one archive.
    """
    months = sorted(match for name in members.names if (match := _GRAILBIRD.fullmatch(name)))
    return Layout("")


def _tweets(path: Path, name: str, layout: Layout) -> Iterator[Tweet]:
    with Members(path, name) as members:
        if layout.table is not None:
            yield from table_tweets(members.part(layout.table))
        notes = _long_posts(members, layout.notes)
        earlier: set[str] = set()
        for part_name in layout.parts:
            part = members.part(part_name)
            for number, item in enumerate(array_items(part), start=1):
                record = unwrap(item)
                if not _is_superseded(record, earlier):
                    yield _lengthened(to_tweet(record, f"Tweet {number:,} of {part.name}"), notes)
