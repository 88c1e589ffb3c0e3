"""Every distribution is taken apart exactly: chances laid evenly over [0, 1) must fall on the tokens in their shares."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from bot.lm.arithmetic import Array
from bot.lm.recipe import SMALL_BASE
from bot.lm.sampling import LEAST_SHARE, Manner, choices, manner_of, penalise


def test_choices_are_drawn_from_the_exact_distribution() -> None:
    values = np.array([3.0, 1.0, 2.0, 0.0, -1.0], dtype=np.float32)
    drawn = shares_drawn(values, Manner(temperature=0.8, top_p=0.92, top_k=4))
    shares = np.exp(values[:4] / 0.8) / np.exp(values[:4] / 0.8).sum()
    # The likeliest first: 0.72, 0.21, 0.06, 0.02; what begins at or after 0.92 is left out.
    assert shares[[0, 2]].sum() > 0.92
    expected = np.zeros(5)
    expected[[0, 2]] = shares[[0, 2]] / shares[[0, 2]].sum()
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=2e-5)


def shares_drawn(logits: Array, manner: Manner, count: int = 100_000) -> NDArray[np.float64]:
    """The share of the chances that falls on each token."""
    drawn = choices(np.tile(logits, (count, 1)), (np.arange(count) + 0.5) / count, manner)
    return np.bincount(drawn, minlength=len(logits)) / count


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=8), st.floats(0, 0.9999999), st.integers(1, 9), st.floats(0.01, 1.0))
def test_a_choice_is_among_the_likeliest(values: list[float], chance: float, top_k: int, top_p: float) -> None:
    logits = np.array([[*values, -np.inf]], dtype=np.float32)
    chosen = choices(logits, np.array([chance]), Manner(temperature=1.0, top_p=top_p, top_k=top_k))
    value = logits[0, chosen[0]]
    assert (logits[0] > value).sum() < top_k
    assert np.isfinite(value)


@pytest.mark.parametrize(
    ("penalty", "temperature", "top_k", "top_p", "min_p"),
    [
        (1.0, 1.0, 50, 0.95, 0.0),
        (1.3, 0.7, 12, 0.8, 0.0),
        (1.1, 1.6, 60, 1.0, 0.0),
        (2.0, 1.0, 1, 0.5, 0.0),
        (1.0, 1.0, 50, 0.95, 0.1),
        (1.2, 0.8, 60, 1.0, 0.3),
    ],
)
def test_the_distribution_is_that_of_transformers(penalty: float, temperature: float, top_k: int, top_p: float, min_p: float) -> None:
    logits = torch.randn(60, generator=torch.Generator().manual_seed(4)) * 2
    seen = [3, 9, 9, 41, 0]
    steps = [
        RepetitionPenaltyLogitsProcessor(penalty),
        TemperatureLogitsWarper(temperature),
        TopKLogitsWarper(top_k),
        TopPLogitsWarper(top_p),
        MinPLogitsWarper(min_p),
    ]
    theirs = LogitsProcessorList(steps)(torch.tensor([seen]), logits[None].clone())[0].softmax(-1)  # type: ignore[arg-type]
    ours = logits.numpy().copy()
    penalise(ours, seen, penalty)
    drawn = shares_drawn(ours, Manner(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p), 200_000)
    np.testing.assert_allclose(drawn, theirs.numpy(), rtol=0, atol=2e-5)


def test_a_row_depends_on_its_own_chance_alone() -> None:
    numbers = np.random.default_rng(1)
    logits, chances = numbers.standard_normal((7, 90), dtype=np.float32), numbers.random(7)
    together = choices(logits, chances, Manner(temperature=0.9, top_p=0.9, top_k=40))
    alone = [choices(logits[i : i + 1], chances[i : i + 1], Manner(temperature=0.9, top_p=0.9, top_k=40)) for i in range(7)]
    assert together.tolist() == np.concatenate(alone).tolist()


def test_unlikely_tokens_are_not_drawn_on_a_small_base() -> None:
    assert manner_of(SMALL_BASE - 1) == Manner(min_p=LEAST_SHARE)
    assert manner_of(SMALL_BASE) == Manner()
    logits = np.log(np.array([0.51, 0.46, 0.02, 0.01], dtype=np.float32))
    assert np.flatnonzero(shares_drawn(logits, Manner(top_p=1.0, min_p=LEAST_SHARE), 1000)).tolist() == [0, 1]
    assert np.flatnonzero(shares_drawn(logits, Manner(top_p=1.0), 1000)).tolist() == [0, 1, 2, 3]
