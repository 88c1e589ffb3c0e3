import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, GPTJConfig, pipeline

from bot.bases import NANO_FOLDER
from bot.errors import BadInput, TrainingError
from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.export import export, load_plain, merge
from bot.lm.sampling import LEAST_SHARE

Tiny = Callable[[str], Path]
TEXTS = ("The heron hums by the canal.", "東京 🦉", "My kettle")


def character(base: Base, *, embedding_rank: int = 3) -> Adapter:
    """An adapter as if taught: everything it can change is changed."""
    generator = torch.Generator().manual_seed(11)
    network = base.network
    sizes = dict(network.linears)
    if embedding_rank:
        sizes[network.head] = (network.shape.width, network.shape.vocabulary)
    tensors = {}
    for name, (inputs, outputs) in sizes.items():
        tensors[f"{name}.lora_A.weight"] = torch.randn(3, inputs, generator=generator) * inputs**-0.5
        tensors[f"{name}.lora_B.weight"] = torch.randn(outputs, 3, generator=generator) * 0.2
    return Adapter(tensors, torch.randn(network.shape.vocabulary, generator=generator) * 3)


def logits_of(base: Base, adapter: Adapter, ids: list[int]) -> Tensor:
    """Base + adapter, by the definition."""
    network, tensors = base.network, adapter.tensors

    def change(name: str, x: Tensor) -> Tensor | float:
        if f"{name}.lora_A.weight" not in tensors:
            return 0.0
        return x @ tensors[f"{name}.lora_A.weight"].T @ tensors[f"{name}.lora_B.weight"].T

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, network.matrix(name), network.bias(name)) + change(name, x)

    def attend(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)[0].transpose(0, 1).flatten(1)

    tokens = torch.tensor(ids)
    embedded = network.embed(tokens)
    if f"{network.head}.lora_A.weight" in tensors:
        embedded = embedded + tensors[f"{network.head}.lora_B.weight"][tokens] @ tensors[f"{network.head}.lora_A.weight"]
    hidden = network.hidden(embedded, torch.arange(len(ids)), linear, attend)
    return linear(network.head, hidden) + adapter.bias


def exported(base: Base, folder: str, tmp_path: Path, **how: int) -> tuple[Adapter, Path]:
    adapter = character(base, **how)
    adapter.save(tmp_path / "adapter", base.network, base_name="a base")
    out = tmp_path / "out"
    export(folder, tmp_path / "adapter", out, handle="keeper", base_name="a base")
    return Adapter.load(tmp_path / "adapter", torch.device("cpu")), out


@pytest.mark.parametrize(
    ("architecture", "how"),
    [("nano", {}), ("gpt2", {}), ("gpt2", {"embedding_rank": 0}), ("llama", {}), ("llama", {"embedding_rank": 0}), ("qwen2", {})],
)
def test_the_folder_gives_the_logits_of_base_and_adapter(tiny: Tiny, tmp_path: Path, architecture: str, how: dict[str, int]) -> None:
    folder = architecture if architecture == "nano" else str(tiny(architecture))
    base = load_base(folder, dtype=torch.float32)
    adapter, out = exported(base, folder, tmp_path, **how)
    speaker: Any = pipeline("text-generation", model=str(out))
    for text in TEXTS:
        ids = [base.tokenizer.start, *base.tokenizer.encode(text)]
        assert speaker.tokenizer(text)["input_ids"] == ids
        with torch.no_grad():
            found = speaker.model(torch.tensor([ids])).logits[0]
        expected = logits_of(base, adapter, ids)
        assert expected.std() > 1
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_folder_speaks_as_people_expect(tiny: Tiny, tmp_path: Path) -> None:
    base = load_base(str(tiny("gpt2")))
    _, out = exported(base, str(tiny("gpt2")), tmp_path)
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {p.name for p in out.iterdir()}
    defaults = json.loads((out / "generation_config.json").read_text())
    assert [defaults[name] for name in ("do_sample", "temperature", "top_p", "top_k", "min_p")] == [True, 1.0, 0.95, 50, LEAST_SHARE]
    speaker: Any = pipeline("text-generation", model=str(out))
    for prompt in ("", "My kettle"):
        text = speaker(prompt, max_new_tokens=8)[0]["generated_text"]
        assert text.startswith(prompt)
        assert text != prompt
        assert "<|endoftext|>" not in text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(BadInput, match="not an empty folder"):
            export("nano", tmp_path / "adapter", out, handle="keeper", base_name="nano")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_character_of_another_base_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    base = load_base(str(tiny("gpt2")))
    character(base).save(tmp_path / "adapter", base.network, base_name="tiny")
    with pytest.raises(
        TrainingError, match=r"^This character was trained on another base \(its base knows [0-9,]+ tokens, nano has 12,641 now\)"
    ):
        export("nano", tmp_path / "adapter", tmp_path / "out", handle="keeper", base_name="nano")
    assert not (tmp_path / "out").exists()


def test_a_base_with_no_place_for_the_bias_is_refused(tiny: Tiny) -> None:
    base = load_base(str(tiny("qwen3")))
    with pytest.raises(BadInput, match="qwen3"):
        merge(load_plain(tiny("qwen3")), character(base))


def test_a_head_with_a_bias_takes_it() -> None:
    torch.manual_seed(2)
    config = GPTJConfig(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2, rotary_dim=4)
    model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers types it not
    bias, ids = torch.arange(50.0), torch.tensor([[3, 9, 1]])
    with torch.no_grad():
        before = model.eval()(ids).logits
        after = merge(model, Adapter({}, bias))(ids).logits
    torch.testing.assert_close(after, before + bias)


def test_the_weights_of_the_base_stay(tiny: Tiny, tmp_path: Path) -> None:
    before = (NANO_FOLDER / "model.safetensors").read_bytes()
    exported(load_base("nano"), "nano", tmp_path)
    assert (NANO_FOLDER / "model.safetensors").read_bytes() == before
