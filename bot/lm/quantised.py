"""Making a loaded base ready to speak: on CPU with 8-bit matrices, about a quarter of their size and four times as fast.

Every output channel of a matrix has its own scale. The activations become 8 bits wide as they come, each row with a scale and an offset
of its own, and products of whole numbers are exact: what a row gets does not depend on how many others are computed with it.
"""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm import kernels
from bot.lm.arithmetic import A, Arithmetic
from bot.lm.arrays import Arrays
from bot.lm.base import Base, load_base
from bot.lm.bridge import Bridge
from bot.lm.choirs import Choirs
from bot.lm.kernels import Matrix
from bot.lm.native import native
from bot.lm.network import StoredNetwork
from bot.lm.resident import Product, Resident
from bot.lm.tensors import Tensors

SMALLEST = 30_000_000
"""Numbers in the smallest base that torch quantises: below, what surrounds the products costs more than they do. The kernels always do."""
_ROWS = 8
"""Rows that a product of floats has, always: with another number the last bits would differ."""
_TINY = 1e-30


def load_resident(base: str) -> Resident[Any]:
    """`nano` or the base in a folder, loaded to speak alone.

    Raises:
        BadInput: as `load_base`.
    """
    return resident(load_base(base, dtype=None if torch.cuda.is_available() else torch.float32))


def resident(base: Base, *, quantised: bool | None = None) -> Resident[Any]:
    """A loaded base, ready to speak: on numpy's arrays where the kernels can work, else on torch's tensors.

    `quantised`: None = where it is faster.
    """
    described = isinstance(base.network, StoredNetwork)
    on_cpu = base.device.type == "cpu"
    dtype = base.dtype if not on_cpu or not described else torch.float32
    usable = kernels.are_usable() and on_cpu and dtype == torch.float32
    if quantised is None:
        quantised = usable or (on_cpu and base.parameters >= SMALLEST and can_quantise())
    with torch.no_grad():
        return _native(base) if quantised and usable else _plain(base, Tensors(base.device, dtype), quantised=quantised)


def _native(base: Base) -> Resident[Any]:
    """With every matrix packed for the kernels."""
    kernels.use_threads(torch.get_num_threads())
    source, arrays = base.network, Arrays()
    matrices = {}
    for name in (*source.linears, source.head):
        bias = source.bias(name)
        matrices[name] = Matrix.pack(source.matrix(name).detach().float().numpy(), None if bias is None else bias.detach().float().numpy())
    embedding = source.matrix(source.embedding).detach()
    if isinstance(source, StoredNetwork) and arrays.knows(source.activation):
        weights = {name: weight.float().numpy() for name, weight in _rest(source, torch.float32).items()}
        return native(base, _on(source, weights, arrays), matrices, embedding.half().numpy())
    return native(base, Bridge(source), matrices, embedding.numpy())


def _plain(base: Base, tensors: Tensors, *, quantised: bool) -> Resident[Tensor]:
    source = base.network
    products: dict[str, Product[Tensor]] = {}
    for name in (*source.linears, source.head):
        matrix, bias = source.matrix(name), source.bias(name)
        products[name] = (
            Quantised(matrix, bias) if quantised else Plain(matrix.to(tensors.dtype), None if bias is None else bias.to(tensors.dtype))
        )
    embedding = source.matrix(source.embedding)
    network = source
    if isinstance(source, StoredNetwork):
        network = _on(source, _rest(source, tensors.dtype), tensors)
        embedding = embedding.half() if quantised else embedding
    return Resident.of(
        base,
        network=network,
        products=products,
        embedding=embedding,
        arithmetic=tensors,
        company=lambda: Choirs(products, source.head, tensors),
    )


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
        self._bias = torch.zeros(len(whole)) if bias is None else bias.detach().float().clone()  # see `_rest`
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


def _rest(network: StoredNetwork, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights but the matrices that products stand for."""
    # Copied, because a tensor of the loaded file keeps the whole file in memory.
    replaced = {f"{name}.weight" for name in (*network.linears, network.head, network.embedding)}
    return {name: tensor.to(dtype, copy=True) for name, tensor in network.weights.items() if name not in replaced}


def _on(network: StoredNetwork[Any], weights: dict[str, A], arithmetic: Arithmetic[A]) -> StoredNetwork[A]:
    """The same network with these weights."""
    other = copy.copy(network)
    other.weights, other.arithmetic = weights, arithmetic
    return other
