"""Whether a text is well made: what it opens it closes, it goes round in no circles, it says nothing twice. Needs no torch."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import regex

CIRCLE = 4
"""Words in a row that stand twice in a text which goes round in circles."""
CIRCLE_UNSPACED = 12
"""The same in letters, where words are not spaced."""

LONG_WORD = 4
"""Letters in a word of some weight, unlike "of" and "the"."""
THRICE = 3
"""Times that such a word stands in a text that has nothing else to say."""

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Of a character class: letters of scripts whose words are not spaced."""
TAG = regex.compile(r"(?<!\w)[@#＠＃]\w+")
"""A mention or a hashtag."""
_UNSPACED_LETTER = regex.compile(f"[{UNSPACED}]")
_LETTER = regex.compile(r"\p{L}")
_CLOSING = {"(": ")", "[": "]", "{": "}", "（": "）", "「": "」", "『": "』", "【": "】", "《": "》"}
# Which of a pair opens differs by language: English “so”, Swedish ”so”, German „so“, Danish »so«.
_MARKS = (regex.compile('"'), regex.compile("[“”„‟]"), regex.compile("[«»]"))
_STUTTER = regex.compile(r"(\p{L}{3,12}?)\1\1")
_DOUBLED = regex.compile(r"([\p{Han}\p{Hiragana}\p{Katakana}ー]{4,})[^\p{L}\p{N}]*\1")
_KANJI = regex.compile(r"\p{Han}")
_LAUGHTER = 2
"""Different letters in what may be said again and again, as "haha" is."""
_SMILEY = regex.compile(r"[:;=8xX][-'^o]?[()\[\]]")

# In turn: a mark behind a blank, half a flag, the colour of a hand without the hand.
_DISPLACED = regex.compile(
    r"\s[.,;!?](?=\s|\Z)|(?<!\p{RI})\p{RI}(?:\p{RI}{2})*(?!\p{RI})|(?<![\p{Emoji_Modifier_Base}\uFE0F])\p{Emoji_Modifier}"
)


def has_displaced(text: str) -> bool:
    """Whether a mark stands alone behind a blank, or a part of an emoji without the other."""
    return _DISPLACED.search(text) is not None


def is_unclosed(text: str) -> bool:
    """Whether a bracket or quotation mark has no partner; a round bracket that closes needs none, as in "1) Bread"."""
    if any(len(mark.findall(text)) % 2 for mark in _MARKS):
        return True
    opened: list[str] = []
    for letter in _SMILEY.sub("", text):
        if letter in _CLOSING:
            opened.append(_CLOSING[letter])
        elif letter in _CLOSING.values():
            if opened and opened[-1] == letter:
                opened.pop()
            elif letter != ")":
                return True
    return bool(opened)


def goes_round(text: str, units: Sequence[str]) -> bool:
    """Whether a hashtag, a mention or a run of words stands twice in it, a word twice running, or a part of one three times running.

    Of Chinese and Japanese four letters with a kanji count as a word.

    `units`: what `bot.lm.likeness.words_of` finds in it.
    """
    tags = [tag.casefold() for tag in TAG.findall(text)]
    if len(tags) > len(set(tags)) or any(len(set(found[1])) > _LAUGHTER for found in _STUTTER.finditer(text.casefold())):
        return True
    if any(_KANJI.search(found[1]) for found in _DOUBLED.finditer(text)):  # ふわりふわり is a word
        return True
    unspaced = [_UNSPACED_LETTER.match(unit) is not None for unit in units]
    if any(one == two and not letter and _LETTER.match(one) for (one, two), letter in zip(pairwise(units), unspaced, strict=False)):
        return True
    seen = set()
    for start in range(len(units)):
        length = CIRCLE_UNSPACED if unspaced[start] else CIRCLE
        if start + length > len(units):
            continue
        run = tuple(units[start : start + length])
        if run in seen:
            return True
        seen.add(run)
    return False


def echoes(units: Sequence[str]) -> bool:
    """Whether a long word stands in it three times or on both sides of another ("rain after rain"), or two long ones together twice.

    `units`: what `bot.lm.likeness.words_of` finds in it.
    """
    if any(one == two and len(one) >= LONG_WORD for one, two in zip(units, units[2:], strict=False)):
        return True
    if any(times >= THRICE for word, times in Counter(units).items() if len(word) >= LONG_WORD):
        return True
    for length in (2, 3):
        runs = [tuple(units[at : at + length]) for at in range(len(units) - length + 1)]
        weighty = [run for run in runs if sum(len(unit) >= LONG_WORD for unit in run) >= 2]
        if len(weighty) > len(set(weighty)):
            return True
    return False
