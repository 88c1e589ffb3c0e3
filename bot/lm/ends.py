"""Where sentences end, and where a text breaks off. Needs no torch."""

from collections import Counter

import regex

from bot.lm.form import is_unclosed
from bot.lm.likeness import words_of

OFTEN = 20
"""Times that a word must stand in somebody's tweets before it tells something that it is never the last."""

# "Mr. Fox", "the U.S. coast" and "No. 1" are not over at the point: small letters or figures must stand before it.
_POINT = r"(?<=\p{Ll}{3}|(?<!\p{L})\p{Ll}{2}|\p{Lo}{2}|\p{N}{2}|[\p{Pe}\p{Pf}\"'%])\.|\.{2,}"
_EMOJI = r"\s*[\p{So}\p{Sk}\uFE0F\u200D]"
_SENTENCE_END = regex.compile(
    rf"(?:{_POINT}|[[\p{{Sentence_Terminal}}…]--[.。！？｡]])+[\p{{Pe}}\p{{Pf}}\"']*(?:{_EMOJI})*(?!\S)"
    rf"|[。！？｡]+(?![\p{{Pe}}\p{{Pf}}。！？｡])(?:{_EMOJI})*",
    regex.V1,
)
_LEADING_ON = regex.compile(r"(?<!\s[:;=]\S?)[,;:&/+=(¿¡、–—-]\Z")
_WORD_LAST = regex.compile(r"[\p{L}\p{M}\p{N}]\Z")


def whole_sentences(text: str, longest: int) -> str:
    """As many of its first sentences as `longest` characters hold, with no bracket or quotation mark left open; empty when none is."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return next((text[:end] for end in reversed(ends) if end <= longest and not is_unclosed(text[:end])), "")


class Ends:
    """How somebody's tweets end."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._last: set[str] = set()
        self._last_marks: set[str] = set()

    def add(self, tweet: str) -> None:
        """One whole tweet more."""
        words = words_of(tweet)
        self._times.update(words)
        self._last.update(words[-1:])
        self._last_marks.add(tweet[-1:])

    def breaks_off(self, text: str) -> bool:
        """Whether it ends with a mark or a common word that lead on to something, and with which none of the tweets ends."""
        if _LEADING_ON.search(text):
            return text[-1] not in self._last_marks
        return _WORD_LAST.search(text) is not None and any(
            self._times[word] >= OFTEN and word not in self._last for word in words_of(text)[-1:]
        )
