"""The loss over a frozen output layer with a trained bias and perhaps a pair, a few rows at a time: the logits of all never exist at once.

The gradients are found on the way forward, where the probabilities are at hand.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional

from bot.lm.adapter import Pair
from bot.lm.batches import IGNORED

# ruff: noqa: ANN401, PLR0917  # torch has no type for the context of a function, and takes its arguments by position

CHUNK = 256
"""Rows at a time."""
_LEAST = 1e-38
"""Least probability that is taken the logarithm of."""


def cross_entropy(hidden: Tensor, targets: Tensor, matrix: Tensor, bias: Tensor, pair: Pair | None) -> Tensor:
    """Sum of the losses in nats, over last hidden states `[T, width]` and targets `[T]`.

    Targets that are `IGNORED` count nothing.
    `matrix` `[vocabulary, width]` is frozen; `bias` `[vocabulary]`, on 32 bits, and the pair are not.
    """
    a, b = pair or (None, None)
    out: Tensor = _CrossEntropy.apply(hidden, targets, matrix, bias, a, b)  # type: ignore[no-untyped-call]  # torch types it not
    return out


def losses(hidden: Tensor, targets: Tensor, matrix: Tensor, bias: Tensor, pair: Pair | None) -> Tensor:
    """The loss `[T]` of each target in nats, on 32 bits; see `cross_entropy`. There are no gradients."""
    found = []
    with torch.no_grad():
        for x, y in zip(torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True):
            logits = _logits(x, matrix, bias.to(x.dtype), pair)[0].float()
            found.append(functional.cross_entropy(logits, y, reduction="none", ignore_index=IGNORED))
    return torch.cat(found)


def _logits(x: Tensor, matrix: Tensor, bias: Tensor, pair: Pair | None, room: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Logits, written into the first rows of `room` if there is one, and the product of x and the pair's A."""
    logits = torch.addmm(bias, x, matrix.T, out=None if room is None else room[: len(x)])
    if pair is None:
        return logits, None
    low = torch.mm(x, pair[0].T)
    return logits.addmm_(low, pair[1].T), low


class _CrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, matrix: Tensor, bias: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
        pair = None if a is None or b is None else (a, b)
        narrow = bias.to(hidden.dtype)
        total = bias.new_zeros(())
        d_hidden = torch.empty_like(hidden)
        d_bias = torch.zeros_like(bias)
        d_pair = None if pair is None else (torch.zeros_like(pair[0]), torch.zeros_like(pair[1]))
        room = hidden.new_empty(min(CHUNK, len(hidden)), len(matrix))  # fresh pages for each chunk would take as long as its softmax
        for x, y, d_x in zip(*(torch.split(t, CHUNK) for t in (hidden, targets, d_hidden)), strict=True):
            logits, low = _logits(x, matrix, narrow, pair, room)
            d_logits = torch.softmax(logits, -1, out=logits)  # within on 32 bits, whatever the type
            rows = (y != IGNORED).nonzero()[:, 0]
            at = rows, y[rows]
            total -= d_logits[at].float().clamp_min_(_LEAST).log_().sum()
            d_logits[at] -= 1
            d_logits[(y == IGNORED).nonzero()[:, 0]] = 0
            torch.mm(d_logits, matrix, out=d_x)
            d_bias += d_logits.sum(0, dtype=d_bias.dtype)
            if pair is not None and d_pair is not None and low is not None:
                d_low = torch.mm(d_logits, pair[1])
                d_x.addmm_(d_low, pair[0])
                d_pair[0].addmm_(d_low.T, x)
                d_pair[1].addmm_(d_logits.T, low)
        ctx.gradients = d_hidden, d_bias, *(d_pair or (None, None))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, *others = (None if t is None else t * d_out for t in ctx.gradients)
        return d_hidden, None, None, *others
