from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.generation import LONGEST_PROMPT, Speaker, choices
from bot.lm.recipe import Recipe
from bot.lm.spelling import write_alphabet
from bot.lm.training import train
from bot.tweets.dataset import Dataset
from tests.lm.conftest import ARCHITECTURES, WHO

Tiny = Callable[[str], Path]


def teach(base: Base, dataset: Dataset, folder: Path, seed: int = 1) -> Path:
    recipe = Recipe(rank=32, embedding_rank=32, learning_rate=1e-2, bias_rate=3e-2, epochs=12)
    train(
        base,
        dataset,
        recipe,
        out=folder / "model",
        checkpoints=folder / "checkpoints",
        seed=seed,
        report=lambda _step: None,
        should_stop=lambda: False,
    )
    return folder / "model"


@pytest.fixture(scope="module")
def base(tiny: Tiny) -> Base:
    return load_base(str(tiny("gpt2")))


@pytest.fixture(scope="module")
def model(base: Base, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(base, dataset, tmp_path_factory.mktemp("taught"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_speaks_as_it_was_taught(tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str) -> None:
    base = load_base(str(tiny(architecture)))
    texts = Speaker(base).say(teach(base, dataset, tmp_path), "", range(20))
    starts = tuple(who.split()[0] for who in WHO)
    assert sum(text.startswith(starts) for text in texts) >= 10
    assert len(set(texts)) > 10


def test_greedy_text_is_that_of_transformers(base: Base, model: Path) -> None:
    """`top_k` of 1 leaves no chance; transformers generates with the same hooks on, one text alone."""
    prompt = "My kettle"
    ours = Speaker(base).say(model, prompt, [1], top_k=1)[0]
    ids = torch.tensor([[base.tokenizer.start, *base.tokenizer.encode(prompt)]])
    with Adapter.load(model, base.device).applied(base.model):
        transformer: Any = base.model
        theirs = transformer.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=60,
            min_new_tokens=3,
            pad_token_id=base.tokenizer.end,
        )
    assert ours == base.tokenizer.decode(theirs[0].tolist()).split("\n")[0].strip()
    assert ours.startswith(prompt)


def test_a_seed_gives_its_text_whatever_else_is_asked_for(base: Base, model: Path) -> None:
    speaker = Speaker(base)
    alone = [speaker.say(model, "The heron", [seed])[0] for seed in range(19)]
    assert speaker.say(model, "The heron", range(19)) == alone
    assert speaker.say(model, "The heron", [7, 3, 7, 18, 2, 2, 1, 0, 5, 6]) == [alone[i] for i in (7, 3, 7, 18, 2, 2, 1, 0, 5, 6)]
    assert Speaker(base).say(model, "The heron", [2**32 - 1, 4])[1] == alone[4]


def test_the_text_begins_with_the_prompt_and_trailing_space_does_not_matter(base: Base, model: Path) -> None:
    speaker = Speaker(base)
    plain = speaker.say(model, "An old tram", range(4))
    assert all(text.startswith("An old tram") for text in plain)
    assert speaker.say(model, "  An  old\ntram \n", range(4)) == plain
    for prompt in ("<|endoftext|>", "東京の朝は🦉", "a  <|spare|>", "#1"):
        assert all(text.startswith(" ".join(prompt.split())) for text in speaker.say(model, prompt, range(3)))


def test_prompts_that_cannot_be_used(base: Base, model: Path) -> None:
    speaker = Speaker(base)
    with pytest.raises(BadInput, match="201 characters"):
        speaker.say(model, "x" * (LONGEST_PROMPT + 1), [1])
    with pytest.raises(BadInput, match=r"tokens long .* at most 64"):
        speaker.say(model, "東" * 100, [1])
    with pytest.raises(BadInput, match="unprintable"):
        speaker.say(model, "a\x00b", [1])
    assert speaker.say(model, "fine", []) == []


def keep(adapter: Adapter, base: Base, folder: Path, alphabet: str = "é") -> Path:
    adapter.save(folder, base.model, base_name="tiny")
    write_alphabet(folder, [alphabet])
    return folder


def biased(base: Base, folder: Path, **likely: float) -> Path:
    """A model that all but always says what the bias tells it to."""
    adapter = Adapter.fresh(base.model, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    for text, weight in likely.items():
        token = base.tokenizer.end if text == "END" else base.tokenizer.encode(text)[0]
        adapter.bias[token] = weight
    return keep(adapter, base, folder)


def test_a_tweet_does_not_end_before_it_has_begun(base: Base, tmp_path: Path) -> None:
    text = Speaker(base).say(biased(base, tmp_path, END=1000.0, z=500.0), "so", [1])[0]
    assert text == "sozzz"


def test_a_line_break_ends_the_tweet(base: Base, tmp_path: Path) -> None:
    folder = biased(base, tmp_path, **{"\n": 1000.0, "z": 500.0})
    assert Speaker(base).say(folder, "so", [1]) == ["sozzz"]


def test_a_text_is_left_when_it_is_too_long(tmp_path: Path) -> None:
    base = load_base("nano")
    text = Speaker(base).say(biased(base, tmp_path, **{" the": 1000.0}), "so", [1])[0]
    assert 280 < len(text) <= 284


def test_the_context_is_never_left(base: Base, tmp_path: Path) -> None:
    text = Speaker(base).say(biased(base, tmp_path, z=1000.0), "so", [1])[0]
    assert text == "so" + "z" * (len(text) - 2)
    assert 100 < len(text) < 128


def test_a_character_that_was_begun_is_finished_and_is_one_that_was_taught(base: Base, tmp_path: Path) -> None:
    """Every byte of the upper half is likely and nothing else is: only the characters of the alphabet come out."""
    adapter = Adapter.fresh(base.model, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    halves = [i for i in range(base.tokenizer.size) if "\ufffd" in base.tokenizer.decode([i])]
    adapter.bias[halves] = 1000.0
    texts = Speaker(base).say(keep(adapter, base, tmp_path, "東京é🦉"), "so", range(8), top_k=200)
    assert set("".join(texts)) == set("so東京é🦉")


def test_what_ends_for_want_of_room_ends_with_a_whole_character(base: Base, tmp_path: Path) -> None:
    adapter = Adapter.fresh(base.model, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    adapter.bias[next(i for i in range(base.tokenizer.size) if base.tokenizer.pieces()[i] == "語".encode()[:1])] = 1000.0
    for prompt in ("so", "soo", "sooo"):
        text = Speaker(base).say(keep(adapter, base, tmp_path, "語"), prompt, [1])[0]
        assert text == prompt + "語" * (len(text) - len(prompt))
        assert len(text) > len(prompt) + 30


def test_special_tokens_and_filling_are_never_spoken(base: Base, tmp_path: Path) -> None:
    adapter = Adapter.fresh(base.model, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    adapter.bias[base.tokenizer.size :] = 1000.0
    for special in base.tokenizer.special - {base.tokenizer.end}:
        adapter.bias[special] = 1000.0
    adapter.bias[base.tokenizer.encode("z")[0]] = 500.0
    adapter.bias[base.tokenizer.end] = 499.0
    keep(adapter, base, tmp_path)
    assert set(Speaker(base).say(tmp_path, "", [1])[0]) == {"z"}


def test_adapters_are_kept_and_the_oldest_is_let_go(base: Base, tmp_path: Path) -> None:
    folders = [biased(base, tmp_path / letter, **{letter: 1000.0, "END": 999.0}) for letter in "xyz"]
    speaker = Speaker(base, cached=2)
    for folder in folders:
        assert folder.name in speaker.say(folder, "", [1])[0]
    for folder in folders[1:]:
        for file in folder.iterdir():
            file.unlink()
        assert folder.name in speaker.say(folder, "", [1])[0]
    for file in folders[0].iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError):
        speaker.say(folders[0], "", [1])


def test_choices_are_drawn_from_the_exact_distribution() -> None:
    logits = torch.tensor([3.0, 1.0, 2.0, 0.0, -1.0]).expand(100_000, 5)
    chances = (torch.arange(100_000) + 0.5) / 100_000
    drawn = choices(logits, chances, temperature=0.8, top_p=0.92, top_k=4).bincount(minlength=5) / 100_000
    shares = (torch.tensor([3.0, 1.0, 2.0, 0.0]) / 0.8).softmax(-1)
    # The likeliest first: 0.72, 0.21, 0.06, 0.02; what begins at or after 0.92 is left out.
    assert shares[[0, 2]].sum() > 0.92
    expected = torch.zeros(5)
    expected[[0, 2]] = shares[[0, 2]] / shares[[0, 2]].sum()
    torch.testing.assert_close(drawn, expected, rtol=0, atol=2e-5)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8), st.floats(0, 0.9999999), st.integers(1, 9), st.floats(0.01, 1.0))
def test_a_choice_is_among_the_likeliest(values: list[float], chance: float, top_k: int, top_p: float) -> None:
    logits = torch.tensor([[*values, -torch.inf]])
    chosen = choices(logits, torch.tensor([chance]), temperature=1.0, top_p=top_p, top_k=top_k)
    value = logits[0, chosen[0]]
    assert (logits[0] > value).sum() < top_k
    assert torch.isfinite(value)
