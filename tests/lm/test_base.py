import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bot.bases import NANO_FOLDER
from bot.errors import BadInput
from bot.lm.base import load_base
from bot.lm.batches import rows
from bot.lm.scoring import losses
from bot.tweets.cleaning import Kept
from tests.lm.architectures import DESCRIBED, REFUSED, WRAPPED
from tests.lm.conftest import ARCHITECTURES
from tests.lm.peers import log_probabilities, plain_model

Tiny = Callable[[str], Path]
NANO = load_base("nano")


def test_nano_is_small_and_whole() -> None:
    assert (NANO.name, NANO.context, NANO.tokenizer.start, NANO.tokenizer.end) == ("nano", 512, 0, 0)
    assert 6e6 < NANO.parameters < 10e6
    assert (NANO_FOLDER / "model.safetensors").stat().st_size <= 20_000_000


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_nano_gives_back_every_text(text: str) -> None:
    assert NANO.tokenizer.decode(NANO.tokenizer.encode(text)) == text


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_loads_and_predicts(tiny: Tiny, architecture: str) -> None:
    base = load_base(str(tiny(architecture)), name=f"a tiny {architecture}")
    assert base.name == f"a tiny {architecture}"
    assert base.context == 128
    assert base.network.shape.vocabulary == base.tokenizer.size + 5
    (loss,) = losses(base, None, rows(base, [Kept("The heron hums by the canal.")]))
    assert 0 < loss < 100
    assert (base.tokenizer.start != base.tokenizer.end) == (architecture == "llama")


@pytest.mark.parametrize("architecture", [*DESCRIBED, *WRAPPED])
@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_what_transformers_saved_is_loaded_whole(tiny: Tiny, tmp_path: Path, architecture: str, shard: str) -> None:
    model = plain_model(tiny(architecture))
    folder = Path(shutil.copytree(tiny(architecture), tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors")))
    model.save_pretrained(folder, max_shard_size=shard)
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shard == "20KB")
    base = load_base(str(folder), dtype=torch.float32)
    assert base.parameters == model.num_parameters()
    ids = [base.tokenizer.start, *base.tokenizer.encode("A stubborn goat.")]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    torch.testing.assert_close(log_probabilities(base, None, ids), expected, rtol=0, atol=1e-4, check_dtype=False)


def test_gpt2_as_the_hub_has_it_is_the_same(folder: Path, tiny: Tiny) -> None:
    """Its names have no prefix, and masks lie among the weights."""
    tensors = {n.removeprefix("transformer."): t for n, t in load_file(folder / "model.safetensors").items()}
    masks = {f"h.{n}.attn.bias": torch.ones(1, 1, 128, 128).tril() for n in range(2)}
    save_file(tensors | masks, folder / "model.safetensors", metadata={"format": "pt"})
    base, usual = load_base(str(folder)), load_base(str(tiny("gpt2")))
    some = rows(base, [Kept("The heron hums by the canal.")])
    assert losses(base, None, some) == losses(usual, None, some)
    assert base.parameters == usual.parameters


LIGHT = """
import sys
import torch
from bot.lm.adapter import Adapter
from bot.lm.base import load_base
from bot.lm.trainable import Trainable
base, *_ = [load_base(name) for name in sys.argv[1:]]
fresh = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator())
Trainable(fresh, base.dtype, learning_rate=1.0, bias_rate=1.0).step(1.0, clip=1.0)
print(*{"transformers", "torch._dynamo"} & set(sys.modules))
"""


def test_described_bases_load_and_train_without_transformers_and_the_compiler_of_torch(tiny: Tiny) -> None:
    """Importing either takes as long as everything else."""
    bases = ["nano", *(str(tiny(architecture)) for architecture in DESCRIBED)]
    assert subprocess.run([sys.executable, "-c", LIGHT, *bases], check=True, stdout=subprocess.PIPE, text=True).stdout.strip() == ""


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


@pytest.mark.fault(28)
def test_pickled_weights_are_refused(folder: Path) -> None:
    """Weights that are a pickle are refused: only safetensors are read."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no weights as safetensors"):
        load_base(str(folder))


@pytest.mark.fault(28)
def test_code_of_its_own_is_refused_and_not_run(folder: Path) -> None:
    """Program code that comes with a base is refused and never run."""
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    change(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"}, model_type="evil")
    with pytest.raises(BadInput, match="program code of its own"):
        load_base(str(folder))


@pytest.mark.parametrize(
    ("architecture", "name", "sentence"),
    [
        ("gpt2", "transformer.h.1.mlp.c_fc.weight", "lack 1 of the model's 10 matrices: fetch them again"),
        ("gpt2", "transformer.wte.weight", "lack 2 of the model's 10 matrices: fetch them again"),
        ("gpt2", "transformer.ln_f.bias", r"lack transformer\.ln_f\.bias: fetch them again"),
        ("gpt2", "transformer.wpe.weight", r"lack transformer\.wpe\.weight: fetch them again"),
        ("qwen3", "model.layers.0.self_attn.v_proj.weight", "lack 1 of"),
        ("llama", "model.layers.1.input_layernorm.weight", r"lack model\.layers\.1\.input_layernorm\.weight"),
        ("llama", "lm_head.weight", "lack 1 of the model's 16 matrices"),
        ("gpt_neox", "gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "lack 1 of the model's tensors: fetch them again"),
    ],
)
def test_lacking_tensors_are_refused(tiny: Tiny, tmp_path: Path, architecture: str, name: str, sentence: str) -> None:
    folder = Path(shutil.copytree(tiny(architecture), tmp_path / "base"))
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(name)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=sentence):
        load_base(str(folder))


def test_weights_of_another_size_are_refused(folder: Path) -> None:
    change(folder / "config.json", n_inner=64)
    with pytest.raises(BadInput, match="lack 4 of"):
        load_base(str(folder))


def test_a_lacking_shard_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("llama"), tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors")))
    plain_model(tiny("llama")).save_pretrained(folder, max_shard_size="20KB")
    next(folder.glob("model-00002-*")).unlink()
    with pytest.raises(BadInput, match="can be loaded"):
        load_base(str(folder))


def test_damaged_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(BadInput, match="can be loaded"):
        load_base(str(folder))


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    change(folder / "config.json", model_type="vit")
    with pytest.raises(BadInput, match="no causal language model"):
        load_base(str(folder))


@pytest.mark.parametrize("architecture", REFUSED)
def test_a_model_that_computes_more_is_refused(tiny: Tiny, architecture: str) -> None:
    with pytest.raises(BadInput, match=f"^{architecture} models compute something"):
        load_base(str(tiny(architecture)))


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
