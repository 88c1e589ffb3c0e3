"""The export of a Mastodon account: its outbox.json, alone or in the zip or tar.gz as the server gives it for download.

    outbox.json   {"@context": …, "type": "OrderedCollection", "orderedItems": [{"type": "Create", "object": {"type": "Note", …}}, …]}
    actor.json    whose it is

It holds the direct messages too: only what was addressed to everybody is read, and nothing of the export but these two files.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from yarl import URL

from bot.errors import BrokenArchive
from bot.tweets.jsontext import member_records, read_object
from bot.tweets.markup import without_pictures
from bot.tweets.members import Members
from bot.tweets.reading import Stream, open_stream
from bot.tweets.records import parse_time, to_name
from bot.tweets.source import Profile, Tweet
from bot.tweets.statuses import own_tweet, text_of
from bot.tweets.tars import open_member

Item = Mapping[str, object]
Opener = Callable[[], AbstractContextManager[Stream]]

OUTBOX = "outbox.json"
_ACTOR = "actor.json"
_MAX_ACTOR_BYTES = 1 << 20
_LIST = "orderedItems"

_HEAD = re.compile(rf'\s*\{{.*"(?:{_LIST}"\s*:\s*\[|type"\s*:\s*"OrderedCollection)', re.DOTALL)
_MEMBER = re.compile(rf"(?P<root>(?:[^/]+/)?){re.escape(OUTBOX)}")
_PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
_POSTS = {"Note", "Article", "Question", "Page"}
_PAGE_OF_NAME = re.compile(r"/@(?P<name>[^/@]+)(?:/|\Z)")
_NUMBER = re.compile(r"/(\d+)(?:/activity)?\Z")


def is_outbox(head: str) -> bool:
    """Whether a file that begins so is an outbox."""
    return _HEAD.match(head) is not None


def find_outbox(names: Iterable[str]) -> str | None:
    """The outbox among the files of a zip, at its top or in one folder."""
    return min((name for name in names if _MEMBER.fullmatch(name)), key=len, default=None)


def read_outbox(path: Path, name: str) -> tuple[Profile, Iterator[Tweet]]:
    """Whose outbox the file at `path` is, and the posts, read as they are asked for.

    Raises:
        BrokenArchive: damaged or cut short, or no list of posts; later, from the iterator, also BadInput for bytes that are no text.
    """
    return _read(lambda: open_stream(path, name), {})


def read_zip(path: Path, name: str, outbox: str) -> tuple[Profile, Iterator[Tweet]]:
    """The same of the member `outbox` of a zip."""
    actor_name = outbox.removesuffix(OUTBOX) + _ACTOR
    with Members(path, name) as members:
        actor: Item = {}
        if actor_name in members.names and members.size(actor_name) <= _MAX_ACTOR_BYTES:
            with members.open(actor_name) as stream:
                actor = read_object(stream)

    @contextmanager
    def opened() -> Iterator[Stream]:
        with Members(path, name) as members, members.open(outbox) as stream:
            yield stream

    return _read(opened, actor)


def read_tar(path: Path, name: str) -> tuple[Profile, Iterator[Tweet]]:
    """The same of the outbox in a tar, packed with gzip or not."""
    with open_member(path, name, _ACTOR) as stream:
        actor = read_object(_beginning(stream)) if stream else {}

    @contextmanager
    def opened() -> Iterator[Stream]:
        with open_member(path, name, OUTBOX) as stream:
            if stream is None:
                raise BrokenArchive(f"{name} holds no {OUTBOX}, as the export of a Mastodon account does; send that export.")
            yield stream

    return _read(opened, actor)


def _beginning(stream: Stream) -> Stream:
    """What an actor's file can have; a longer one is cut, and then it cannot be read."""
    rest = _MAX_ACTOR_BYTES

    def read(size: int) -> bytes:
        nonlocal rest
        data = stream.read(min(size, rest)) if rest else b""
        rest -= len(data)
        return data

    return Stream(stream.name, read)


def _read(opener: Opener, actor: Item) -> tuple[Profile, Iterator[Tweet]]:
    with opener() as stream:
        _, first = next(member_records(stream, _LIST), ("", {}))
    owner = text_of(actor, "id") or next(iter(_addresses(first.get("actor"))), "")
    return _profile(actor, owner, first), _tweets(opener, owner)


def _tweets(opener: Opener, owner: str) -> Iterator[Tweet]:
    with opener() as stream:
        for _, item in member_records(stream, _LIST):
            tweet = _tweet(item, owner)
            if tweet is not None:
                yield tweet


def _tweet(item: Item, owner: str) -> Tweet | None:
    """None for what is no post of the owner's, or not for everybody."""
    inner = item.get("object")
    post = inner if item.get("type") == "Create" and isinstance(inner, Mapping) else item
    if not _is_public(post if "to" in post or "cc" in post else item):
        return None
    time = text_of(post, "published") or text_of(item, "published")
    if post.get("type") == "Announce":
        return Tweet("", _key(post), parse_time(time), is_retweet=True)
    author = _addresses(post.get("attributedTo")) or _addresses(item.get("actor"))
    if text_of(post, "type") not in _POSTS or (author and owner not in author):
        return None
    return own_tweet(
        _content(post),
        warning=post.get("summary"),
        key=_key(post),
        time=time,
        emoji=_emoji(post.get("tag")),
        is_reply=bool(post.get("inReplyTo")),
    )


def _content(post: Item) -> str:
    by_language = post.get("contentMap")
    texts = [post.get("content"), *(by_language.values() if isinstance(by_language, Mapping) else ())]
    return next((text for text in texts if isinstance(text, str)), "")


def _is_public(post: Item) -> bool:
    """To everybody, or unlisted."""
    return bool(_PUBLIC & {*_addresses(post.get("to")), *_addresses(post.get("cc"))})


def _addresses(value: object) -> list[str]:
    """Of one or several, each by its address alone or as an object."""
    several = value if isinstance(value, list) else [value]
    found = [one.get("id") if isinstance(one, Mapping) else one for one in several]
    return [one for one in found if isinstance(one, str) and one]


def _key(post: Item) -> str | None:
    """The number that the server's API gives the post, else its address."""
    address = text_of(post, "id")
    number = _NUMBER.search(address)
    return number[1] if number else address or None


def _emoji(tags: object) -> list[str]:
    found = [tag for tag in tags if isinstance(tag, Mapping) and tag.get("type") == "Emoji"] if isinstance(tags, list) else []
    return [text_of(tag, "name").strip(":") for tag in found]


def _profile(actor: Item, owner: str, first: Item) -> Profile:
    """From the actor's file; without it, by the addresses in the first post."""
    post = first.get("object")
    address = text_of(post, "url") if isinstance(post, Mapping) else ""
    shown = _PAGE_OF_NAME.search(address) or _PAGE_OF_NAME.search(owner)
    last = owner.rstrip("/").rpartition("/")[2]
    name = text_of(actor, "preferredUsername") or (shown["name"] if shown else "" if last.isdecimal() else last)
    host = _host(owner)
    icon = actor.get("icon")
    avatar = text_of(icon, "url") if isinstance(icon, Mapping) else ""
    return Profile(
        handle=to_name(f"{name}@{host}") if name and host else None,
        name=to_name(without_pictures(text_of(actor, "name"), _emoji(actor.get("tag")))),
        id=owner or None,
        avatar_url=avatar if avatar.startswith("https://") else None,
    )


def _host(address: str) -> str | None:
    try:
        return URL(address).host
    except ValueError:
        return None
