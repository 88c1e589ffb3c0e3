"""Which of many texts has most in common with a given one. Needs no torch."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

from bot.lm.form import UNSPACED

COPIED_SHARE = 0.6
"""Share of the words from one training tweet that makes a copy."""
REPEATED_SHARE = 0.8
"""Share of the words from one earlier post that makes a repeat."""

_UNIT = regex.compile(rf"[{UNSPACED}]|[[\p{{L}}\p{{N}}\p{{M}}']--[{UNSPACED}]]+", regex.V1)
SHORTEST_SPELT = 3
"""Letters of the shortest words that are known to a base: of fewer, anything may be a word."""

_SPELT = regex.compile(rf"[[\p{{L}}\p{{M}}]--[{UNSPACED}\p{{Hangul}}]]{{{SHORTEST_SPELT},}}", regex.V1)
_GRAM = 3
"""Units in the shortest run that counts for the share."""
_SPARE = 100
"""Posts beyond twice those that are asked for which `Earlier` keeps before it begins anew."""


@dataclass(frozen=True)
class Match:
    """The text that has most in common with another, and which share of that other one it has."""

    text: str | None
    share: float


_NOTHING = Match(None, 0.0)


class Index:
    """Finds the text that shares most with a given one. A unit is a word, or a character where words are not spaced."""

    def __init__(self, texts: Iterable[str] = (), units_of: Callable[[str], tuple[str, ...]] | None = None) -> None:
        """`units_of`: None = `words_of`."""
        self._texts: list[str] = []
        self._units_of = units_of or words_of
        self._joined: list[str] = []
        self._grams: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> int:
        """One text more; its number."""
        units, number = self._units_of(text), len(self._texts)
        self._texts.append(text)
        self._joined.append(_joined(units) if units else _plain(text))
        for gram in set(_grams(units)):
            self._grams[gram].append(number)
        return number

    def nearest(self, text: str, *, among: Sequence[int] | None = None) -> Match:
        """`among`: numbers of the only texts that count; None = all do."""
        units = self._units_of(text)
        if len(units) <= _GRAM:
            return self._nearest_to_few(text, units, range(len(self._texts)) if among is None else among)
        counts = self._counts(units)
        if among is not None:
            others = np.ones(len(self._texts), dtype=bool)
            others[list(among)] = False
            counts[others] = 0
        if not counts.any():
            return _NOTHING
        best = int(counts.argmax())
        return Match(self._texts[best], int(counts[best]) / len(units))

    def alike(self, text: str, least: float) -> list[str]:
        """The texts that have so large a share of its units, those in runs of three."""
        units = self._units_of(text)
        return [self._texts[number] for number in np.flatnonzero(self._counts(units) > least * len(units))]

    def _counts(self, units: Sequence[str]) -> NDArray[np.int_]:
        """For each text, how many of the units stand in a run of at least three that it has too."""
        # [texts, units]. A formula that ten thousand texts begin with is found in all of them: no loop over texts here.
        shared = np.zeros((len(self._texts), len(units)), dtype=bool)
        for at, gram in enumerate(_grams(units)):
            if gram in self._grams:
                shared[self._grams[gram], at : at + _GRAM] = True
        counts: NDArray[np.int_] = shared.sum(1)
        return counts

    def _nearest_to_few(self, text: str, units: Sequence[str], among: Sequence[int]) -> Match:
        """Too few words to look up: COPIED_SHARE of them in a row must stand in a text, or, without any word, the whole must be one."""
        if not units:
            plain = _plain(text)
            return next((Match(self._texts[number], 1.0) for number in among if self._joined[number] == plain), _NOTHING)
        fewest = math.ceil(COPIED_SHARE * len(units))
        for length in range(len(units), fewest - 1, -1):
            parts = [_joined(units[at : at + length]) for at in range(len(units) - length + 1)]
            for number in among:
                if any(part in self._joined[number] for part in parts):
                    return Match(self._texts[number], length / len(units))
        return _NOTHING


class Earlier:
    """What a character said before. It keeps the posts that it was asked about, since reading a thousand anew takes some 40 ms."""

    def __init__(self) -> None:
        self._begin()

    def has(self, text: str, posts: Sequence[str]) -> bool:
        """Whether one of the posts says what the text says."""
        if len(self._index) > 2 * len(posts) + _SPARE:
            self._begin()
        among = [self._number(post) for post in posts]
        return bool(among) and self._index.nearest(text, among=among).share >= REPEATED_SHARE

    def _begin(self) -> None:
        self._index, self._numbers = Index(), dict[str, int]()

    def _number(self, post: str) -> int:
        number = self._numbers.get(post)
        if number is None:
            number = self._numbers[post] = self._index.add(post)
        return number


def repeats(texts: Sequence[str]) -> int:
    """How many of the texts say what another one of them says, word for word or nearly."""
    index = Index(texts)
    numbers = range(len(texts))
    others = ((text, [other for other in numbers if other != number]) for number, text in enumerate(texts))
    return sum(index.nearest(text, among=among).share >= REPEATED_SHARE for text, among in others)


@lru_cache(maxsize=16)  # one text is asked about several times running
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, or characters where words are not spaced, without case, width, marks around them and apostrophes."""
    found = _UNIT.findall(unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold())
    return tuple(unit for unit in (f.replace("'", "") for f in found) if unit)


def spelt(text: str) -> set[str]:
    """The words of three letters and more, parts of compounds by themselves; of scripts that space words and put nothing behind them."""
    return set(_SPELT.findall(unicodedata.normalize("NFKC", text).casefold()))


def share_of(units: Sequence[str], others: Sequence[str]) -> float:
    """Share of the units that stand in a run of three which the others have too."""
    theirs = set(_grams(others))
    found = {at + n for at, gram in enumerate(_grams(units)) if gram in theirs for n in range(_GRAM)}
    return len(found) / max(len(units), 1)


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _joined(units: Sequence[str]) -> str:
    return f" {' '.join(units)} "


def _grams(units: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(units[at : at + _GRAM]) for at in range(len(units) - _GRAM + 1))
