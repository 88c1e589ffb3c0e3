"""Spelling whole characters. Tokens can be parts of characters, and a base that hardly knows a script puts the parts together wrongly.

A character's model therefore spells only what the person has written: the characters of the tweets it was taught, and plain ASCII.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ALPHABET = "alphabet.txt"
_JOINER = "\u200d"
"""Makes one emoji of several."""
_PLAIN = bytes(range(0x20, 0x7F))
_ASCII = frozenset(bytes([b]) for b in _PLAIN)


def _taken_apart(piece: bytes) -> tuple[frozenset[bytes], bytes]:
    """The characters of a piece, and what is left at its end; bytes that are no character stand for themselves, and fit nowhere."""
    wholes, at = set(), 0
    while at < len(piece):
        length = next((n for n, least in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if piece[at] >= least), 1)
        if at + length > len(piece):
            break
        wholes.add(piece[at : at + length])
        at += length
    return frozenset(wholes), piece[at:]


class Pieces:
    """What each token of a vocabulary spells, shared by all characters on one base."""

    def __init__(self, spelt: Sequence[bytes | None], size: int) -> None:
        """`spelt`: each token's bytes, None for one that is no text; `size`: of the logits, which may have more places."""
        self.size = size
        self.spelt = spelt
        self.tokens = {piece: token for token, piece in enumerate(spelt) if piece}
        """By what they spell."""
        self.plain = np.zeros(size, dtype=np.bool_)
        """Marks tokens of ASCII alone, which may stand wherever a character begins."""
        self.beginning: list[tuple[int, frozenset[bytes], bytes]] = []
        """Other tokens that begin with a character: number, the whole characters in it, and the bytes of an unfinished one at its end."""
        self.going_on: list[int] = []
        """Tokens that begin inside a character."""
        plain = []
        for token, piece in enumerate(spelt):
            if not piece:
                continue
            if not piece.translate(None, _PLAIN):
                plain.append(token)
            elif 0x80 <= piece[0] < 0xC0:
                self.going_on.append(token)
            else:
                self.beginning.append((token, *_taken_apart(piece)))
        self.plain[plain] = True


class Spelling:
    """Which tokens may come next, so that nothing but whole characters of one alphabet is spelt."""

    def __init__(self, pieces: Pieces, alphabet: Iterable[str]) -> None:
        self._pieces = pieces
        self._wholes = _ASCII | {c.encode() for c in alphabet} | {b"\n"}
        self._parts = {whole[:at] for whole in self._wholes for at in range(1, len(whole))}
        self._following: dict[bytes, list[int]] = {}
        self._finished: dict[bytes, list[str]] = {}
        self._at_start = pieces.plain.copy()
        fitting = [t for t, wholes, rest in pieces.beginning if wholes <= self._wholes and (not rest or rest in self._parts)]
        self._at_start[fitting] = True

    def allowed(self, part: bytes) -> NDArray[np.bool_]:
        """Marks the tokens that may follow these bytes of an unfinished character, or, after b"", the last whole one."""
        if not part:
            return self._at_start
        marks = np.zeros(self._pieces.size, dtype=np.bool_)
        if part not in self._following:
            self._following[part] = [t for t in self._pieces.going_on if self.after(part, t) is not None]
        marks[self._following[part]] = True
        return marks

    def after(self, part: bytes, token: int) -> bytes | None:
        """The unfinished character after this token too; None when it does not fit."""
        for byte in self.pieces[token] or b"":
            part += bytes([byte])
            if part in self._wholes:
                part = b""
            elif part not in self._parts:
                return None
        return part

    def finished(self, part: bytes) -> list[str]:
        """The characters that these bytes may become."""
        if part not in self._finished:
            self._finished[part] = [whole.decode() for whole in self._wholes if whole.startswith(part)]
        return self._finished[part]

    @property
    def pieces(self) -> Sequence[bytes | None]:
        """What each token spells."""
        return self._pieces.spelt

    def tokens(self, texts: Iterable[str]) -> list[int]:
        """Those that spell one of these."""
        found = map(self._pieces.tokens.get, (text.encode() for text in texts))
        return sorted(token for token in found if token is not None)

    def characters(self, token: int) -> int:
        """How many characters begin in it."""
        return sum(byte & 0xC0 != 0x80 for byte in self.pieces[token] or b"")


def write_alphabet(folder: Path, texts: Iterable[str]) -> None:
    """Keep the characters of these texts that are not ASCII."""
    characters = sorted({c for text in texts for c in text if not c.isascii() and (c.isprintable() or c == _JOINER)} - {"\ufffd"})
    (folder / ALPHABET).write_text("".join(characters), encoding="utf-8")


def read_alphabet(folder: Path) -> str:
    """What `write_alphabet` kept."""
    return (folder / ALPHABET).read_text(encoding="utf-8")
