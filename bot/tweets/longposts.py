"""Posts longer than 280 characters: tweets.js has their beginning, note-tweet.js the whole, and no id joins the two.

They belong together when they were written within seconds of each other and one begins with the other.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from bot.tweets.cleaning import unescape
from bot.tweets.jsontext import array_records
from bot.tweets.reading import Stream
from bot.tweets.records import parse_time
from bot.tweets.source import Tweet

APART_S = 10
"""Seconds that may lie between the two times."""
MIN_BEGINNING = 20
"""Characters that must agree."""

_LINK_OR_CUT = re.compile(r"…?\s*https?:|…\s*\Z")
_MENTIONS = re.compile(r"(?:@\w+\s+)*")


class LongPosts:
    """The whole texts, by the second in which they were written."""

    def __init__(self) -> None:
        """None is known."""
        self._texts: dict[int, list[str]] = defaultdict(list)

    def read(self, stream: Stream) -> None:
        """Remember the posts in note-tweet.js or one of its parts."""
        for _, item in array_records(stream, kinds=("note_tweet",)):
            note = item.get("noteTweet", item)
            if not isinstance(note, Mapping):
                continue
            core = note.get("core")
            text = core.get("text") if isinstance(core, Mapping) else None
            time = parse_time(str(note.get("createdAt")))
            if isinstance(text, str) and time is not None:
                self._texts[int(time.timestamp())].append(text)

    def whole(self, tweet: Tweet) -> Tweet:
        """`tweet` with its whole text, where that is known."""
        if not self._texts or tweet.created_at is None:
            return tweet
        mentions, beginning = _split_mentions(_LINK_OR_CUT.split(unescape(tweet.text))[0])
        if len(beginning) < MIN_BEGINNING:
            return tweet
        second = int(tweet.created_at.timestamp())
        for time in range(second - APART_S, second + APART_S + 1):
            for text in self._texts.get(time, ()):
                if len(text) > len(beginning) and _split_mentions(unescape(text))[1].startswith(beginning):
                    return replace(tweet, text=text if text.startswith("@") else mentions + text, truncated=False)
        return tweet


def _split_mentions(text: str) -> tuple[str, str]:
    """The mentions that `text` begins with, and the rest with single spaces."""
    text = " ".join(text.split())
    end = _MENTIONS.match(text + " ").end()  # type: ignore[union-attr]  # matches nothing too
    return text[:end], text[end:]
