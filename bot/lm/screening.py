"""What a generated text must pass before anybody sees it. Needs no torch."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import regex
from numpy.typing import NDArray

from bot.lm.form import TAG, UNSPACED, goes_round, is_unclosed

LONGEST = 280
"""Characters in a post."""
COPIED_RUN = 8.0
"""Words in a row from one training tweet that make a copy; characters where words are not spaced."""
_RUN = int(COPIED_RUN)
COPIED_SHARE = 0.6
"""Share of the words from one training tweet that makes a copy."""
REPEATED_SHARE = 0.8
"""Share of the words from one earlier post that makes a repeat."""
CUSTOM = 0.05
"""A flaw of form that so large a share of the training tweets has is the person's manner, and none."""
CUSTOM_TWEETS = 300
"""Training tweets that are looked at for that."""

Reason = Literal["empty", "too_long", "copy", "repeat", "broken", "blocked", "stranger", "coinage", "unclosed", "circle"]

# Korean parts its words by spaces, and writes particles at their ends: a blocked word is found before one.
_SPACED_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED}\p{{Hangul}}]]"
_UNIT = regex.compile(rf"[{UNSPACED}]|[[\p{{L}}\p{{N}}\p{{M}}']--[{UNSPACED}]]+", regex.V1)
_SIGNED = regex.compile(rf"[{UNSPACED}]|[\w--[{UNSPACED}]]+", regex.V1)
_MARKS_AROUND = regex.compile(r"\A\W+|\W+\Z")
_PART_OF_WORD = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]", regex.V1)
_PART_WEIGHT = 0.5
"""Of a run, what a letter of Thai, Lao, Khmer or Burmese counts for: vowels and tones are letters of their own there."""
_GRAM = 3
"""Units in the shortest run that counts for the share."""
_ALIKE = COPIED_SHARE / 2
"""Share of the words from one tweet at which it is worth counting again in another way."""
_BROKEN = regex.compile(r"[\uFFFD\p{Cc}\p{Cs}\p{Co}\p{Cn}\u202A-\u202E\u2066-\u2069]")
_INVISIBLE = regex.compile(r"\p{Cf}")
_MENTION = regex.compile(r"(?<![\w@])@(\w+)")
_HASHTAG = regex.compile(r"(?<![\w&])[#＃](\w*\p{L}\w*)")


@dataclass(frozen=True)
class Verdict:
    """What the screen says of a text."""

    ok: bool
    reason: Reason | None
    nearest: str | None
    """The training tweet that shares most with it, or None when none shares a run of three words."""
    overlap: float
    """Share of the text's words that stand in runs which the nearest tweet has too, 0 to 1."""

    @property
    def poor(self) -> bool:
        """Whether nothing but its form is wrong, so that it may be posted where there is nothing better."""
        return self.reason in {"stranger", "coinage", "unclosed", "circle"}


@dataclass(frozen=True)
class _Match:
    text: str | None
    share: float


_NOTHING = _Match(None, 0.0)


class Screen:
    """Knows the training tweets of one character."""

    def __init__(self, training_texts: Sequence[str], *, blocked: Iterable[str] = ()) -> None:
        """Index the texts; some 150 ms for a thousand. `blocked`: words and phrases that no post may have."""
        self._training, self._by_signs = _Index(training_texts), _Index(training_texts, _parted_by_signs)
        self._runs = {run for text in training_texts for run in _runs_of(text)}
        self._blocked = _any_of(blocked)
        self._mentioned = {handle for text in training_texts for handle in _mentions(text)}
        self._hashtags = {tag for text in training_texts for tag in _hashtags(text)}
        looked_at = [_misshapen(text) for text in training_texts[:: math.ceil(len(training_texts) / CUSTOM_TWEETS) or 1]]
        self._customs = {flaw for flaw in set(looked_at) if looked_at.count(flaw) >= CUSTOM * len(looked_at)}

    def check(self, text: str, *, recent: Sequence[str] = (), prompt: str = "") -> Verdict:
        """Whether the text may be posted, given the character's recent posts and the beginning that somebody else wrote."""
        match = self._training.nearest(text)
        reason = self._reason(text, match, recent) or self._flaw_of_form(text, prompt)
        return Verdict(ok=reason is None, reason=reason, nearest=match.text, overlap=round(match.share, 3))

    def _flaw_of_form(self, text: str, prompt: str) -> Reason | None:
        """What makes the text look written by a machine, unless it lies in the prompt or the person writes so."""
        if not TAG.sub("", text).strip():
            return "empty"
        if not _mentions(text) <= self._mentioned | _mentions(prompt):
            return "stranger"
        if not _hashtags(text) <= self._hashtags | _hashtags(prompt):
            return "coinage"
        found = _misshapen(text)
        return None if found in self._customs or found == _misshapen(prompt) else found

    def _reason(self, text: str, match: _Match, recent: Sequence[str]) -> Reason | None:
        flaw = _flaw(text)
        if flaw is not None:
            return flaw
        if self._blocked is not None and self._blocked.search(_readable(text)):
            return "blocked"
        if match.share >= COPIED_SHARE or self._is_copy_otherwise(text):
            return "copy"
        if recent and _earlier(tuple(recent)).nearest(text).share >= REPEATED_SHARE:
            return "repeat"
        return None

    def _is_copy_otherwise(self, text: str) -> bool:
        """Whether it is a copy by a run, or by its share of a tweet's words where signs or blanks part them."""
        if not self._runs.isdisjoint(_runs_of(text)) or self._by_signs.nearest(text).share >= COPIED_SHARE:
            return True
        words = _parted_by_blanks(text)
        return any(_share_of(words, _parted_by_blanks(tweet)) >= COPIED_SHARE for tweet in self._by_signs.alike(text, _ALIKE))


class _Index:
    """Finds the text that shares most with a given one. A unit is a word, or a character where words are not spaced."""

    def __init__(self, texts: Iterable[str], units_of: Callable[[str], list[str]] | None = None) -> None:
        """`units_of`: None = `words_of`."""
        self._texts, self._units_of = list(texts), units_of or words_of
        self._joined: list[str] = []
        self._wordless: dict[str, int] = {}
        self._grams: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, text in enumerate(self._texts):
            units = self._units_of(text)
            self._joined.append(_joined(units))
            if not units:
                self._wordless[_plain(text)] = number
            for gram in set(_grams(units)):
                self._grams[gram].append(number)

    def nearest(self, text: str, *, but: int | None = None) -> _Match:
        """`but`: the number of a text that is passed over."""
        units = self._units_of(text)
        if len(units) <= _GRAM:
            return self._nearest_to_few(text, units, but)
        counts = self._counts(units)
        if but is not None:
            counts[but] = 0
        if not counts.any():
            return _NOTHING
        best = int(counts.argmax())
        return _Match(self._texts[best], int(counts[best]) / len(units))

    def alike(self, text: str, least: float) -> list[str]:
        """The texts that have so large a share of its units, those in runs of three."""
        units = self._units_of(text)
        return [self._texts[number] for number in np.flatnonzero(self._counts(units) > least * len(units))]

    def _counts(self, units: list[str]) -> NDArray[np.int_]:
        """For each text, how many of the units stand in a run of at least three that it has too."""
        # [texts, units]. A formula that ten thousand texts begin with is found in all of them: no loop over texts here.
        shared = np.zeros((len(self._texts), len(units)), dtype=bool)
        for at, gram in enumerate(_grams(units)):
            if gram in self._grams:
                shared[self._grams[gram], at : at + _GRAM] = True
        counts: NDArray[np.int_] = shared.sum(1)
        return counts

    def _nearest_to_few(self, text: str, units: list[str], but: int | None) -> _Match:
        """Too few words to look up: COPIED_SHARE of them in a row must stand in a text, or, without any word, the whole must be one."""
        if not units:
            same = self._wordless.get(_plain(text), but)
            return _NOTHING if same is None or same == but else _Match(self._texts[same], 1.0)
        fewest = math.ceil(COPIED_SHARE * len(units))
        for length in range(len(units), fewest - 1, -1):
            parts = [_joined(units[at : at + length]) for at in range(len(units) - length + 1)]
            for number, there in enumerate(self._joined):
                if number != but and any(part in there for part in parts):
                    return _Match(self._texts[number], length / len(units))
        return _NOTHING


@lru_cache(maxsize=1)
def _earlier(posts: tuple[str, ...]) -> _Index:
    """Kept for the next candidates, which are held against the same posts."""
    return _Index(posts)


def repeats(texts: Sequence[str]) -> int:
    """How many of the texts say what another one of them says, word for word or nearly."""
    index = _Index(texts)
    return sum(index.nearest(text, but=number).share >= REPEATED_SHARE for number, text in enumerate(texts))


def _flaw(text: str) -> Reason | None:
    """What is wrong with the text as such."""
    if is_broken(text):
        return "broken"
    if not regex.search(r"[\p{L}\p{N}\p{S}]", text):
        return "empty"
    return "too_long" if len(text) > LONGEST else None


def is_broken(text: str) -> bool:
    """Whether it has characters that no post should have: U+FFFD, control, unassigned, or ones that turn the direction of writing."""
    return _BROKEN.search(text) is not None


def _mentions(text: str) -> set[str]:
    """The accounts that it names."""
    return {handle.casefold() for handle in _MENTION.findall(text)}


def _hashtags(text: str) -> set[str]:
    return {tag.casefold() for tag in _HASHTAG.findall(text)}


def _misshapen(text: str) -> Reason | None:
    if is_unclosed(text):
        return "unclosed"
    return "circle" if goes_round(text, words_of(text)) else None


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _readable(text: str) -> str:
    """The text as blocked words are looked for in it: without case, width, invisible characters and kinds of apostrophe and space."""
    text = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    return " ".join(_INVISIBLE.sub("", text).split())


def _any_of(blocked: Iterable[str]) -> regex.Pattern[str] | None:
    """Finds any of these words where it stands by itself; what begins or ends in a script without spaces may touch anything there."""
    words = sorted({word for word in map(_readable, blocked) if word})
    if not words:
        return None
    before, after = rf"(?<!{_SPACED_LETTER})(?={_SPACED_LETTER})", rf"(?<={_SPACED_LETTER})(?!{_SPACED_LETTER})"
    other_before, other_after = rf"(?!{_SPACED_LETTER})", rf"(?<!{_SPACED_LETTER})"
    either = "|".join(map(regex.escape, words))
    return regex.compile(rf"(?:{before}|{other_before})(?:{either})(?:{after}|{other_after})", regex.V1)


def words_of(text: str) -> list[str]:
    """The words of a text, or characters where words are not spaced, without case, width, marks around them and apostrophes."""
    found = _UNIT.findall(unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold())
    return [unit for unit in (f.replace("'", "") for f in found) if unit]


def _parted_by_signs(text: str) -> list[str]:
    """The words when any sign but "_" parts them: "can't" is two."""
    return _SIGNED.findall(_readable(text))


def _parted_by_blanks(text: str) -> list[str]:
    """The words as they stand between blanks, without the marks around them: "to-day" is one."""
    return [word for word in (_MARKS_AROUND.sub("", word) for word in _readable(text).split()) if word]


def _share_of(units: Sequence[str], others: Sequence[str]) -> float:
    """Share of the units that stand in a run of three which the others have too."""
    theirs = set(_grams(others))
    found = {at + n for at, gram in enumerate(_grams(units)) if gram in theirs for n in range(_GRAM)}
    return len(found) / max(len(units), 1)


def _joined(units: Sequence[str]) -> str:
    return f" {' '.join(units)} "


def _grams(units: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(units[at : at + _GRAM]) for at in range(len(units) - _GRAM + 1))


def _runs_of(text: str) -> Iterator[int]:
    """Hashes of the shortest runs that make a copy; any longer one begins with one of them.

    Words are counted in three ways: without marks, as spaces part them, where "&" is a word too, and as any sign but "_" parts them.
    """
    yield from _long_runs(words_of(text))
    yield from _long_runs(_readable(text).split())
    yield from _long_runs(_parted_by_signs(text))


def _long_runs(units: Sequence[str]) -> Iterator[int]:
    if _PART_OF_WORD.search("".join(units)) is None:  # the same without weights, in a third of the time
        yield from (hash(tuple(units[start : start + _RUN])) for start in range(len(units) - _RUN + 1))
        return
    end, weight = 0, 0.0
    for start, unit in enumerate(units):
        while end < len(units) and weight < COPIED_RUN:
            weight += _weight(units[end])
            end += 1
        if weight < COPIED_RUN:
            return
        yield hash(tuple(units[start:end]))
        weight -= _weight(unit)


def _weight(unit: str) -> float:
    return _PART_WEIGHT if _PART_OF_WORD.fullmatch(unit) else 1.0
