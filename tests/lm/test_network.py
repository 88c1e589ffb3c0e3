"""The descriptions of architectures, and any other architecture wrapped, against transformers' own logits."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from bot.errors import BadInput
from bot.lm.attention import Layout, attention
from bot.lm.network import Network, StoredNetwork, network_class
from bot.lm.tensors import Tensors
from bot.lm.wrapped import Wrapped
from tests.lm.architectures import DESCRIBED, REFUSED, WRAPPED, make_model

LENGTHS = (5, 17, 1, 40)
VOCABULARY = 100
TENSORS = Tensors(torch.device("cpu"), torch.float32)


def tweets() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(0, VOCABULARY, (n,), generator=generator) for n in LENGTHS]


def expected(model: Any) -> Tensor:
    """The model's own logits, one tweet at a time."""
    with torch.no_grad():
        return torch.cat([model(input_ids=ids[None], use_cache=False).logits[0] for ids in tweets()])


def found(network: Network) -> Tensor:
    """The network's logits of all tweets laid end to end."""

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, network.matrix(name), network.bias(name))

    positions = torch.cat([torch.arange(n) for n in LENGTHS])
    with torch.no_grad():
        layout = Layout.of(list(LENGTHS), torch.float32)
        return linear(network.head, network.hidden(network.embed(torch.cat(tweets())), positions, linear, attention(layout)))


def linear_sizes(model: Any) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of all linear layers but the output's, as transformers has them."""
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not model.get_output_embeddings()}
    shapes = {n: tuple(m.weight.shape) if isinstance(m, Conv1D) else tuple(m.weight.shape)[::-1] for n, m in layers.items()}
    return {n: (inputs, outputs) for n, (inputs, outputs) in shapes.items()}


def described(model: Any) -> StoredNetwork:
    config = model.config.to_dict()
    which = network_class(config, TENSORS)
    assert which is not None
    return which(config, {n: p.detach() for n, p in model.named_parameters()}, TENSORS)


@pytest.mark.parametrize("architecture", DESCRIBED)
@pytest.mark.parametrize("tied", [True, False])
def test_a_described_network_gives_the_logits_of_transformers(architecture: str, *, tied: bool) -> None:
    model = make_model(architecture, vocab_size=VOCABULARY, tie_word_embeddings=tied)
    network = described(model)
    assert network.linears == linear_sizes(model)
    torch.testing.assert_close(found(network), expected(model), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "fields"),
    [
        ("gpt2", {"n_inner": 40, "activation_function": "relu", "layer_norm_epsilon": 0.1}),
        ("llama", {"rms_norm_eps": 0.1, "hidden_act": "gelu", "head_dim": 16}),
        ("llama", {"num_key_value_heads": 1}),
        ("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    ],
)
def test_every_number_of_a_config_counts(architecture: str, fields: dict[str, Any]) -> None:
    model = make_model(architecture, vocab_size=VOCABULARY, **fields)
    wanted = expected(model)
    torch.testing.assert_close(found(described(model)), wanted, rtol=1e-4, atol=1e-4)
    usual = make_model(architecture, vocab_size=VOCABULARY)
    assert (expected(usual) - wanted).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("architecture", "fields"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"scale_attn_weights": False}),
        ("mistral", {"sliding_window": 16}),
        ("llama", {"hidden_act": "tanh"}),
        ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}}),
        ("gpt_neox", {}),
    ],
)
def test_what_is_computed_otherwise_is_not_described(architecture: str, fields: dict[str, Any]) -> None:
    assert network_class(make_model(architecture, vocab_size=VOCABULARY, **fields).config.to_dict(), TENSORS) is None


@pytest.mark.parametrize("architecture", [*DESCRIBED, *WRAPPED])
def test_a_wrapped_model_gives_the_logits_of_transformers(architecture: str) -> None:
    model = make_model(architecture, vocab_size=VOCABULARY)
    wanted, sizes = expected(model), linear_sizes(model)
    network = Wrapped(model)
    assert dict(network.linears) == sizes
    torch.testing.assert_close(found(network), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", REFUSED)
def test_a_model_that_computes_more_is_refused_in_one_sentence(architecture: str) -> None:
    with pytest.raises(BadInput, match=f"^{architecture} models compute something that Mynah cannot train: take another base\\.$"):
        Wrapped(make_model(architecture, vocab_size=VOCABULARY))


def test_a_wrapped_model_answers_nobody_else() -> None:
    model = make_model("phi", vocab_size=VOCABULARY)
    Wrapped(model)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        model.base_model(input_ids=tweets()[0][None])
