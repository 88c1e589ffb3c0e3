"""A person's X archive, as X gives it for download, in each layout that X has used.

    since 2022    data/manifest.js, data/tweets.js, data/tweets-part1.js …   window.YTD.tweets.part0 = [{"tweet": {…}}, …]
    2019 to 2022  data/tweet.js or tweet.js                                  the same, in some without the wrapper
    until 2018    data/js/tweets/2015_02.js …, tweets.csv ("Grailbird")      Grailbird.data.tweets_2015_02 = [{…}, …]

The whole may stand in one folder of the zip. Nothing else is opened: no deleted tweets, messages, circles, and the account file only where
no manifest names the account.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import BrokenArchive
from bot.tweets.edits import last_versions
from bot.tweets.jsontext import OWN_TWEETS, array_records, kind_of, read_object
from bot.tweets.longposts import LongPosts
from bot.tweets.members import Members
from bot.tweets.reading import NEXT_STEP
from bot.tweets.records import to_name, to_profile, to_tweet, unwrap
from bot.tweets.source import Profile, Tweet
from bot.tweets.tables import table_records

MAX_INDEX_BYTES = 1 << 20
"""Of manifest.js, account.js and user_details.js, which have some 30,000; as objects they take thirty times as much."""

_PART = re.compile(r"(?P<folder>(?:.*/)?)(?P<kind>tweets?|note-tweet)(?:-part(?P<number>\d+))?\.js")
_GRAILBIRD = re.compile(r"(?P<root>(?:.*/)?)data/js/tweets/(?P<month>\d{4}_\d{2})\.js")
_MANIFEST = re.compile(r"(?P<root>(?:.*/)?)data/manifest\.js")
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
    listed: tuple[str, ...] = ()
    """What the manifest names as files of tweets, there or not."""


def read_archive(path: Path, name: str) -> tuple[Profile, Iterator[Tweet]]:
    """Whose archive the zip at `path` is, and its tweets, read as they are asked for.

    Raises:
        BrokenArchive: damaged, hostile, or no archive of X; later, from the iterator, also BadInput for bytes that are no text.
    """
    with Members(path, name) as members:
        layout = find_layout(members)
        profile = _profile(members, layout.root)
        missing = _missing(members, layout.listed)
    return replace(profile, note=missing), _tweets(path, name, layout, (profile.handle or "").lower())


def find_layout(members: Members) -> Layout:
    """Where the tweets are.

    Raises:
        BrokenArchive: nowhere, or in more than one archive.
    """
    months = [match for name in members.names if (match := _GRAILBIRD.fullmatch(name))]
    if months:
        months.sort(key=lambda match: match["month"], reverse=True)
        return Layout(_only_root(members, {match["root"] for match in months}), tuple(match.string for match in months))
    found = [match for name in members.names if (match := _PART.fullmatch(name)) and "assets/" not in name]
    manifests = {match["root"] for name in members.names if (match := _MANIFEST.fullmatch(name))}
    roots = manifests | {_root(match) for match in found}
    if roots:
        root = _only_root(members, roots)
        listed = tuple(dict.fromkeys(_listed(members, root)))
        return Layout(root, _tweet_parts(members, listed, found), _in_order(found, "note-tweet"), listed=listed)
    tables = {match["root"]: name for name in members.names if (match := _TABLE.fullmatch(name))}
    root = _only_root(members, set(tables))
    return Layout(root, table=tables[root])


def _only_root(members: Members, roots: set[str]) -> str:
    if len(roots) == 1:
        return next(iter(roots))
    if roots:
        shown = ", ".join(ascii(root[-80:] or "/") for root in sorted(roots)[:3])
        raise BrokenArchive(f"{members.name} holds {len(roots)} archives ({shown}); send them one at a time.")
    inner = next((name for name in members.names if name.lower().endswith(".zip")), None)
    if inner is not None:
        raise BrokenArchive(f"{members.name} holds another zip ({inner[:80]!a}) and no tweets; unpack it and send the inner one.")
    raise BrokenArchive(
        f"{members.name} holds no tweets among its {len(members.names):,} files: an X archive has data/tweets.js; {NEXT_STEP}"
    )


def _root(match: re.Match[str]) -> str:
    return match["folder"].removesuffix("data/")


def _tweet_parts(members: Members, listed: Sequence[str], found: Iterable[re.Match[str]]) -> tuple[str, ...]:
    """What the manifest lists and the zip has, and then what is there by name."""
    found = list(found)
    named = _in_order(found, "tweets") or _in_order(found, "tweet")
    there = set(members.names)
    parts = tuple(dict.fromkeys([*(name for name in listed if name in there), *named]))
    if not parts:
        raise BrokenArchive(
            f"{members.name} holds no tweets: the files that its manifest names are missing; download the archive again from X."
        )
    return parts


def _missing(members: Members, listed: Sequence[str]) -> str | None:
    """A sentence where the manifest names files of tweets that the zip has not."""
    there = set(members.names)
    found = sum(name in there for name in listed)
    if found == len(listed):
        return None
    return (
        f"{members.name} holds {found:,} of the {len(listed):,} files of tweets that its manifest names, so tweets are missing: "
        "download the archive again from X to have them all."
    )


def _in_order(found: Iterable[re.Match[str]], kind: str) -> tuple[str, ...]:
    chosen = [match for match in found if match["kind"] == kind]
    return tuple(match.string for match in sorted(chosen, key=lambda match: int(match["number"] or 0)))


def _listed(members: Members, root: str) -> Iterator[str]:
    """Full names of the tweet files in the manifest."""
    kinds = _mapping(_index(members, f"{root}data/manifest.js").get("dataTypes"))
    for kind in OWN_TWEETS:
        files = _mapping(kinds.get(kind)).get("files")
        for file in files if isinstance(files, list) else ():
            name = str(_mapping(file).get("fileName"))
            if kind_of(str(_mapping(file).get("globalName"))) == kind and name.rpartition("/")[2].startswith("tweet"):
                yield root + name


def _profile(members: Members, root: str) -> Profile:
    """The account's name from the manifest; from the account file where there is no manifest. Nothing else is kept of either."""
    user = _mapping(_index(members, f"{root}data/manifest.js").get("userInfo"))
    if user:
        return Profile(to_name(user.get("userName")), to_name(user.get("displayName")))
    for name in (f"{root}data/account.js", f"{root}account.js"):
        account = _mapping(_index(members, name).get("account"))
        if account:
            return Profile(to_name(account.get("username")), to_name(account.get("accountDisplayName")))
    user = _index(members, f"{root}data/js/user_details.js")
    return Profile(to_name(user.get("screen_name")), to_name(user.get("full_name")))


def _index(members: Members, name: str) -> dict[str, object]:
    """One of the archive's small files; empty when it is missing or cannot be read, for the tweets can do without."""
    if name not in members.names or members.size(name) > MAX_INDEX_BYTES:
        return {}
    with members.open(name) as stream:
        return read_object(stream)


def _tweets(path: Path, name: str, layout: Layout, owner: str) -> Iterator[Tweet]:
    with Members(path, name) as members:
        if layout.table is not None:
            with members.open(layout.table) as stream:
                yield from (to_tweet(record, where) for where, record in table_records(stream))
        long_posts = LongPosts()
        for note in layout.notes:
            with members.open(note) as stream:
                long_posts.read(stream)
        yield from map(long_posts.whole, last_versions(_own_tweets(members, layout, owner)))


def _own_tweets(members: Members, layout: Layout, owner: str) -> Iterator[tuple[Mapping[str, object], Tweet]]:
    """Each with its record. Of whom a tweet is only the layout until 2018 says."""
    for part in layout.parts:
        with members.open(part) as stream:
            for where, item in array_records(stream):
                record = unwrap(item)
                author = to_profile(record).handle
                if not owner or author is None or author.lower() == owner:
                    yield record, to_tweet(record, where)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
