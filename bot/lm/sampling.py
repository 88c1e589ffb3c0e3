"""Drawing the next token of many texts at once. Given the logits, a row's token depends on its own chance alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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


def penalise(logits: Tensor, seen: Sequence[int], penalty: float) -> None:
    """Make the tokens that were seen less likely, in place; one row's logits `[vocabulary]`."""
    if penalty != 1.0:
        ids = torch.tensor(sorted(set(seen)), device=logits.device)
        old = logits[ids]
        logits[ids] = torch.where(old < 0, old * penalty, old / penalty)


def choices(logits: Tensor, chances: Tensor, manner: Manner) -> Tensor:
    """For each row the token that its chance in [0, 1) falls on, among the `top_k` likeliest that make up `top_p`, down to `min_p`."""
    best, ids = torch.topk(logits, min(manner.top_k, logits.shape[-1]))
    shares = (best.double() / manner.temperature).softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill((before >= manner.top_p) | (shares < manner.min_p * shares[:, :1]), 0.0)
    reached = shares.cumsum(-1)
    at = (reached <= chances.double()[:, None] * reached[:, -1:]).sum(-1)
    return ids.gather(-1, at.clamp(max=ids.shape[-1] - 1)[:, None])[:, 0]
