"""Tiny bases of several architectures, with random weights and a tokenizer trained on a few invented sentences."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bot.lm import kernels
from bot.lm.kernels import levels, use_threads
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset
from tests.lm.architectures import make_model

# Several threads on matrices this small only wait for each other.
torch.set_num_threads(1)
use_threads(1)

WHO = ["The heron", "My kettle", "An old tram", "This umbrella", "The night baker", "A stubborn goat"]
WHAT = ["hums", "waits", "grumbles", "dances", "forgets everything", "asks for more rain"]
WHERE = ["by the canal", "under the café roof", "in the archive", "behind platform nine", "until morning", "at the 東京 desk 🦉"]
ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3")


def sentences() -> list[str]:
    return [f"{who} {what} {where}." for who in WHO for what in WHAT for where in WHERE]


def make_tokenizer(*specials: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer


def make_base(folder: Path, architecture: str) -> Path:
    """A folder as a base is given out: config, tokenizer and safetensors."""
    llama = architecture == "llama"
    start, end = ("<s>", "</s>") if llama else (None, "<|endoftext|>")
    tokenizer = make_tokenizer(*([start] if start else []), end, "<|spare|>")
    ids: dict[str, Any] = {"bos_token_id": tokenizer.token_to_id(start or end), "eos_token_id": tokenizer.token_to_id(end)}
    # A few rows more than the tokenizer has entries, as many real models have.
    model = make_model(architecture, spread=0.02, vocab_size=tokenizer.get_vocab_size() + 5, **ids)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"eos_token": end, **({"bos_token": start} if start else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return folder


def use_level(name: str) -> None:
    """Compute as a processor of this level from now on; the bot always takes the best."""
    kernels._library().mynah_use_level(levels().index(name))


@pytest.fixture(scope="module", params=levels() or ["none"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Once for each level of kernels that this processor has, and once where it has none."""
    if levels():
        use_level(request.param)
    yield request.param
    if levels():
        use_level(levels()[-1])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny base of this architecture."""
    made: dict[str, Path] = {}

    def folder(architecture: str = "gpt2") -> Path:
        if architecture not in made:
            made[architecture] = make_base(tmp_path_factory.mktemp(architecture), architecture)
        return made[architecture]

    return folder


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    texts = sentences()
    random.Random(5).shuffle(texts)
    kept = [Kept(text=t, cut=i % 9 == 0) for i, t in enumerate(texts[:90])]
    return Dataset(train=tuple(kept[:75]), heldout=tuple(kept[75:]), sha256="0" * 64)
