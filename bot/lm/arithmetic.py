"""What speaking computes besides products with matrices, on one kind of array: torch's tensors (`tensors.py`) or numpy's (`arrays.py`).

Networks and the decoder are written once for both. Without torch, whose import takes longer than all else, a character's first word comes
in a fifth of the time and in half of the memory; training and GPUs want tensors.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float32]
A = TypeVar("A", "Tensor", "NDArray[np.float32]", default="Tensor")
"""The kind of array; where none is named, tensors."""


class Arithmetic(Protocol[A]):
    """T: tokens laid end to end."""

    def knows(self, activation: str) -> bool:
        """Whether it can compute the activation of this name, as transformers calls it."""

    def numbers(self, whole: Sequence[int]) -> A:
        """Whole numbers of 64 bits `[T]`."""

    def rows(self, table: A, ids: A) -> A:
        """The rows `[T, width]` of a table."""

    def layer_norm(self, x: A, weight: A, bias: A, epsilon: float) -> A:
        """The norm of each row (Ba et al. 2016)."""

    def rms_norm(self, x: A, weight: A, epsilon: float) -> A:
        """The norm of each row by its root mean square (Zhang and Sennrich 2019)."""

    def activation(self, name: str, x: A) -> A:
        """What leaves an activation that is known."""

    def turns(self, positions: A, width: int, theta: float) -> tuple[A, A]:
        """What turns heads of this width at these positions (rotary embedding, Su et al. 2021): cosines and sines `[T, 1, width / 2]`."""

    def turned(self, x: A, turns: tuple[A, A]) -> A:
        """Queries or keys `[T, heads, width]` turned, their halves side by side."""

    def attention(self, q: A, k: A, v: A) -> A:
        """One text's attention, `[T, heads, width]` → `[T, heads * width]`: each token sees itself and what stands before it."""

    def joined(self, parts: Sequence[A]) -> A:
        """One behind the other."""

    def room(self, size: tuple[int, ...]) -> A:
        """Room for keys and values, filled with anything."""

    def told(self, x: A) -> Array:
        """As numpy's, on 32 bits."""
