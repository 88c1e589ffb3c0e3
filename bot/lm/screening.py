"""What a generated text must pass before anybody sees it. Needs no torch."""

import math
import unicodedata
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Literal, get_args

import regex

from bot.lm.ends import Ends, whole_sentences
from bot.lm.form import TAG, UNSPACED, echoes, goes_round, has_displaced, is_unclosed
from bot.lm.likeness import COPIED_SHARE, Earlier, Index, Match, share_of, spelt, words_of
from bot.tweets.dataset import Dataset

LONGEST = 280
"""Characters in a post."""
COPIED_RUN = 8.0
"""Words in a row from one training tweet that make a copy; characters where words are not spaced."""
_RUN = int(COPIED_RUN)
ENOUGH = 1 / 3
"""Of the usual length of the person's tweets, what must be left of a text that is cut back."""
AT_ONCE = 10
"""Tweets that are indexed in one step."""
CUSTOM = 0.1
"""A flaw of form that so large a share of the training tweets has is the person's manner, and none."""
CUSTOM_TWEETS = 300
"""Training tweets that are looked at for that."""

Poor = Literal["echo", "displaced", "stump", "unclosed", "circle", "nonword", "coinage", "stranger"]
"""What is wrong with a text that may be posted where there is nothing better, the mildest first."""
Reason = Literal["empty", "too_long", "copy", "repeat", "broken", "blocked"] | Poor
_MILDEST_FIRST: tuple[Poor, ...] = get_args(Poor)

# Korean parts its words by spaces, and writes particles at their ends: a blocked word is found before one.
_SPACED_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED}\p{{Hangul}}]]"
_SIGNED = regex.compile(rf"[{UNSPACED}]|[\w--[{UNSPACED}]]+", regex.V1)
_MARKS_AROUND = regex.compile(r"\A\W+|\W+\Z")
_PART_OF_WORD = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]", regex.V1)
_PART_WEIGHT = 0.5
"""Of a run, what a letter of Thai, Lao, Khmer or Burmese counts for: vowels and tones are letters of their own there."""
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
    def poverty(self) -> int | None:
        """How poor the form is of a text with which nothing else is wrong, least for the mildest flaw; None where it may not be posted."""
        return _MILDEST_FIRST.index(self.reason) if self.reason in _MILDEST_FIRST else None


class Screen:
    """Knows the training tweets of one character."""

    def __init__(
        self,
        training_texts: Sequence[str],
        *,
        cut: Container[str] = (),
        blocked: Iterable[str] = (),
        words: frozenset[str] | None = None,
    ) -> None:
        """Index the texts; some 300 ms for a thousand.

        Args:
            training_texts: what must not be copied.
            cut: those of them whose end is missing, so that their form tells nothing.
            blocked: words and phrases that no post may have.
            words: all words that there are beside those of the texts; None = there are others.
        """
        self._training, self._by_signs = Index(), Index(units_of=_parted_by_signs)
        self._runs, self._own = set[int](), set[str]()
        self._mentioned, self._hashtags, self._ends = set[str](), set[str](), Ends()
        self._blocked, self._words, self._earlier = _any_of(blocked), words, Earlier()
        for _ in self.learn(training_texts, cut):
            pass

    def learn(self, training_texts: Sequence[str], cut: Container[str]) -> Iterator[None]:
        """Index the texts, a few between two steps. Until the last step the screen must not be asked."""
        for number, text in enumerate(training_texts):
            self._training.add(text)
            self._by_signs.add(text)
            self._runs.update(_runs_of(text))
            self._own |= _spelt(text)
            self._mentioned |= _mentions(text)
            self._hashtags |= _hashtags(text)
            if text not in cut:
                self._ends.add(text)
            if number % AT_ONCE == AT_ONCE - 1:
                yield
        self._lengths = [len(text) for text in training_texts] or [LONGEST]
        whole = [text for text in training_texts if text not in cut]
        looked_at = [_misshapen(text) for text in whole[:: math.ceil(len(whole) / CUSTOM_TWEETS) or 1]]
        self._customs = {flaw for flaw in set(looked_at) if looked_at.count(flaw) >= CUSTOM * len(looked_at)}

    def mended(self, text: str, *, prompt: str = "") -> str:
        """A text that grew longer than any of the person's tweets as far as its last whole sentence, if that leaves enough of it.

        Who was nearly always cut off by the API has taught hardly any end.
        """
        most = min(LONGEST, len(prompt) + max(self._lengths))
        if len(text) <= most:
            return text
        shorter = whole_sentences(text, most)
        return shorter if len(shorter) - len(prompt) >= ENOUGH * median(self._lengths) else text

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
        if self._words is not None and not _spelt(text) - self._own - _spelt(prompt) <= self._words:
            return "nonword"
        if self._ends.breaks_off(text):
            return "stump"
        found = _misshapen(text)
        return None if found in self._customs or found == _misshapen(prompt) else found

    def _reason(self, text: str, match: Match, recent: Sequence[str]) -> Reason | None:
        flaw = _flaw(text)
        if flaw is not None:
            return flaw
        if self._blocked is not None and self._blocked.search(_readable(text)):
            return "blocked"
        if match.share >= COPIED_SHARE or self._is_copy_otherwise(text):
            return "copy"
        if self._earlier.has(text, recent):
            return "repeat"
        return None

    def _is_copy_otherwise(self, text: str) -> bool:
        """Whether it is a copy by a run, or by its share of a tweet's words where signs or blanks part them."""
        if not self._runs.isdisjoint(_runs_of(text)) or self._by_signs.nearest(text).share >= COPIED_SHARE:
            return True
        words = _parted_by_blanks(text)
        return any(share_of(words, _parted_by_blanks(tweet)) >= COPIED_SHARE for tweet in self._by_signs.alike(text, _ALIKE))


def screen_of(dataset: Dataset, *, blocked: Iterable[str] = (), words: frozenset[str] | None = None) -> Screen:
    """The screen of the character that learns from this; `blocked` and `words` as there."""
    return next(filter(None, screen_in_steps(dataset, blocked=blocked, words=words)))


def screen_in_steps(dataset: Dataset, *, blocked: Iterable[str], words: frozenset[str] | None) -> Iterator[Screen | None]:
    """The same in steps of some milliseconds, of which only the last gives it."""
    screen = Screen((), blocked=blocked, words=words)
    tweets = (*dataset.train, *dataset.heldout)
    yield from screen.learn([kept.text for kept in tweets], {kept.text for kept in tweets if kept.cut})
    yield screen


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


def _spelt(text: str) -> set[str]:
    return spelt(TAG.sub(" ", text))


def _misshapen(text: str) -> Reason | None:
    if is_unclosed(text):
        return "unclosed"
    if has_displaced(text):
        return "displaced"
    words = words_of(text)
    if goes_round(text, words):
        return "circle"
    return "echo" if echoes(words) else None


@lru_cache(maxsize=16)  # as `words_of`
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


@lru_cache(maxsize=16)  # as `words_of`
def _parted_by_signs(text: str) -> tuple[str, ...]:
    """The words when any sign but "_" parts them: "can't" is two."""
    return tuple(_SIGNED.findall(_readable(text)))


def _parted_by_blanks(text: str) -> list[str]:
    """The words as they stand between blanks, without the marks around them: "to-day" is one."""
    return [word for word in (_MARKS_AROUND.sub("", word) for word in _readable(text).split()) if word]


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
