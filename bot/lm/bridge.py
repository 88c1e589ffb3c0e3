"""A network that computes with tensors, for rows of arrays: products and attention are asked for as arrays, the rest is torch's."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bot.lm.arithmetic import Array
from bot.lm.network import Attend, Layers, Linear, Network


class Bridge(Layers[Array]):
    """What `arrays.py` cannot compute, such as the architectures that transformers computes, still speaks on the kernels."""

    def __init__(self, network: Network) -> None:
        """Take over a network on 32 bits, on the CPU."""
        self._network = network
        self.shape, self.head = network.shape, network.head

    @torch.no_grad()
    def hidden(self, embedded: Array, positions: NDArray[Any], linear: Linear[Array], attend: Attend[Array]) -> Array:
        """See `Network`."""

        def product(name: str, x: Tensor) -> Tensor:
            return torch.from_numpy(linear(name, _array(x)))

        def attention(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return torch.from_numpy(attend(layer, *(_array(x.contiguous()) for x in (q, k, v))))

        return _array(self._network.hidden(torch.from_numpy(embedded), torch.from_numpy(positions), product, attention))


def _array(x: Tensor) -> Array:
    found: Array = x.detach().numpy()
    return found
