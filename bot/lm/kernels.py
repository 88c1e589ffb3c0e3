"""Two steps of speaking in C (`kernels.c`): a linear layer on 8 bits with each row's own pair added, and attention of a token for each row.

What torch offers for the same takes some sixteen calls for each layer, which together cost as much as the products themselves. The library
is built when Mynah is installed, where there is a C compiler; without it, and on processors without AVX-512 VNNI, torch does the work.
"""

import ctypes
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

_DEEP, _WIDE = 4, 64
"""Packed weights have so many inputs together, and so many outputs beside each other."""
BOUNDARY = 64
"""Packed weights begin at a multiple of so many bytes."""
_P, _N = ctypes.c_void_p, ctypes.c_int64


class _Matrix(ctypes.Structure):
    _fields_ = (("inputs", _N), ("outputs", _N), ("weights", _P), ("scales", _P), ("sums", _P), ("bias", _P))


class _Packing(ctypes.Structure):
    _fields_ = (
        ("matrix", _P), ("outputs", _N), ("inputs", _N), ("apart", _N), ("beside", _N), ("weights", _P), ("scales", _P), ("sums", _P),
    )  # fmt: skip


class _Attention(ctypes.Structure):
    _fields_ = (
        *((name, _P) for name in ("q", "k", "v", "keys", "values", "slots", "lengths", "out", "shares")),
        *((name, _N) for name in ("heads", "key_heads", "width", "room", "q_stride", "k_stride", "v_stride")),
    )


class Matrix:
    """A matrix `[outputs, inputs]` and a bias `[outputs]`, packed on 8 bits: every output has its own scale."""

    def __init__(self, weights: Tensor, numbers: Tensor, outputs: int, inputs: int) -> None:
        """Hold what `pack` made: its `weights` and `numbers`.

        Raises:
            ValueError: the weights begin at no multiple of BOUNDARY bytes, where the kernels cannot read them.
        """
        if weights.data_ptr() % BOUNDARY:
            raise ValueError(f"its weights do not begin at a multiple of {BOUNDARY} bytes")
        self.weights, self.numbers = weights, numbers
        self.inputs, self.outputs = inputs, outputs
        self._packed = _Matrix(inputs, outputs, weights.data_ptr(), *(line.data_ptr() for line in numbers))
        self._at = ctypes.addressof(self._packed)

    @classmethod
    def pack(cls, matrix: Tensor, bias: Tensor | None) -> "Matrix":
        """Pack a matrix and its bias."""
        wide = matrix.detach().float()
        outputs, inputs = wide.shape
        of_weights, of_numbers = packed_shapes(outputs, inputs)
        weights, numbers = torch.zeros(of_weights, dtype=torch.int8), torch.zeros(of_numbers)
        if bias is not None:
            numbers[2, :outputs] = bias.detach().float()
        scales, sums, _ = (line.data_ptr() for line in numbers)
        packing = _Packing(wide.data_ptr(), outputs, inputs, *wide.stride(), weights.data_ptr(), scales, sums)
        _library().mynah_pack(ctypes.byref(packing), _threads())
        return cls(weights, numbers, outputs, inputs)

    def __call__(self, x: Tensor, pairs: int | None = None) -> Tensor:
        """`[rows, inputs]` → `[rows, outputs]`; `pairs`: address of `[rows, 4]` whole numbers, see `bot.lm.voices.pairs_at`."""
        if not x.is_contiguous():
            x = x.contiguous()
        y = torch.empty(len(x), self.outputs)
        if _library().mynah_linear(self._at, x.data_ptr(), len(x), pairs, y.data_ptr(), _threads()):
            raise MemoryError
        return y

    def embed(self, ids: Tensor, embedded: Tensor, pairs: int) -> None:
        """Add to embeddings `[rows, inputs]` of these tokens what each row's pair of this layer, the output's, makes of them."""
        _library().mynah_embed(pairs, ids.data_ptr(), embedded.data_ptr(), *embedded.shape)


def packed_shapes(outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the weights of a packed matrix, and of its numbers: scales, sums and biases."""
    padded = -(-outputs // _WIDE) * _WIDE
    return (padded // _WIDE, -(-inputs // _DEEP), _WIDE, _DEEP), (3, padded)


def attend(q: Tensor, k: Tensor, v: Tensor, *, cache: Tensor, slots: Tensor, lengths: Tensor) -> Tensor:
    """Put each row's key and value `[rows, key_heads, width]` behind those in its slot of the cache, and look at all of them.

    `cache`: `[2, slots, key_heads, room, width]`, 16 bits wide; `slots`, `lengths`: `[rows]`, whole numbers of 64 bits. Gives
    `[rows, heads * width]`.
    """
    rows, heads, width = q.shape
    out = torch.empty(rows, heads * width)
    keys, values = cache
    call = _Attention(
        q.data_ptr(), k.data_ptr(), v.data_ptr(), keys.data_ptr(), values.data_ptr(), slots.data_ptr(), lengths.data_ptr(), out.data_ptr(),
        None, heads, k.shape[1], width, cache.shape[-2], q.stride(0), k.stride(0), v.stride(0),
    )  # fmt: skip
    if _library().mynah_attend(ctypes.byref(call), rows, _threads()):
        raise MemoryError
    return out


_lent: list[int] = []
"""Threads that torch has lent to the kernels."""


@contextmanager
def lent_threads() -> Iterator[None]:
    """All of torch's threads but one are the kernels': what torch does for a few rows is so little that sharing it out costs more."""
    count = torch.get_num_threads()
    _lent.append(count)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
        _lent.pop()


def _threads() -> int:
    return _lent[-1] if _lent else torch.get_num_threads()


@cache
def library_digest() -> str:
    """Which build of the library this is: another one may pack otherwise."""
    return hashlib.sha256(_files()[0].read_bytes()).hexdigest()


def were_built() -> bool:
    """Whether there is a library."""
    return bool(_files())


def are_usable() -> bool:
    """Whether the library was built, and this processor can do it."""
    return were_built() and bool(_library().mynah_supported())


def _files() -> Sequence[Path]:
    return sorted(Path(__file__).parent.glob("_kernels*.so"))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(_files()[0]))
    if library.mynah_supported():
        library.mynah_linear.argtypes = (_P, _P, _N, _P, _P, _N)
        library.mynah_attend.argtypes = (_P, _N, _N)
        library.mynah_pack.argtypes = (_P, _N)
        library.mynah_embed.argtypes = (_P, _P, _P, _N, _N)
    return library
