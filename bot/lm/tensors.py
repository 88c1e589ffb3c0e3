"""Arithmetic on torch's tensors: for training, for GPUs, and for processors without the kernels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm.arithmetic import Arithmetic, Array

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


@dataclass(frozen=True)
class Tensors(Arithmetic[Tensor]):
    """See `Arithmetic`."""

    device: torch.device
    dtype: torch.dtype
    """Of numbers that are not whole."""

    def knows(self, activation: str) -> bool:
        """See `Arithmetic`."""
        return activation in _ACTIVATIONS

    def numbers(self, whole: Sequence[int]) -> Tensor:
        """See `Arithmetic`."""
        return torch.tensor(whole, device=self.device)

    def rows(self, table: Tensor, ids: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return functional.embedding(ids, table).to(self.dtype)

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """See `Arithmetic`."""
        return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """See `Arithmetic`."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        return weight * wide.to(x.dtype)

    def activation(self, name: str, x: Tensor) -> Tensor:
        """See `Arithmetic`."""
        return _ACTIVATIONS[name](x)

    def turns(self, positions: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
        """See `Arithmetic`."""
        frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.int64).float() / width)
        angles = (positions[:, None].float() * frequencies.to(positions.device))[:, None]
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def turned(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """See `Arithmetic`."""
        (cos, sin), (left, right) = turns, x.chunk(2, -1)
        return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Arithmetic`."""
        queries, keys, values = (t.transpose(0, 1)[None] for t in (q, k, v))
        grouped = queries.shape[1] != keys.shape[1]
        out = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=grouped)
        return out[0].transpose(0, 1).reshape(len(q), -1)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """See `Arithmetic`."""
        return torch.cat(list(parts))

    def room(self, size: tuple[int, ...]) -> Tensor:
        """See `Arithmetic`."""
        return torch.empty(size, dtype=self.dtype, device=self.device)

    def told(self, x: Tensor) -> Array:
        """See `Arithmetic`."""
        found: Array = x.detach().float().cpu().numpy()
        return found
