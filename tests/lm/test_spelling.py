from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lm.base import load_base
from bot.lm.spelling import Pieces, Spelling, read_alphabet, write_alphabet
from tests.lm.conftest import ARCHITECTURES

Tiny = Callable[[str], Path]
NANO = load_base("nano")
PIECES = Pieces(NANO.tokenizer.pieces(), NANO.tokenizer.size)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "nano"])
def test_the_pieces_spell_what_the_tokenizer_reads(tiny: Tiny, architecture: str) -> None:
    tokenizer = load_base("nano" if architecture == "nano" else str(tiny(architecture))).tokenizer
    pieces = tokenizer.pieces()
    assert {i for i, piece in enumerate(pieces) if piece is None} == tokenizer.special
    for text in ("The heron, 3 × naïve & 東京 🦉!", "\n\t~", "<|endoftext|>"):
        assert b"".join(pieces[i] or b"?" for i in tokenizer.encode(text)) == text.encode()


@given(st.text(st.sampled_from("abc é東京🦉日本"), max_size=12))
def test_whatever_is_of_the_alphabet_can_be_spelt(text: str) -> None:
    spelling = Spelling(PIECES, "é東京🦉日本")
    part = b""
    for token in NANO.tokenizer.encode(text):
        assert spelling.allowed(part)[token]
        after = spelling.after(part, token)
        assert after is not None
        part = after
    assert part == b""


@given(st.lists(st.floats(0, 0.999), min_size=20, max_size=60), st.sets(st.characters(min_codepoint=0x80, codec="utf-8"), max_size=6))
def test_nothing_else_can_be_spelt(chances: list[float], alphabet: set[str]) -> None:
    spelling = Spelling(PIECES, alphabet)
    part, spelt = b"", b""
    for chance in chances:
        # Tokens that are not plain ASCII come first, so that half characters are met at all.
        tokens = np.flatnonzero(spelling.allowed(part))[::-1]
        tokens = tokens[~PIECES.plain[tokens]] if alphabet else tokens
        token = int(tokens[int(chance * len(tokens))])
        spelt += PIECES.spelt[token] or b""
        after = spelling.after(part, token)
        assert after is not None
        part = after
    whole = spelt[: len(spelt) - len(part)].decode()
    assert {c for c in whole if not c.isascii()} <= alphabet


def test_a_special_token_spells_nothing() -> None:
    assert not Spelling(PIECES, "").allowed(b"")[NANO.tokenizer.end]
    assert not Spelling(Pieces([None, b"a"], 4), "").allowed(b"")[[0, 2, 3]].any()


def test_byte_fallback_tokens_are_parts() -> None:
    spelling = Spelling(Pieces([b"\xe6", b"\x9d", b"\xb1", b"a", "東".encode()], 5), "東")
    assert np.flatnonzero(spelling.allowed(b"")).tolist() == [0, 3, 4]
    assert np.flatnonzero(spelling.allowed(b"\xe6")).tolist() == [1]
    assert spelling.after(b"\xe6\x9d", 2) == b""
    assert spelling.after(b"\xe6", 3) is None


def test_the_alphabet_is_what_was_written_and_can_be_seen(tmp_path: Path) -> None:
    write_alphabet(tmp_path, ["naïve\u202e 東", "東\ufffd é 👩\u200d👧"])
    assert read_alphabet(tmp_path) == "éï\u200d東👧👩"


@given(st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=30), st.text("aé東🦉ß", max_size=4))
def test_what_may_begin_is_what_can_be_spelt(spelt: list[bytes], alphabet: str) -> None:
    spelling = Spelling(Pieces(spelt, len(spelt)), alphabet)
    marks = spelling.allowed(b"").tolist()
    for token, piece in enumerate(spelt):
        assert marks[token] == (not 0x80 <= piece[0] < 0xC0 and spelling.after(b"", token) is not None)
