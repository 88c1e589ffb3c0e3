from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import TrainingError
from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.generation import Speaker
from bot.lm.likeness import spelt
from bot.lm.quantised import resident
from bot.lm.spelling import write_alphabet
from bot.lm.vocabulary import words_read
from bot.lm.wording import NOTHING, Wording, read_wording, write_words

NANO = load_base("nano")
ENGLISH = words_read("nano")
DANISH = ["Jeg har glemt min paraply, og det regner igen!", "Så er der kaffe på kajen: @havnen #regnvejr", "Rødgrød med fløde?"]
WORDS = ["heron", "herons", "paraply", "rødgrød", "og", "på"]
TAGS = ["@havnen", "#regn_2vejr", "＃Rodgrod東"]
SIGNS = [" ", ", ", "! ", " 3 ", "\n", "。東 "]


def goes(wording: Wording, pieces: Sequence[str]) -> bool:
    """Whether these pieces may follow each other, and end."""
    state = NOTHING
    for piece in pieces:
        after = wording.after(state, piece)
        if after is None:
            return False
        state = after
    return wording.is_whole(state)


@given(st.lists(st.tuples(st.sampled_from(WORDS + TAGS), st.sampled_from(SIGNS)), min_size=1), st.data())
def test_whatever_is_made_of_known_words_fits_however_it_is_cut(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    text = "".join(f"{'' if word in WORDS else ' '}{data.draw(st.sampled_from([word, word.capitalize()]))}{sign}" for word, sign in parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    assert goes(Wording([sorted(WORDS)], shortest=1), [text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)])


@pytest.mark.parametrize("text", ["heronx", "hero", "hero ", "a heron", "Paraplu!", "@havnen x", "heron@havnen", "3#regn", "rodgrod", "o"])
def test_nothing_else_fits(text: str) -> None:
    wording = Wording([sorted(WORDS)], shortest=1)
    for pieces in ([text], list(text)):
        assert not goes(wording, pieces)


def test_any_word_of_one_or_two_letters_fits_a_language_that_the_base_knows() -> None:
    wording = Wording([["heron"]], shortest=3)
    assert goes(wording, ["xy q heron"])
    assert not goes(wording, ["xyz"])


def test_a_word_that_somebody_else_began_may_go_on_as_it_likes() -> None:
    wording = Wording([["heron"]], shortest=1)
    begun = wording.begun("The brillig slith")
    assert wording.after(begun, "y heron") is not None
    assert wording.after(begun, "y tove") is None
    assert wording.after(wording.begun("her"), "on ") is not None
    assert wording.after(wording.begun("her"), "s ") is None


def test_what_may_follow_is_known() -> None:
    assert Wording([["heron", "herons"], ["herd"]], shortest=1).endings("her") == {"o", "on", "ons", "d"}


def test_a_language_that_the_base_knows_has_its_words_too(tmp_path: Path) -> None:
    assert ENGLISH is not None
    write_words(tmp_path, ["The heron waits by the weir. Zorblax!"])
    wording = read_wording(tmp_path, ENGLISH)
    assert wording is not None
    assert goes(wording, ["zorblax and umbrella"])
    assert not goes(wording, ["zorblay"])
    write_words(tmp_path, DANISH)
    wording = read_wording(tmp_path, ENGLISH)
    assert wording is not None
    assert goes(wording, ["Jeg har kaffe på kajen, @havnen!"])
    assert not goes(wording, ["umbrella"])


def test_a_base_that_spells_well_is_not_bound(tmp_path: Path) -> None:
    write_words(tmp_path, DANISH)
    assert read_wording(tmp_path, words_read("/somewhere/gpt2")) is None
    assert read_wording(tmp_path / "elsewhere", ENGLISH) is None


def character(base: Base, folder: Path, texts: Sequence[str]) -> Path:
    """One that has learnt nothing but which words there are."""
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    adapter.save(folder, base.network, base_name="nano")
    write_alphabet(folder, texts)
    write_words(folder, texts)
    return folder


def test_nano_says_no_word_that_there_is_not(tmp_path: Path) -> None:
    assert ENGLISH is not None
    speaker = Speaker(resident(NANO))
    danish = speaker.say(character(NANO, tmp_path / "danish", DANISH), "", range(12))
    known = {word for text in DANISH for word in spelt(text)}
    assert all(spelt(_without_the_last_word(text)) <= known for text in danish)
    assert len(set(danish)) > 8
    english = speaker.say(character(NANO, tmp_path / "english", ["The heron waits."]), "", range(12), temperature=1.5, min_p=0.0)
    assert all(spelt(_without_the_last_word(text)) <= ENGLISH for text in english)


def _without_the_last_word(text: str) -> str:
    """A text that grew too long ends anywhere."""
    return text.rsplit(" ", 1)[0] if len(text) > 270 else text


def test_the_same_seed_says_the_same_in_any_company(tmp_path: Path) -> None:
    folder = character(NANO, tmp_path / "danish", DANISH)
    speaker = Speaker(resident(NANO))
    together = speaker.say(folder, "Jeg", range(6))
    assert [speaker.say(folder, "Jeg", [seed])[0] for seed in range(6)] == together


def test_a_character_of_another_base_is_refused(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = character(NANO, tmp_path / "model", DANISH)
    with pytest.raises(TrainingError, match=r"another base \(its base knows 12,641 tokens, .* has [0-9,]+ now\): train it again\.$"):
        Speaker(resident(load_base(str(tiny("gpt2"))))).say(folder, "", [1])
