"""Arithmetic on numpy's arrays and the kernels in C, 32 bits wide: for speaking on a CPU without torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.lm import kernels
from bot.lm.arithmetic import Arithmetic, Array


class Arrays(Arithmetic[Array]):
    """See `Arithmetic`."""

    def knows(self, activation: str) -> bool:
        """See `Arithmetic`."""
        return activation in kernels.ACTIVATIONS

    def numbers(self, whole: Sequence[int]) -> NDArray[Any]:
        """See `Arithmetic`."""
        return np.array(whole, dtype=np.int64)

    def rows(self, table: NDArray[Any], ids: NDArray[Any]) -> Array:
        """See `Arithmetic`."""
        found: Array = table[ids].astype(np.float32, copy=False)
        return found

    def layer_norm(self, x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
        """See `Arithmetic`."""
        return kernels.norm(x, weight, bias, epsilon)

    def rms_norm(self, x: Array, weight: Array, epsilon: float) -> Array:
        """See `Arithmetic`."""
        return kernels.norm(x, weight, None, epsilon)

    def activation(self, name: str, x: Array) -> Array:
        """See `Arithmetic`."""
        return kernels.activate(name, x)

    def turns(self, positions: NDArray[Any], width: int, theta: float) -> tuple[Array, Array]:
        """See `Arithmetic`."""
        frequencies = theta ** (-np.arange(0, width, 2, dtype=np.float32) / np.float32(width))
        angles = (positions[:, None].astype(np.float32) * frequencies.astype(np.float32))[:, None]
        return np.cos(angles), np.sin(angles)

    def turned(self, x: Array, turns: tuple[Array, Array]) -> Array:
        """See `Arithmetic`."""
        (cos, sin), half = turns, x.shape[-1] // 2
        left, right = x[..., :half], x[..., half:]
        return np.concatenate([left * cos - right * sin, right * cos + left * sin], -1)

    def attention(self, q: Array, k: Array, v: Array) -> Array:
        """See `Arithmetic`."""
        tokens, heads, width = q.shape
        queries, keys, values = (x.swapaxes(0, 1) for x in (q, k, v))
        keys, values = (np.repeat(x, heads // len(x), axis=0) for x in (keys, values))
        scores = queries @ keys.swapaxes(1, 2) * np.float32(width**-0.5)
        scores[:, ~np.tri(tokens, dtype=np.bool_)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        found: Array = (shares @ values).swapaxes(0, 1).reshape(tokens, -1)
        return found

    def joined(self, parts: Sequence[Array]) -> Array:
        """See `Arithmetic`."""
        return np.concatenate(parts)

    def room(self, size: tuple[int, ...]) -> NDArray[Any]:
        """See `Arithmetic`; 16 bits wide, as `kernels.attend` wants it."""
        return np.empty(size, dtype=np.float16)

    def told(self, x: Array) -> Array:
        """See `Arithmetic`."""
        return x
