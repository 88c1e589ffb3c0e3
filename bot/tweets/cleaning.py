"""What is taught of a person's tweets: huggingtweets' rules in its order, mended where they break texts. One function, one rule.

`docs/decisions.md` tells each difference from huggingtweets, with numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import unescape as decode_entity
from html.entities import html5

import regex

from bot.tweets.links import LINK, may_have_link, remove_links
from bot.tweets.newest import Newest
from bot.tweets.seen import Seen
from bot.tweets.source import Tweet

MIN_WORDS = 3
"""A tweet of fewer is short."""
MOST_CHARACTERS = 600
"""Of a text, on the average of those that may be taught: where posts are longer, fewer are, or they would fill the memory."""
EAST_ASIAN_LETTERS_PER_WORD = 2
"""Of Japanese and Chinese, which write no spaces, and of Korean words in other languages' texts."""
THAI_LETTERS_PER_WORD = 4
"""Of Thai, Lao, Khmer and Burmese, which write vowels and tones as letters of their own."""

_ENTITY = regex.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Controls, marks of direction, invisible joints, stand-ins for broken letters, halves of letters. Joiners of emoji and of Persian stay.
_INVISIBLE = regex.compile(
    r"[[\p{Cc}--[\t\n\v\f\r\x85]]\p{Cs}\u00AD\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFD]",
    regex.VERSION1,
)
_LINK = regex.compile(LINK)
_CUT = regex.compile(rf"…(?:\s*(?P<link>{LINK}))?\Z")
_LAST_WORD = regex.compile(r"(?<!\S)\S+\Z")
_EAST_ASIAN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\uAC00-\uD7A3]")
_KOREAN = "ko"
_THAI = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


@dataclass(frozen=True)
class Counts:
    """The count table; kept = downloaded - retweets - short."""

    downloaded: int
    retweets: int
    short: int
    kept: int
    duplicates: int
    """Of the kept: the same text stood before, and is taught once only."""
    cut: int
    """Of the kept: cut with … by the API, taught without an ending."""
    characters: int
    """In the kept texts, each taught text once."""


@dataclass(frozen=True)
class Kept:
    """A text to be taught."""

    text: str
    """One line, without links."""
    cut: bool = False
    """Its end is missing, so it teaches no ending."""
    created_at: datetime | None = None
    repeats: int = 1
    """How often it is taught in an epoch."""


@dataclass(frozen=True)
class Cleaned:
    """What is left of the tweets, and what was counted on the way."""

    counts: Counts
    kept: tuple[Kept, ...]
    """Each taught text once, in the order of the source: all of them, or the newest."""
    first_at: datetime | None
    """When the oldest kept tweet was written, as far as the source says."""
    last_at: datetime | None


def clean(tweets: Iterable[Tweet], *, most: int | None = None, language: str | None = None) -> Cleaned:
    """Count and clean, giving the newest `most` of the texts that may be taught, fewer where they are very long.

    Those before cost 32 bytes of memory each.

    `language`: the ISO 639 code of the account's, where it is known.
    """
    tally = _Tally(language, most)
    for tweet in tweets:
        tally.add(tweet)
    return tally.result()


class _Tally:
    """What has been counted so far."""

    def __init__(self, language: str | None, most: int | None) -> None:
        self._language = language
        self._newest: Newest[Kept] = Newest(most, room=None if most is None else most * MOST_CHARACTERS)
        self._seen = Seen()
        self._downloaded = self._retweets = self._short = self._duplicates = self._cut = self._characters = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def add(self, tweet: Tweet) -> None:
        self._downloaded += 1
        if is_retweet(tweet):
            self._retweets += 1
            return
        text, is_cut = clean_text(tweet.text, truncated=tweet.truncated, whole=tweet.whole, language=self._language)
        if not text:
            self._short += 1
            return
        self._cut += is_cut
        if not self._seen.add(text):
            self._duplicates += 1
            return
        self._characters += len(text)
        self._newest.add(Kept(text, is_cut, tweet.created_at), tweet.created_at, size=len(text))
        if tweet.created_at is not None:
            self._first_at = min(self._first_at or tweet.created_at, tweet.created_at)
            self._last_at = max(self._last_at or tweet.created_at, tweet.created_at)

    def result(self) -> Cleaned:
        counts = Counts(
            downloaded=self._downloaded,
            retweets=self._retweets,
            short=self._short,
            kept=len(self._seen) + self._duplicates,
            duplicates=self._duplicates,
            cut=self._cut,
            characters=self._characters,
        )
        return Cleaned(counts, self._newest.chosen(), self._first_at, self._last_at)


def clean_text(text: str, *, truncated: bool = False, whole: bool = False, language: str | None = None) -> tuple[str, bool]:
    """The text as it is taught, empty when it is short, and whether the API cut its end off.

    `whole`: it is known to have cut nothing; `language`: of the account, where known.
    """
    text = drop_invisible(unescape(text))
    text, cut = (text, False) if whole else mend_cut(text, truncated=truncated)
    if is_short(text, language):
        return "", cut
    text = one_line(remove_links(text))
    return text.rstrip(" …") if cut else text, cut


def is_retweet(tweet: Tweet) -> bool:
    """Somebody else's words. Archives tell it by the text alone."""
    return tweet.is_retweet or tweet.text.lstrip().startswith("RT @")


def unescape(text: str) -> str:
    """Each HTML entity decoded once. `AT&T` and `&copy2` are none: an entity ends with a semicolon."""
    return text if "&" not in text else _ENTITY.sub(_decode, text)


def _decode(entity: regex.Match[str]) -> str:
    known = entity[0][1] == "#" or entity[0][1:] in html5
    return decode_entity(entity[0]) if known else entity[0]


def drop_invisible(text: str) -> str:
    """Without letters that nobody sees and that would turn, hide or break what follows them."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)


def mend_cut(text: str, *, truncated: bool = False) -> tuple[str, bool]:
    """Without the … of the API, the word that it broke and the link behind it; and whether there was one.

    It is the API's when the source says so, or when the text is as long as the API's limits of 140 and 280 leave it: with a link behind the
    …, whole emoji count double, so that it may look shorter. Where words have no spaces between them nothing more is removed.
    """
    match = _CUT.search(text.rstrip()) if "…" in text else None
    if match is None or not (truncated or _is_api_length(len(text), has_link=match["link"] is not None)):
        return text, False
    head = text[: match.start()]
    broken = _LAST_WORD.search(head)
    if broken is None or _EAST_ASIAN.search(broken[0]) or _THAI.search(broken[0]):
        return head, True
    return head[: broken.start()], True


def _is_api_length(length: int, *, has_link: bool) -> bool:
    return 110 <= length <= 150 or 262 <= length <= 310 if has_link else 136 <= length <= 150 or 272 <= length <= 290


def one_line(text: str) -> str:
    """Line breaks and runs of spaces become one space, none at the ends."""
    return " ".join(text.split())


def is_short(text: str, language: str | None = None) -> bool:
    """Too little to learn from: fewer than three words, mentions and links not counted."""
    return count_words(text, language) < MIN_WORDS


def count_words(text: str, language: str | None = None) -> int:
    """Words that are no mention and no link; letters stand for words where a language writes no spaces.

    Korean parts its words by spaces, and so they are counted when the account is known to write Korean; a word of it in another language's
    text is counted by its letters.
    """
    text = _LINK.sub(" ", text) if may_have_link(text) else text
    words = [word for word in text.split() if not word.lower().startswith(("http", "@", "\uff20"))]
    if language == _KOREAN or text.isascii():
        return len(words)
    east_asian = len(_EAST_ASIAN.findall(text))
    thai = len(_THAI.findall(text))
    if not east_asian and not thai:
        return len(words)
    spaced = sum(1 for word in words if not _EAST_ASIAN.search(word) and not _THAI.search(word))
    return max(len(words), spaced + east_asian // EAST_ASIAN_LETTERS_PER_WORD + thai // THAI_LETTERS_PER_WORD)
