"""Drawing the next token of many texts at once. Given the logits, a row's token depends on its own chance alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.lm.arithmetic import Array
from bot.lm.recipe import SMALL_BASE

LEAST_SHARE = 0.05
"""`min_p` on a small base, whose unlikely tokens are mostly noise and spell words that do not exist."""


@dataclass(frozen=True)
class Manner:
    """How tokens are drawn, in the order in which it is done; each as in transformers."""

    repetition_penalty: float = 1.0
    """Tokens that stand in the text already, or in the prompt, are made so much less likely; 1 = not."""
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 0.95
    min_p: float = 0.0
    """A token with less than this share of the likeliest one's probability is not drawn; 0 = any may be."""


def manner_of(base_parameters: int) -> Manner:
    """How characters speak on a base of this size when nothing else is asked for."""
    return Manner(min_p=LEAST_SHARE if base_parameters < SMALL_BASE else 0.0)


def penalise(logits: Array, seen: Sequence[int], penalty: float) -> None:
    """Make the tokens that were seen less likely, in place; one row's logits `[vocabulary]`."""
    if penalty != 1.0:
        ids = sorted(set(seen))
        old = logits[ids]
        logits[ids] = np.where(old < 0, old * penalty, old / penalty)


def choices(logits: Array, chances: NDArray[np.float64], manner: Manner) -> NDArray[np.int64]:
    """For each row the token that its chance in [0, 1) falls on, among the `top_k` likeliest that make up `top_p`, down to `min_p`."""
    ids = _likeliest(logits, min(manner.top_k, logits.shape[-1]))
    best = np.take_along_axis(logits, ids, -1).astype(np.float64)
    shares = np.exp((best - best[:, :1]) / manner.temperature)
    shares /= shares.sum(-1, keepdims=True)
    before = shares.cumsum(-1) - shares
    shares[(before >= manner.top_p) | (shares < manner.min_p * shares[:, :1])] = 0.0
    reached = shares.cumsum(-1)
    at = (reached <= chances[:, None] * reached[:, -1:]).sum(-1, keepdims=True)
    return np.take_along_axis(ids, np.minimum(at, ids.shape[-1] - 1), -1)[:, 0]


def _likeliest(logits: Array, count: int) -> NDArray[np.int64]:
    """The numbers of so many tokens of each row, the likeliest first."""
    ids = np.argpartition(logits, -count, -1)[:, -count:]
    order = np.argsort(-np.take_along_axis(logits, ids, -1), -1, kind="stable")
    return np.take_along_axis(ids, order, -1)
