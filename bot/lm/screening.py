"""What a generated text must pass before anybody sees it, and how it is made harmless for Discord. Needs no torch."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import regex

LONGEST = 280
"""Characters in a post."""
COPIED_RUN = 8.0
"""Words in a row from one training tweet that make a copy."""
COPIED_SHARE = 0.6
"""Share of the words from one training tweet that makes a copy."""
REPEATED_SHARE = 0.8
"""Share of the words from one earlier post that makes a repeat."""

Reason = Literal["empty", "too_long", "copy", "repeat", "broken"]

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNIT = regex.compile(rf"[{_UNSPACED}]|[[\p{{L}}\p{{N}}\p{{M}}']--[{_UNSPACED}]]+", regex.V1)
_ONE_CHARACTER = regex.compile(rf"[{_UNSPACED}]", regex.V1)
_CHARACTER_WEIGHT = 0.5
"""Words that one character stands for in a script without spaces."""
_GRAM = 3
"""Units in the shortest run that is looked up."""
_BROKEN = regex.compile(r"[\uFFFD\p{Cc}\p{Cs}\p{Co}\p{Cn}\u202A-\u202E\u2066-\u2069]")


@dataclass(frozen=True)
class Verdict:
    """What the screen says of a text."""

    ok: bool
    reason: Reason | None
    nearest: str | None
    """The training tweet that shares most with it, or None when none shares a run of three words."""
    overlap: float
    """Share of the text's words that stand in runs which the nearest tweet has too, 0 to 1."""


@dataclass(frozen=True)
class _Match:
    text: str | None
    share: float
    run: float


class Screen:
    """Knows the training tweets of one character."""

    def __init__(self, training_texts: Sequence[str]) -> None:
        """Index the texts; some 10 ms for a thousand."""
        self._training = _Index(training_texts)

    def check(self, text: str, *, recent: Sequence[str] = ()) -> Verdict:
        """Whether the text may be posted, given the character's recent posts."""
        match = self._training.nearest(text)
        reason = self._reason(text, match, recent)
        return Verdict(ok=reason is None, reason=reason, nearest=match.text, overlap=round(match.share, 3))

    def _reason(self, text: str, match: _Match, recent: Sequence[str]) -> Reason | None:
        if is_broken(text):
            return "broken"
        if not regex.search(r"[\p{L}\p{N}\p{S}]", text):
            return "empty"
        if len(text) > LONGEST:
            return "too_long"
        if match.share >= COPIED_SHARE or match.run >= COPIED_RUN:
            return "copy"
        if recent and _Index(recent).nearest(text).share >= REPEATED_SHARE:
            return "repeat"
        return None


class _Index:
    """Finds the text that shares most with a given one. Words count as they are, characters of unspaced scripts as half a word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)
        self._units = [_units(t) for t in self._texts]
        self._grams: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        self._wordless = {_plain(t): i for i, t in enumerate(self._texts) if not self._units[i]}
        for number, units in enumerate(self._units):
            for at in range(len(units) - _GRAM + 1):
                self._grams[tuple(units[at : at + _GRAM])].append((number, at))

    def nearest(self, text: str) -> _Match:
        units = _units(text)
        if len(units) < _GRAM:
            return self._nearest_to_few(text, units)
        weights = [_weight(u) for u in units]
        whole = sum(weights)
        shortest = min(float(_GRAM), whole)
        best = _Match(None, 0.0, 0.0)
        for number, runs in self._runs(units).items():
            weighed = [(start, end, sum(weights[start:end])) for start, end in runs]
            long_enough = [run for run in weighed if run[2] >= shortest]
            if not long_enough:
                continue
            covered = {at for start, end, _ in long_enough for at in range(start, end)}
            share = sum(weights[at] for at in covered) / whole
            match = _Match(self._texts[number], share, max(run[2] for run in long_enough))
            best = max(best, match, key=lambda m: (m.share, m.run))
        return best

    def _runs(self, units: list[str]) -> dict[int, list[tuple[int, int]]]:
        """Number of a text → the longest runs `[start, end)` of these units that it has too."""
        open_runs: dict[tuple[int, int], tuple[int, int]] = {}
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for at in range(len(units) - _GRAM + 1):
            going_on = {}
            for number, there in self._grams.get(tuple(units[at : at + _GRAM]), ()):
                start, _ = open_runs.pop((number, there - at), (at, 0))
                going_on[number, there - at] = (start, at + _GRAM)
            for (number, _), run in open_runs.items():
                found[number].append(run)
            open_runs = going_on
        for (number, _), run in open_runs.items():
            found[number].append(run)
        return found

    def _nearest_to_few(self, text: str, units: list[str]) -> _Match:
        """Too few words to look up: the whole must stand in a text, or, without any word, be one."""
        if not units:
            same = self._wordless.get(_plain(text))
            return _Match(None, 0.0, 0.0) if same is None else _Match(self._texts[same], 1.0, 0.0)
        for number, there in enumerate(self._units):
            if any(there[at : at + len(units)] == units for at in range(len(there) - len(units) + 1)):
                return _Match(self._texts[number], 1.0, sum(map(_weight, units)))
        return _Match(None, 0.0, 0.0)


def is_broken(text: str) -> bool:
    """Whether it has characters that no post should have: U+FFFD, control, unassigned, or ones that turn the direction of writing."""
    return _BROKEN.search(text) is not None


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _units(text: str) -> list[str]:
    """The words, or characters where words are not spaced, without case, width, marks around them and apostrophes."""
    found = _UNIT.findall(unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold())
    return [unit for unit in (f.replace("'", "") for f in found) if unit]


def _weight(unit: str) -> float:
    return _CHARACTER_WEIGHT if _ONE_CHARACTER.match(unit) else 1.0
