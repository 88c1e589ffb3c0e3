"""Attention over tweets laid end to end: each token sees itself and what stands before it in its own tweet.

Only here, and only for a moment, are tweets padded to one length. On a CPU three plain products of matrices are faster, backwards most of
all, than the fused kernel, which is made for rows a hundred times as long as a tweet.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional

from bot.lm.network import Attend

_ROUND = 8
"""L is a multiple of this: a new size costs the CPU's library more than a few empty places."""


@dataclass(frozen=True)
class Layout:
    """Where the tokens of B tweets, T in all, lie among B rows of L places."""

    tweets: Tensor
    """`[T, 1]`: the tweet of each token."""
    places: Tensor
    """`[T, 1]`: its place in the tweet."""
    tokens: Tensor
    """`[B, 1, L]`: the token at each place; where there is none, any."""
    mask: Tensor
    """`[1, L, L]`, added to the scores: 0 for what is seen, -infinity for what comes later."""

    @classmethod
    def of(cls, lengths: list[int], dtype: torch.dtype) -> "Layout":
        """For tweets of these lengths, on the CPU; `dtype`: that of the scores."""
        sizes = torch.tensor(lengths)
        total, longest = sum(lengths), -(-max(lengths) // _ROUND) * _ROUND
        starts = sizes.cumsum(0) - sizes
        tweets = torch.repeat_interleave(sizes)
        places = torch.arange(total) - starts[tweets]
        # Places after the end hold some later token: no token of the tweet looks that far, and what they hold is dropped.
        tokens = (starts[:, None] + torch.arange(longest)).clamp_(max=total - 1)
        mask = torch.full((1, longest, longest), -torch.inf, dtype=dtype).triu_(1)
        return cls(tweets[:, None], places[:, None], tokens[:, None], mask)

    def to(self, device: torch.device) -> "Layout":
        """The same on this device."""
        return Layout(*(t.to(device) for t in (self.tweets, self.places, self.tokens, self.mask)))

    def spread(self, x: Tensor, heads: int) -> Tensor:
        """`[T, some heads, width]` as `[B, heads, L, width]`; one head of x may serve several."""
        return x[self.tokens, (torch.arange(heads, device=x.device) // (heads // x.shape[1]))[:, None]]

    def gather(self, x: Tensor) -> Tensor:
        """`[B, heads, L, width]` as `[T, heads, width]`."""
        return x[self.tweets, torch.arange(x.shape[1], device=x.device), self.places]


def attention(layout: Layout) -> Attend:
    """The attention of a batch that lies like this."""

    def by_products(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = _Attention.apply(q, k, v, layout)  # type: ignore[no-untyped-call]  # torch types it not
        return out

    def fused(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = q.shape[1]
        out = functional.scaled_dot_product_attention(
            layout.spread(q, heads), layout.spread(k, heads), layout.spread(v, heads), is_causal=True
        )
        return layout.gather(out).flatten(1)

    return fused if layout.tokens.is_cuda else by_products


class _Attention(Function):
    """Written out, backwards too: autograd would keep and copy twice as much."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:  # noqa: ANN401  # torch types it not
        """`[T, heads, width]`, keys and values maybe with fewer heads → `[T, heads * width]`."""
        heads = q.shape[1]
        ctx.layout, ctx.key_heads = layout, k.shape[1]
        q, k, v = (layout.spread(t, heads).flatten(0, 1) for t in (q, k, v))
        scores = torch.baddbmm(layout.mask, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(q, k, v, weights)
        return layout.gather(torch.unflatten(torch.bmm(weights, v), 0, (-1, heads))).flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        """From the gradient of the output to those of q, k and v."""
        q, k, v, weights = ctx.saved_tensors
        layout: Layout = ctx.layout
        heads = len(q) // len(layout.tokens)
        d = torch.unflatten(q.new_zeros(q.shape), 0, (-1, heads))
        d[layout.tweets, torch.arange(heads, device=q.device), layout.places] = torch.unflatten(d_out, 1, (heads, -1))
        d = d.flatten(0, 1)
        d_weights = torch.bmm(d, v.transpose(1, 2))
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype).mul_(q.shape[-1] ** -0.5)  # noqa: SLF001  # of autograd
        d_q = torch.unflatten(torch.bmm(d_scores, k), 0, (-1, heads))
        shared = (torch.bmm(d_scores.transpose(1, 2), q), torch.bmm(weights.transpose(1, 2), d))
        d_k, d_v = (torch.unflatten(t, 0, (-1, heads)) for t in shared)
        if ctx.key_heads < heads:
            d_k, d_v = (torch.unflatten(t, 1, (ctx.key_heads, -1)).sum(2) for t in (d_k, d_v))
        return layout.gather(d_q), layout.gather(d_k), layout.gather(d_v), None
