"""Posts longer than 280 characters: tweets.js has their beginning, note-tweet.js the whole, and no id joins the two.

They belong together when they were written within seconds of each other and one begins with the other.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from bot.errors import BrokenArchive
from bot.tweets.cleaning import unescape
from bot.tweets.jsontext import array_records
from bot.tweets.reading import Stream
from bot.tweets.records import parse_time
from bot.tweets.source import Tweet

APART_S = 10
"""Seconds that may lie between the two times at least, and twice as many at most."""
MIN_BEGINNING = 20
"""Characters that must agree."""
MOST_ALIKE = 100
"""Long posts that begin alike within ten seconds."""
MAX_PACKED_BYTES = 96 << 20
"""What their texts may take, packed to about a half: a hundred thousand of two thousand characters."""

_LINK_OR_CUT = re.compile(r"…?\s*https?:|…\s*\Z")
_MENTIONS = re.compile(r"(?:@\w+\s+)*")


class LongPosts:
    """The whole texts, by how they begin and when they were written."""

    def __init__(self) -> None:
        """None is known."""
        self._texts: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self._size = 0

    def read(self, stream: Stream) -> None:
        """Remember the posts in note-tweet.js or one of its parts.

        Raises:
            BrokenArchive: more of them than anybody writes.
        """
        for _, item in array_records(stream, kinds=("note_tweet",)):
            note = item.get("noteTweet", item)
            if not isinstance(note, Mapping):
                continue
            core = note.get("core")
            text = core.get("text") if isinstance(core, Mapping) else None
            time = parse_time(str(note.get("createdAt")))
            if isinstance(text, str) and time is not None:
                self._remember(text, int(time.timestamp()), stream.name)

    def _remember(self, text: str, second: int, name: str) -> None:
        alike = self._texts[_beginning(_split_mentions(unescape(text))[1]), second // APART_S]
        packed = zlib.compress(text.encode(errors="surrogatepass"), 1)
        self._size += len(packed)
        if len(alike) >= MOST_ALIKE or self._size > MAX_PACKED_BYTES:
            raise BrokenArchive(f"{name} holds more long posts than anybody writes; send the archive's tweets.js alone.")
        alike.append(packed)

    def whole(self, tweet: Tweet) -> Tweet:
        """`tweet` with its whole text, where that is known. Mentions before it stay or stay away as they are in `tweet`."""
        if not self._texts or tweet.created_at is None:
            return tweet
        mentions, beginning = _split_mentions(_LINK_OR_CUT.split(unescape(tweet.text))[0])
        if len(beginning) < MIN_BEGINNING:
            return tweet
        moment = int(tweet.created_at.timestamp()) // APART_S
        for near in (moment, moment - 1, moment + 1):
            for packed in self._texts.get((_beginning(beginning), near), ()):
                text = zlib.decompress(packed).decode(errors="surrogatepass")
                if len(text) > len(beginning) and _split_mentions(unescape(text))[1].startswith(beginning):
                    return replace(tweet, text=_with(mentions, text), truncated=False)
        return tweet


def _beginning(text: str) -> str:
    return text[:MIN_BEGINNING]


def _with(mentions: str, text: str) -> str:
    if not mentions:
        return _MENTIONS.sub("", text, count=1)
    return text if text.startswith("@") else mentions + text


def _split_mentions(text: str) -> tuple[str, str]:
    """The mentions that `text` begins with, and the rest with single spaces."""
    text = " ".join(text.split())
    end = _MENTIONS.match(text + " ").end()  # type: ignore[union-attr]  # matches nothing too
    return text[:end], text[end:]
