"""What is taught of a person's tweets: huggingtweets' rules in its order, mended where they break texts. One function, one rule.

`docs/decisions.md` tells each difference from huggingtweets, with numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import unescape as decode_entity
from html.entities import html5

import regex

from bot.tweets.links import LINK, remove_links
from bot.tweets.source import Tweet

MIN_WORDS = 3
"""A tweet of fewer is short."""
EAST_ASIAN_LETTERS_PER_WORD = 2
"""Of Japanese, Chinese and Korean, whose words are short or stand without spaces."""
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


@dataclass(frozen=True)
class Cleaned:
    """What is left of the tweets, and what was counted on the way."""

    counts: Counts
    kept: tuple[Kept, ...]
    """Each taught text once, in the order of the source."""
    first_at: datetime | None
    """When the oldest kept tweet was written, as far as the source says."""
    last_at: datetime | None


def clean(tweets: Iterable[Tweet]) -> Cleaned:
    """Count and clean."""
    downloaded = retweets = short = duplicates = cut = 0
    kept: dict[str, Kept] = {}
    for tweet in tweets:
        downloaded += 1
        if is_retweet(tweet):
            retweets += 1
            continue
        text, is_cut = clean_text(tweet.text, truncated=tweet.truncated)
        if not text:
            short += 1
            continue
        cut += is_cut
        if (key := text.casefold()) in kept:
            duplicates += 1
        else:
            kept[key] = Kept(text, is_cut, tweet.created_at)
    counts = Counts(
        downloaded=downloaded,
        retweets=retweets,
        short=short,
        kept=len(kept) + duplicates,
        duplicates=duplicates,
        cut=cut,
        characters=sum(len(one.text) for one in kept.values()),
    )
    times = [one.created_at for one in kept.values() if one.created_at is not None]
    return Cleaned(counts, tuple(kept.values()), min(times, default=None), max(times, default=None))


def clean_text(text: str, *, truncated: bool = False) -> tuple[str, bool]:
    """The text as it is taught, empty when it is short, and whether the API cut its end off."""
    text, cut = mend_cut(drop_invisible(unescape(text)), truncated=truncated)
    if is_short(text):
        return "", cut
    text = one_line(remove_links(text))
    return text.rstrip(" …") if cut else text, cut


def is_retweet(tweet: Tweet) -> bool:
    """Somebody else's words. Archives tell it by the text alone."""
    return tweet.is_retweet or tweet.text.lstrip().startswith("RT @")


def unescape(text: str) -> str:
    """Each HTML entity decoded once. `AT&T` and `&copy2` are none: an entity ends with a semicolon."""
    return _ENTITY.sub(_decode, text)


def _decode(entity: regex.Match[str]) -> str:
    known = entity[0][1] == "#" or entity[0][1:] in html5
    return decode_entity(entity[0]) if known else entity[0]


def drop_invisible(text: str) -> str:
    """Without letters that nobody sees and that would turn, hide or break what follows them."""
    return _INVISIBLE.sub("", text)


def mend_cut(text: str, *, truncated: bool = False) -> tuple[str, bool]:
    """Without the … of the API, the word that it broke and the link behind it; and whether there was one.

    It is the API's when the source says so, or when the text is as long as the API's limits of 140 and 280 leave it: with a link behind the
    …, whole emoji count double, so that it may look shorter. Where words have no spaces between them nothing more is removed.
    """
    match = _CUT.search(text.rstrip())
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


def is_short(text: str) -> bool:
    """Too little to learn from: fewer than three words, mentions and links not counted."""
    return count_words(text) < MIN_WORDS


def count_words(text: str) -> int:
    """Words that are no mention and no link; letters stand for words where a language writes no spaces."""
    text = _LINK.sub(" ", text)
    words = [word for word in text.split() if not word.lower().startswith(("http", "@", "\uff20"))]
    east_asian = len(_EAST_ASIAN.findall(text))
    thai = len(_THAI.findall(text))
    if not east_asian and not thai:
        return len(words)
    spaced = sum(1 for word in words if not _EAST_ASIAN.search(word) and not _THAI.search(word))
    return max(len(words), spaced + east_asian // EAST_ASIAN_LETTERS_PER_WORD + thai // THAI_LETTERS_PER_WORD)
