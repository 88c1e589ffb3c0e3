"""Bluesky's author feed as tweets: pure, and in a thread, for a page has a hundred posts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.tweets.facets import with_links
from bot.tweets.plain import as_x_writes
from bot.tweets.records import MAX_TWEET_CHARACTERS, parse_time
from bot.tweets.source import Tweet
from bot.tweets.wishes import labels

_REPOST = "app.bsky.feed.defs#reasonRepost"
_PIN = "app.bsky.feed.defs#reasonPin"
# The key of a record: microseconds since 1970 and ten bits against collisions, in an alphabet that sorts as the numbers do.
_TID_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_TID = re.compile(rf"[{_TID_LETTERS[:16]}][{_TID_LETTERS}]{{12}}")


@dataclass(frozen=True)
class _Entry:
    """An item of the feed."""

    tweet: Tweet
    at: datetime | None
    """Where it stands in the feed: when it was posted, or reposted."""
    is_pinned: bool
    is_shown: bool
    """Not labelled, by its author or by Bluesky, as what a reader is to be warned of; and not longer than a post can be."""


def tweets(items: list[object], did: str, *, since: str | None = None, is_last: bool = True) -> tuple[tuple[Tweet, ...], bool]:
    """The posts of a page that are newer than the one with the id `since`, each once; and whether the page reaches that one.

    A pinned post comes before all others. Where it belongs it comes again, unless that is on the same page: so it is left out where the
    page neither is the last nor reaches back to its time.
    """
    entries = [entry for item in items if (entry := _entry(item, did)) is not None]
    posts = [entry for entry in entries if not entry.is_pinned]
    oldest = min((entry.at for entry in posts if entry.at is not None), default=None)
    pins = [entry for entry in entries if entry.is_pinned and (is_last or (entry.at and oldest and entry.at >= oldest))]
    chosen: dict[object, Tweet] = {}
    for number, entry in enumerate(posts + pins):
        if entry.is_shown and not _is_old(entry, since):
            chosen.setdefault(entry.tweet.id or number, entry.tweet)
    return tuple(chosen.values()), any(_is_old(entry, since) for entry in posts)


def _entry(item: object, did: str) -> _Entry | None:
    """None where there is no post: it was deleted, or is hidden."""
    post, reason = _get(item, "post"), _get(item, "reason")
    record, author = _get(post, "record"), _get(post, "author")
    if not isinstance(post, Mapping) or not isinstance(record, Mapping) or not isinstance(author, Mapping):
        return None
    posted = _time(record, "createdAt") or _time(post, "indexedAt")
    kind = _get(reason, "$type")
    if kind == _REPOST or author.get("did") != did:
        reposted = _time(reason, "indexedAt") or posted
        key = _key(_get(reason, "uri")) or (_key_of(reposted) if reposted else None)
        return _Entry(Tweet("", key, reposted, is_retweet=True), reposted, is_pinned=False, is_shown=True)
    text = _text(record.get("text"))
    shown = len(text) <= MAX_TWEET_CHARACTERS and not labels(_get(record.get("labels"), "values")) | labels(post.get("labels"))
    tweet = Tweet(as_x_writes(with_links(text, record.get("facets"))) if shown else "", _key(post.get("uri")), posted, whole=True)
    return _Entry(tweet, posted, is_pinned=kind == _PIN, is_shown=shown)


def _is_old(entry: _Entry, since: str | None) -> bool:
    """By the key where there is one: a post may bear any date."""
    if since is None or not _TID.fullmatch(since):
        return False
    if entry.tweet.id is not None and _TID.fullmatch(entry.tweet.id):
        return entry.tweet.id <= since
    return entry.at is not None and _key_of(entry.at) <= since


def _key_of(at: datetime) -> str:
    """What a record's key would be that was made at this moment."""
    number = max(0, (at - _BEGIN) // timedelta(microseconds=1)) << 10
    return "".join(_TID_LETTERS[number >> shift & 31] for shift in range(60, -1, -5))


def _key(uri: object) -> str | None:
    """The last part of `at://did/collection/key`."""
    return _text(uri).rpartition("/")[2] or None


def _time(item: object, name: str) -> datetime | None:
    return parse_time(_text(_get(item, name)))


def _get(item: object, name: str) -> object:
    return item.get(name) if isinstance(item, Mapping) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
