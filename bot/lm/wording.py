"""Spelling words that there are. A base that has read little puts parts of words together to some that do not exist.

On such a base a character spells only words that the person has written and, if the base knows the person's language, words that it has
read, and any of one or two letters. A text is followed while it grows, token by token. Mentions and hashtags are left to the screen: where
only known ones could come, every second post would have one. Needs no torch.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import takewhile
from pathlib import Path

import regex

from bot.lm.form import TAG, UNSPACED
from bot.lm.likeness import SHORTEST_SPELT

OWN = "words.txt"
KNOWN_SHARE = 0.5
"""Share of a person's words that a base must have read to know the language: nano has read 0.89 and more of an English account's,
0.11 to 0.16 of Danish and Spanish ones'."""
MOST = 200
"""Words that are looked through for what may come next."""
_LETTER = regex.compile(rf"[[\p{{L}}\p{{M}}]--[{UNSPACED}\p{{Hangul}}]]", regex.V1)
_WORD = regex.compile(f"(?:{_LETTER.pattern})+", regex.V1)
_SIGNS = "@＠#＃"

State = str
"""What the next character may go on: the letters of an unfinished word, or one of these."""
NOTHING: State = ""
"""No word is unfinished, and a mention or hashtag may begin."""
_BEHIND: State = " "
"""The same behind a letter or figure that belongs to no word: no mention or hashtag begins there."""
_ANY: State = "*"
"""A mention, a hashtag, or an unfinished word that somebody else began: it may go on as it likes."""


class Wording:
    """What one character may spell."""

    def __init__(self, lists: Sequence[Sequence[str]], *, shortest: int) -> None:
        """`lists`: words without case, each sorted. `shortest`: any word of fewer letters fits."""
        self._lists, self._shortest = lists, shortest
        self._closing: list[int] | None = None
        self.after = lru_cache(maxsize=2_000)(self._after)
        """What stands unfinished when this text comes after that state; None when it does not fit."""

    def begun(self, prompt: str) -> State:
        """What stands unfinished behind a prompt, whose words may be any."""
        state = NOTHING
        for character in _plain(prompt):
            state = _next(state, character)
        return state if self._goes_on(state) else _ANY

    def is_whole(self, state: State) -> bool:
        """Whether the text may end here."""
        return self._is_free(state) or state in map(partial(_first_from, state), self._lists)

    def endings(self, state: State) -> set[str]:
        """What the words that begin so go on with, and every beginning of that; of the first `MOST` words of each list."""
        found: set[str] = set()
        for words in self._lists:
            at = bisect_left(words, state)
            for word in takewhile(lambda word: word.startswith(state), words[at : at + MOST]):
                found.update(word[len(state) : end] for end in range(len(state) + 1, len(word) + 1))
        return found

    def closing(self, pieces: Sequence[bytes | None]) -> list[int]:
        """The tokens, of which these are the pieces, that may stand behind a whole word and part it from what follows."""
        if self._closing is None:
            texts = ((token, (piece or b"").decode(errors="replace")) for token, piece in enumerate(pieces))
            self._closing = [token for token, text in texts if _parts(text) and self._after(NOTHING, text) is not None]
        return self._closing

    def _after(self, state: State, text: str) -> State | None:
        for character in _plain(text):
            following = _next(state, character)
            if len(following) <= len(state) and not self.is_whole(state):
                return None
            state = following
        return state if self._goes_on(state) else None

    def _goes_on(self, state: State) -> bool:
        """Whether any word begins so."""
        return self._is_free(state) or any(_first_from(state, words).startswith(state) for words in self._lists)

    def _is_free(self, state: State) -> bool:
        return state in (_BEHIND, _ANY) or len(state) < self._shortest


def _parts(text: str) -> bool:
    """Whether it is sound, and begins with what belongs to no word, mention or hashtag."""
    return "\ufffd" not in text and _next("x", _plain(text)[:1]) == NOTHING


def _first_from(state: State, words: Sequence[str]) -> str:
    """The first of the sorted words that does not come before this one; none is ""."""
    at = bisect_left(words, state)
    return words[at] if at < len(words) else ""


def _next(state: State, character: str) -> State:
    is_letter = _LETTER.match(character) is not None
    if state == _ANY and (is_letter or character == "_" or character.isalnum()):
        return _ANY
    if is_letter:
        return character if state == _BEHIND else state + character
    if character in _SIGNS and state == NOTHING:
        return _ANY
    return _BEHIND if character == "_" or character.isalnum() else NOTHING


def write_words(folder: Path, texts: Iterable[str]) -> None:
    """Keep what these texts spell."""
    found = {word for text in texts for word in _WORD.findall(TAG.sub(" ", _plain(text)))}
    (folder / OWN).write_text("".join(f"{word}\n" for word in sorted(found)), encoding="utf-8")


def read_wording(folder: Path, base: frozenset[str] | None) -> Wording | None:
    """The wording of the character in this folder, on a base that has read these words; None where it may spell any."""
    if base is None or not (folder / OWN).exists():
        return None
    own = (folder / OWN).read_text(encoding="utf-8").splitlines()
    words = [word for word in own if len(word) >= SHORTEST_SPELT]
    if sum(word in base for word in words) >= KNOWN_SHARE * len(words):
        return Wording([own, _sorted(base)], shortest=SHORTEST_SPELT)
    return Wording([own], shortest=1)


@lru_cache(maxsize=1)
def _sorted(words: frozenset[str]) -> list[str]:
    return sorted(words)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
