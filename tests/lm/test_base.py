import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bot.errors import BadInput
from bot.lm.base import NANO_FOLDER, load_base
from tests.lm.conftest import ARCHITECTURES

Tiny = Callable[[str], Path]
NANO = load_base("nano")


def test_nano_is_small_and_whole() -> None:
    assert (NANO.name, NANO.context, NANO.tokenizer.start, NANO.tokenizer.end) == ("nano", 512, 0, 0)
    assert 6e6 < NANO.parameters < 10e6
    assert (NANO_FOLDER / "model.safetensors").stat().st_size <= 20_000_000
    assert not any(p.requires_grad for p in NANO.model.parameters())


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_nano_gives_back_every_text(text: str) -> None:
    assert NANO.tokenizer.decode(NANO.tokenizer.encode(text)) == text


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_loads_and_predicts(tiny: Tiny, architecture: str) -> None:
    base = load_base(str(tiny(architecture)), name=f"a tiny {architecture}")
    assert base.name == f"a tiny {architecture}"
    assert base.context == 128
    ids = [base.tokenizer.start, *base.tokenizer.encode("The heron hums by the canal.")]
    logits = base.model(input_ids=torch.tensor([ids])).logits
    assert logits.shape == (1, len(ids), base.tokenizer.size + 5)
    assert torch.isfinite(logits).all()
    assert (base.tokenizer.start != base.tokenizer.end) == (architecture == "llama")


@pytest.mark.parametrize("text", ["<|endoftext|>", "so <|endoftext|> it <|spare|> goes", "<s>", "</s>"])
@pytest.mark.parametrize("architecture", ["nano", "gpt2", "llama"])
def test_the_text_of_a_special_token_is_only_text(tiny: Tiny, architecture: str, text: str) -> None:
    tokenizer = NANO.tokenizer if architecture == "nano" else load_base(str(tiny(architecture))).tokenizer
    ids = tokenizer.encode(text)
    assert not tokenizer.special & set(ids)
    assert tokenizer.decode(ids) == text


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny("gpt2"), tmp_path / "base"))


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_pickled_weights_are_refused(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no weights as safetensors"):
        load_base(str(folder))


def test_code_of_its_own_is_refused_and_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    change(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"}, model_type="evil")
    with pytest.raises(BadInput, match="program code of its own"):
        load_base(str(folder))


def test_lacking_tensors_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("transformer.h.1.mlp.c_fc.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="lack 1 of"):
        load_base(str(folder))


def test_damaged_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(BadInput, match="can be loaded"):
        load_base(str(folder))


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    change(folder / "config.json", model_type="vit")
    with pytest.raises(BadInput, match="no causal language model"):
        load_base(str(folder))


def test_a_base_without_an_end_is_refused(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=None)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(BadInput, match="no end-of-text token"):
        load_base(str(folder))


def test_the_first_of_several_ends_counts(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=[1, 0])
    (folder / "tokenizer_config.json").unlink()
    assert load_base(str(folder)).tokenizer.end == 1


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="tokenizer"):
        load_base(str(folder))
