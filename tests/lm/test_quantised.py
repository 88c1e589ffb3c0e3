from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bot.lm.base import load_base
from bot.lm.decoder import likelihoods
from bot.lm.kernels import Matrix, are_usable
from bot.lm.network import StoredNetwork
from bot.lm.quantised import Plain, Quantised, can_quantise, resident
from bot.sample import TWEETS

needs_kernels = pytest.mark.skipif(not are_usable(), reason="the kernels were not built, or this processor has no AVX2")
needs_bytes = pytest.mark.skipif(not can_quantise(), reason="torch cannot multiply bytes exactly on this processor")


def rows(count: int, width: int) -> torch.Tensor:
    """Rows of very different sizes, some far from zero."""
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, width, generator=generator) * torch.logspace(-3, 3, count)[:, None] + torch.linspace(-2, 2, count)[:, None]


def packed(matrix: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    product = Matrix.pack(matrix.numpy(), bias.numpy())
    return lambda x: torch.from_numpy(product(x.numpy()))


@pytest.mark.parametrize("kind", [pytest.param(Quantised, marks=needs_bytes), Plain, pytest.param(packed, marks=needs_kernels)])
@pytest.mark.parametrize(("inputs", "outputs"), [(768, 2304), (256, 1024), (24, 40)])
def test_a_row_does_not_depend_on_the_others(
    kind: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]], inputs: int, outputs: int
) -> None:
    product = kind(torch.randn(outputs, inputs), torch.randn(outputs))
    x = rows(19, inputs)
    alone = torch.cat([product(x[i : i + 1]) for i in range(19)])
    for count in (2, 5, 8, 16, 19):
        assert torch.equal(product(x[:count]), alone[:count])


@needs_bytes
def test_the_product_is_close_and_scales_are_each_rows_and_channels_own() -> None:
    generator = torch.Generator().manual_seed(5)
    matrix, bias = (torch.randn(128, 64, generator=generator) * torch.logspace(-3, 3, 64)).T, torch.randn(64, generator=generator)
    x = rows(9, 128)
    exact = x @ matrix.T + bias
    error = (Quantised(matrix, bias)(x) - exact).abs()
    size = x.norm(dim=-1)[:, None] * matrix.norm(dim=-1)
    assert (error / size).max() < 0.003


@needs_bytes
def test_a_row_of_zeros_gives_the_bias() -> None:
    bias = torch.randn(6)
    assert torch.allclose(Quantised(torch.randn(6, 16), bias)(torch.zeros(1, 16)), bias)


@pytest.mark.skipif(not can_quantise() and not are_usable(), reason="nothing multiplies bytes exactly on this processor")
@pytest.mark.usefixtures("level")
def test_the_loss_hardly_moves() -> None:
    base = load_base("nano", dtype=torch.float32)
    texts = [line.split("\t")[1] for line in TWEETS.read_text(encoding="utf-8").splitlines()[1:101]]
    told = [([base.tokenizer.start, *base.tokenizer.encode(text), base.tokenizer.end], 1) for text in texts]
    tokens = sum(len(ids) - 1 for ids, _ in told)
    exact, on_bytes = (sum(likelihoods(resident(base, quantised=q), told)) / tokens for q in (False, True))
    assert abs(exact - on_bytes) < 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_transformers_computes_is_as_likely_on_kernels_and_on_16_bits(tiny: Callable[[str], Path], dtype: torch.dtype) -> None:
    """A base of 16 bits, as on a GPU, stays that; one of 32 goes over the bridge where there are kernels."""
    name = str(tiny("gpt_neox"))
    exact = load_base(name, dtype=torch.float32)
    told = [([exact.tokenizer.start, *exact.tokenizer.encode(text), exact.tokenizer.end], 1) for text in ("My kettle hums.", "The heron")]
    found = likelihoods(resident(load_base(name, dtype=dtype)), told)
    assert found == pytest.approx(likelihoods(resident(exact, quantised=False), told), rel=0.01)


@pytest.mark.skipif(not can_quantise() and not are_usable(), reason="nothing multiplies bytes exactly on this processor")
def test_no_copy_in_floats_is_kept() -> None:
    base = load_base("nano", dtype=torch.float32)
    network = resident(base, quantised=True).network
    assert isinstance(network, StoredNetwork)
    kept = network.weights
    assert not {f"{name}.weight" for name in (*base.network.linears, base.network.head, base.network.embedding)} & set(kept)
