"""Tweets laid end to end, and the loss that is found with its gradients: both against the plain way."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from bot.lm.adapter import Adapter, Pair
from bot.lm.attention import Layout, attention
from bot.lm.base import Base, load_base
from bot.lm.batches import IGNORED, Corpus, Row
from bot.lm.cross_entropy import cross_entropy, losses
from bot.lm.forward import losses_by_row, total_loss
from bot.lm.trainable import Trainable
from tests.lm.peers import stirred

Tiny = Callable[[str], Path]
VOCABULARY = 300
ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=45)
targets = st.one_of(st.integers(0, VOCABULARY - 1), st.just(IGNORED))


@st.composite
def tweets(draw: st.DrawFn) -> Row:
    inputs = draw(ids)
    return Row(inputs, draw(st.lists(targets, min_size=len(inputs), max_size=len(inputs))))


def silent(row: Row) -> Row:
    return Row(row.inputs, [IGNORED] * len(row.targets))


@pytest.fixture(scope="module")
def characters(tiny: Tiny) -> dict[str, tuple[Base, Adapter]]:
    """Bases with one head of keys for each head of queries, and with fewer."""
    bases = {name: load_base(str(tiny(name)), dtype=torch.float32) for name in ("gpt2", "qwen3")}
    return {name: (base, stirred(base)) for name, base in bases.items()}


def learnt(base: Base, adapter: Adapter, rows: list[Row], numbers: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch, and the gradients of all that is trained."""
    trainable = Trainable(adapter, base.dtype, learning_rate=1.0, bias_rate=1.0)
    batch = Corpus(rows, base.dtype, base.device).batch(numbers)
    loss = total_loss(base.network, trainable.pairs, trainable.bias, batch)
    torch.autograd.backward(loss)
    trainable.gather()
    return loss.detach(), trainable.gradients()


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_tweet_teaches_the_same_alone_and_among_others(
    characters: dict[str, tuple[Base, Adapter]], architecture: str, data: st.DataObject
) -> None:
    base, adapter = characters[architecture]
    rows = data.draw(st.lists(tweets(), min_size=1, max_size=7))
    chosen = data.draw(st.integers(0, len(rows) - 1))
    order = data.draw(st.permutations(range(len(rows))))
    # Only the chosen tweet has targets: what the batch teaches is what this tweet teaches.
    among = [row if i == chosen else silent(row) for i, row in enumerate(rows)]
    loss, gradients = learnt(base, adapter, among, order)
    alone, alone_gradients = learnt(base, adapter, [rows[chosen]], [0])
    torch.testing.assert_close(loss, alone, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients.items():
        wanted = alone_gradients[name]
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()) + 1e-6, msg=name)


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(tweets(), min_size=1, max_size=9))
def test_the_loss_of_a_batch_is_the_sum_over_its_tweets(
    characters: dict[str, tuple[Base, Adapter]], architecture: str, rows: list[Row]
) -> None:
    base, adapter = characters[architecture]
    corpus = Corpus(rows, base.dtype, base.device)
    each = losses_by_row(base.network, adapter.pairs(base.dtype), adapter.bias, corpus)
    apart = [float(learnt(base, adapter, [row], [0])[0]) for row in rows]
    assert each == pytest.approx(apart, rel=1e-5, abs=1e-4)
    assert float(learnt(base, adapter, rows, list(range(len(rows))))[0]) == pytest.approx(sum(apart), rel=1e-5, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.sampled_from([1, 2, 4]), st.integers(0, 99))
def test_attention_is_that_of_torch_tweet_by_tweet(lengths: list[int], shared: int, seed: int) -> None:
    """With its gradients, and with heads of keys that serve several heads of queries."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    q, k, v = (torch.randn(total, heads, 8, generator=generator, requires_grad=True) for heads in (4, 4 // shared, 4 // shared))
    weight = torch.randn(total, 32, generator=generator)
    found = attention(Layout.of(lengths, torch.float32))(0, q, k, v)

    def plain(parts: tuple[Tensor, ...]) -> Tensor:
        q, k, v = (t.transpose(0, 1)[None] for t in parts)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return out[0].transpose(0, 1).flatten(1)

    wanted = torch.cat([plain(parts) for parts in zip(*(torch.split(t, lengths) for t in (q, k, v)), strict=True)])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    ours, theirs = (torch.autograd.grad((out * weight).sum(), (q, k, v)) for out in (found, wanted))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def plain_losses(hidden: Tensor, wanted: Tensor, matrix: Tensor, bias: Tensor, pair: Pair | None) -> Tensor:
    logits = hidden @ matrix.T + bias
    if pair is not None:
        logits = logits + hidden @ pair[0].T @ pair[1].T
    return functional.cross_entropy(logits, wanted, reduction="none", ignore_index=IGNORED)


def close(found: Tensor, wanted: Tensor, what: str) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.detach().abs().max()) + 1e-6, msg=what)


@pytest.mark.parametrize("paired", [True, False])
@settings(max_examples=25, deadline=None)
@given(
    count=st.one_of(st.integers(1, 400), st.sampled_from([127, 128, 129, 256, 257])),
    ignored=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_the_loss_and_its_gradients_are_those_of_torch(count: int, ignored: float, seed: int, *, paired: bool) -> None:
    generator = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    hidden, matrix, bias = some(count, 12), some(70, 12), some(70)
    pair = (some(3, 12) * 0.3, some(70, 3) * 0.5) if paired else None
    wanted = torch.randint(0, 70, (count,), generator=generator)
    wanted[torch.rand(count, generator=generator) < ignored] = IGNORED
    learning = [t.requires_grad_() for t in (hidden, bias, *(pair or ()))]
    ours = cross_entropy(hidden, wanted, matrix, bias, pair)
    theirs = plain_losses(hidden, wanted, matrix, bias, pair)
    close(ours, theirs.sum(), "loss")
    close(losses(hidden, wanted, matrix, bias, pair), theirs, "each loss")
    # As a step takes it: a share of the sum.
    shares = [torch.autograd.grad(total / 7, learning) for total in (ours, theirs.sum())]
    for name, found, expected in zip(("hidden", "bias", "A", "B"), *shares, strict=False):
        close(found, expected, name)


def test_nothing_to_learn_is_no_loss_and_no_gradient(characters: dict[str, tuple[Base, Adapter]]) -> None:
    base, adapter = characters["gpt2"]
    loss, gradients = learnt(base, adapter, [silent(Row([1, 2, 3], [2, 3, 4]))], [0])
    assert loss == 0
    assert all(not gradient.any() for gradient in gradients.values())
