"""Products with a frozen matrix and a character's pair beside it, forwards and backwards."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional

from bot.lm.adapter import Pair

# ruff: noqa: ANN401, PLR0917  # torch has no type for the context of a function, and takes its arguments by position


def paired_linear(x: Tensor, weight: Tensor, bias: Tensor | None, pair: Pair) -> Tensor:
    """`[T, inputs]` → `[T, outputs]`: x times weight `[outputs, inputs]`, plus bias, plus the pair's part."""
    out: Tensor = _PairedLinear.apply(x, weight, bias, *pair)  # type: ignore[no-untyped-call]  # torch types it not
    return out


def paired_embedding(embedded: Tensor, ids: Tensor, pair: Pair) -> Tensor:
    """Embeddings `[T, width]` of tokens `[T]`, plus the part of the output layer's pair, whose B has a row for each token."""
    a, b = pair
    return torch.addmm(embedded, functional.embedding(ids, b), a)


class _PairedLinear(Function):
    """The frozen matrix needs no gradient, and only x and the product with A are kept for those of the pair."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
        low = torch.mm(x, a.T)
        ctx.save_for_backward(x, low, weight, a, b)
        return functional.linear(x, weight, bias).addmm_(low, b.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor]:
        x, low, weight, a, b = ctx.saved_tensors
        d_low = torch.mm(d_out, b)
        d_x = torch.mm(d_out, weight).addmm_(d_low, a) if ctx.needs_input_grad[0] else None
        return d_x, None, None, torch.mm(d_low.T, x), torch.mm(d_out.T, low)
