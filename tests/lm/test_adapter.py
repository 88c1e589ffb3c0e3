"""The adapter against PEFT on the same weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from bot.lm.adapter import Adapter, output_layer
from bot.lm.base import Base, load_base
from tests.lm.conftest import ARCHITECTURES

Tiny = Callable[[str], Path]

pytestmark = [
    # PEFT warns of what is meant here: a pair on the tied output layer, and a Linear among GPT-2's Conv1D layers.
    pytest.mark.filterwarnings("ignore:.*fan_in_fan_out"),
    pytest.mark.filterwarnings("ignore:.*tied"),
    # PEFT still calls a method that transformers will drop.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing"),
]


def stirred(base_folder: Path, embedding_rank: int = 3) -> tuple[Base, Adapter]:
    """A base and an adapter that changes everything it can, with values that 16 bits hold exactly."""
    base = load_base(str(base_folder))
    generator = torch.Generator().manual_seed(1)
    adapter = Adapter.fresh(base.model, rank=4, embedding_rank=embedding_rank, generator=generator)
    state = {n: (torch.randn(t.shape, generator=generator) * 0.2).half().float() for n, t in adapter.state().items()}
    adapter.load_state(state)
    return base, adapter


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("embedding_rank", [0, 3])
def test_logits_are_those_of_peft_and_the_bias(tiny: Tiny, tmp_path: Path, architecture: str, embedding_rank: int) -> None:
    base, adapter = stirred(tiny(architecture), embedding_rank)
    adapter.save(tmp_path, base.model, base_name="tiny")
    ids = torch.tensor([base.tokenizer.encode("My kettle waits by the canal.")])
    with torch.no_grad():
        plain = base.model(input_ids=ids).logits
        with adapter.applied(base.model):
            ours = base.model(input_ids=ids).logits
        assert torch.equal(base.model(input_ids=ids).logits, plain)
        peft = PeftModel.from_pretrained(load_base(str(tiny(architecture))).model, tmp_path)
        theirs = peft(input_ids=ids).logits + load_file(tmp_path / "output_bias.safetensors")["bias"].float()
    assert (ours - plain).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_saved_adapter_is_read_back(tiny: Tiny, tmp_path: Path) -> None:
    base, adapter = stirred(tiny("gpt2"))
    adapter.save(tmp_path, base.model, base_name="tiny")
    again = Adapter.load(tmp_path, base.device)
    assert adapter.state().keys() == again.state().keys()
    assert all(torch.equal(t, again.state()[n]) for n, t in adapter.state().items())


def test_a_fresh_adapter_changes_nothing(tiny: Tiny) -> None:
    base = load_base(str(tiny("gpt2")))
    adapter = Adapter.fresh(base.model, rank=4, embedding_rank=3, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([base.tokenizer.encode("This umbrella dances.")])
    with torch.no_grad():
        plain = base.model(input_ids=ids).logits
        with adapter.applied(base.model):
            assert torch.equal(base.model(input_ids=ids).logits, plain)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_gradients_are_those_of_peft(tiny: Tiny, tmp_path: Path, architecture: str) -> None:
    base, adapter = stirred(tiny(architecture), 0)
    adapter.save(tmp_path, base.model, base_name="tiny")
    for tensor in adapter.state().values():
        tensor.requires_grad_()
    ids = torch.tensor([base.tokenizer.encode("The night baker asks for more rain.")])
    with adapter.applied(base.model):
        ours = base.model(input_ids=ids, labels=ids).loss
    torch.autograd.backward(ours)
    again = load_base(str(tiny(architecture))).model
    peft = PeftModel.from_pretrained(again, tmp_path, is_trainable=True)
    bias = adapter.bias.detach()
    output_layer(again).register_forward_hook(lambda _m, _i, out: out + bias)
    theirs = peft(input_ids=ids, labels=ids).loss
    torch.autograd.backward(theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    gradients = {n.replace(".default", "").removeprefix("base_model.model."): p.grad for n, p in peft.named_parameters() if p.requires_grad}
    assert gradients.keys() == adapter.tensors.keys()
    for name, tensor in adapter.tensors.items():
        torch.testing.assert_close(tensor.grad, gradients[name], rtol=1e-4, atol=1e-6)
