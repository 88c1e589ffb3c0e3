"""A base as it lies in memory while characters speak: on CPU with 8-bit matrices, about a quarter of their size and four times as fast.

Every output channel of a matrix has its own scale. The activations become 8 bits wide as they come, each row with a scale and an offset
of its own, and products of whole numbers are exact: what a row gets does not depend on how many others are computed with it.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm.base import Base
from bot.lm.kernels import Matrix, are_usable
from bot.lm.network import Network, StoredNetwork

Product = Callable[[Tensor], Tensor]
"""`[rows, inputs]` → `[rows, outputs]`, the bias included."""
SMALLEST = 30_000_000
"""Numbers in the smallest base that torch quantises: below, what surrounds the products costs more than they do. The kernels always do."""
_ROWS = 8
"""Rows that a product of floats has, always: with another number the last bits would differ."""
_TINY = 1e-30


@dataclass(frozen=True)
class Packed:
    """What is large in a base, in the form in which the kernels read it."""

    matrices: Mapping[str, Matrix]
    """Of every linear layer and the output layer."""
    embedding: Tensor
    """`[vocabulary, width]`, 16 bits wide."""


class Resident:
    """A base that is ready to speak. Nothing of the loaded one is kept but what is needed."""

    def __init__(self, base: Base, *, quantised: bool | None = None, packed: Packed | None = None) -> None:
        """`quantised`: None = where it is faster. `packed`: the base's matrices, which it comes without."""
        on_cpu = base.device.type == "cpu"
        if quantised is None:
            quantised = on_cpu and (are_usable() or (base.parameters >= SMALLEST and can_quantise()))
        source = base.network
        self.name, self.tokenizer, self.context, self.device = base.name, base.tokenizer, base.context, base.device
        self.parameters = base.parameters
        self.dtype = base.dtype if base.device.type == "cuda" else torch.float32
        if not isinstance(source, StoredNetwork):
            self.dtype = base.dtype
        self.native = quantised and self.dtype == torch.float32 and are_usable()
        """Whether every product is a `Matrix` of the kernels."""
        self.network: Network = source
        self.products: dict[str, Product]
        if packed is not None:
            self.products, self._embedding = dict(packed.matrices), packed.embedding
            return
        self.products = {name: self._product(source, name, quantised=quantised) for name in (*source.linears, source.head)}
        if isinstance(source, StoredNetwork):
            self.network = _remainder(source, self.dtype)
        self._embedding = source.matrix(source.embedding)
        if quantised:
            self._embedding = self._embedding.half()

    def _product(self, network: Network, name: str, *, quantised: bool) -> Product:
        matrix, bias = network.matrix(name), network.bias(name)
        if self.native:
            return Matrix.pack(matrix, bias)
        if quantised:
            return Quantised(matrix, bias)
        return Plain(matrix.to(self.dtype), None if bias is None else bias.to(self.dtype))

    @property
    def packed(self) -> Packed | None:
        """Its matrices as the kernels read them; None where the kernels do not, or not alone."""
        if not self.native or not isinstance(self.network, StoredNetwork):
            return None
        return Packed({name: product for name, product in self.products.items() if isinstance(product, Matrix)}, self._embedding)

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings of tokens."""
        if isinstance(self.network, StoredNetwork):
            return functional.embedding(ids, self._embedding).to(self.dtype)
        return self.network.embed(ids)


class Quantised:
    """A linear layer on 8 bits."""

    def __init__(self, matrix: Tensor, bias: Tensor | None) -> None:
        """Pack a matrix `[outputs, inputs]`."""
        wide = matrix.detach().float().contiguous()  # the packing reads it row by row
        self._scales = wide.abs().amax(1).clamp_min_(_TINY).div_(127)
        whole = (wide / self._scales[:, None]).round_().to(torch.int8)
        self._zeros = torch.zeros(len(whole), dtype=torch.long)
        self._sums = whole.sum(1).float() * self._scales
        """What each output gains when every input grows by one."""
        self._bias = torch.zeros(len(whole)) if bias is None else bias.detach().float().clone()  # see `_remainder`
        self._packed = torch.ops.onednn.qlinear_prepack(whole, None)

    def __call__(self, x: Tensor) -> Tensor:
        low = x.amin(-1, keepdim=True)
        step = (x.amax(-1, keepdim=True) - low).mul_(1 / 255).clamp_min_(_TINY)
        whole = (x - low).div_(step).round_().to(torch.uint8)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, 0, self._packed, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(self._bias, product, step).addcmul_(self._sums, low)


class Plain:
    """A linear layer on floats."""

    def __init__(self, matrix: Tensor, bias: Tensor | None) -> None:
        """Take a matrix `[outputs, inputs]`."""
        self._matrix, self._bias = matrix, bias

    def __call__(self, x: Tensor) -> Tensor:
        rows = len(x)
        if rows % _ROWS:
            x = functional.pad(x, (0, 0, 0, -rows % _ROWS))
        if len(x) == _ROWS:
            return functional.linear(x, self._matrix, self._bias)[:rows]
        return torch.cat([functional.linear(block, self._matrix, self._bias) for block in torch.split(x, _ROWS)])[:rows]


def can_quantise() -> bool:
    """Whether this processor multiplies bytes exactly: older ones let the sums of pairs overflow."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_vnni") or capabilities.get("avx_vnni") or capabilities.get("amx_int8"))


def _remainder(network: StoredNetwork, dtype: torch.dtype) -> StoredNetwork:
    """The network without the matrices that products stand for."""
    rest = copy.copy(network)
    # Copied, because a tensor of the loaded file keeps the whole file in memory.
    replaced = {f"{name}.weight" for name in (*network.linears, network.head, network.embedding)}
    rest.weights = {name: tensor.to(dtype, copy=True) for name, tensor in network.weights.items() if name not in replaced}
    return rest
