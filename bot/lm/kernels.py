"""The steps of speaking in C (`kernels.c`): a linear layer on 8 bits with each row's own pair added, attention of a token for each row,
norms and activations.

What torch offers for the same takes some sixteen calls for each layer, which together cost as much as the products themselves. The library
is built when Mynah is installed, where there is a C compiler, for all levels of x86-64 processors; the best that this one has is used.
Without the library, and on processors without AVX2 (ARM's among them), torch does the work.
Arrays are numpy's, 32 bits wide and without gaps unless something else is said.
"""

import ctypes
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.cores import usable_cores
from bot.lm.arithmetic import Array

ACTIVATIONS = {"relu": 0, "gelu_new": 1, "gelu_pytorch_tanh": 1, "silu": 2}
"""As transformers calls them, and their numbers in C."""
BOUNDARY = 64
"""Packed weights begin at a multiple of so many bytes."""
LEVELS = ("avx2", "avx512_vnni")
"""What a processor must have, the slowest level first, as C numbers them."""
_DEEP, _WIDE = 4, 64
"""Packed weights have so many inputs together, and so many outputs beside each other."""
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

    def __init__(self, weights: NDArray[np.int8], numbers: Array, outputs: int, inputs: int) -> None:
        """Hold what `pack` made: its `weights` and `numbers`.

        Raises:
            ValueError: the weights begin at no multiple of BOUNDARY bytes, where the kernels cannot read them.
        """
        if address(weights) % BOUNDARY:
            raise ValueError(f"its weights do not begin at a multiple of {BOUNDARY} bytes")
        self.weights, self.numbers = weights, numbers
        self.inputs, self.outputs = inputs, outputs
        self._packed = _Matrix(inputs, outputs, address(weights), *(address(line) for line in numbers))
        self._at = ctypes.addressof(self._packed)

    @classmethod
    def pack(cls, matrix: Array, bias: Array | None) -> "Matrix":
        """Pack a matrix, which may lie either way round, and its bias."""
        outputs, inputs = matrix.shape
        of_weights, of_numbers = packed_shapes(outputs, inputs)
        weights, numbers = _aligned(of_weights), np.zeros(of_numbers, dtype=np.float32)
        if bias is not None:
            numbers[2, :outputs] = bias
        scales, sums, _ = (address(line) for line in numbers)
        strides = (stride // matrix.itemsize for stride in matrix.strides)
        packing = _Packing(address(matrix), outputs, inputs, *strides, address(weights), scales, sums)
        _library().mynah_pack(ctypes.byref(packing))
        return cls(weights, numbers, outputs, inputs)

    def __call__(self, x: Array, pairs: int | None = None) -> Array:
        """`[rows, inputs]` → `[rows, outputs]`; `pairs`: address of `[rows, 4]` whole numbers, see `bot.lm.voices.pairs_at`."""
        x = np.ascontiguousarray(x)
        y = np.empty((len(x), self.outputs), dtype=np.float32)
        if _library().mynah_linear(self._at, _start(x), len(x), pairs, _start(y)):
            raise MemoryError
        return y

    def embed(self, ids: NDArray[np.int64], embedded: Array, pairs: int) -> None:
        """Add to embeddings `[rows, inputs]` of these tokens what each row's pair of this layer, the output's, makes of them."""
        _library().mynah_embed(pairs, address(ids), address(embedded), *embedded.shape)


def packed_shapes(outputs: int, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the weights of a packed matrix, and of its numbers: scales, sums and biases."""
    padded = -(-outputs // _WIDE) * _WIDE
    return (padded // _WIDE, -(-inputs // _DEEP), _WIDE, _DEEP), (3, padded)


def attend(q: Array, k: Array, v: Array, *, cache: NDArray[np.float16], slots: NDArray[np.int64], lengths: NDArray[np.int64]) -> Array:
    """Put each row's key and value `[rows, key_heads, width]` behind those in its slot of the cache, and look at all of them.

    Of q, k and v only the rows may have gaps between them. `cache`: `[2, slots, key_heads, room, width]`; `slots`, `lengths`: `[rows]`.
    Gives `[rows, heads * width]`.
    """
    rows, heads, width = q.shape
    out = np.empty((rows, heads * width), dtype=np.float32)
    keys = _start(cache)
    call = _Attention(
        address(q), address(k), address(v), keys, keys + cache.strides[0], _start(slots), _start(lengths), _start(out),
        None, heads, k.shape[1], width, cache.shape[-2], *(array.strides[0] // array.itemsize for array in (q, k, v)),
    )  # fmt: skip
    if _library().mynah_attend(ctypes.byref(call), rows):
        raise MemoryError
    return out


def norm(x: Array, weight: Array, bias: Array | None, epsilon: float) -> Array:
    """LayerNorm of each row of `[..., width]`; without a bias RMSNorm."""
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    width = x.shape[-1]
    _library().mynah_norm(_start(x), address(weight), None if bias is None else address(bias), _start(y), x.size // width, width, epsilon)
    return y


def activate(name: str, x: Array) -> Array:
    """One of ACTIVATIONS, in place."""
    _library().mynah_activate(ACTIVATIONS[name], _start(x), x.size)
    return x


def use_threads(count: int) -> None:
    """How many threads share the work from now on; at first as many as there are usable cores. Without the kernels nothing happens."""
    if are_usable():
        _library().mynah_use_threads(count)


def address(array: NDArray[Any]) -> int:
    """Where an array begins in memory."""
    at: int = array.__array_interface__["data"][0]
    return at


def _start(array: NDArray[Any]) -> int:
    """The same of one that may be written to and has no gaps, in half of the time."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]  # it has a buffer, which its types do not say


@cache
def library_digest() -> str:
    """Which build of the library this is: another one may pack otherwise."""
    return hashlib.sha256(_files()[0].read_bytes()).hexdigest()


def were_built() -> bool:
    """Whether there is a library."""
    return bool(_files())


def are_usable() -> bool:
    """Whether the library was built, and this processor has one of its levels."""
    return bool(levels())


def levels() -> Sequence[str]:
    """Those of LEVELS that this processor has; the last is used. None without the library."""
    return LEVELS[: _library().mynah_levels()] if were_built() else ()


def _aligned(shape: Sequence[int]) -> NDArray[np.int8]:
    """Zeros that begin where packed weights may."""
    room = np.zeros(int(np.prod(shape)) + BOUNDARY, dtype=np.int8)
    start = -address(room) % BOUNDARY
    return room[start : start + len(room) - BOUNDARY].reshape(shape)


def _files() -> Sequence[Path]:
    return sorted(Path(__file__).parent.glob("_kernels*.so"))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(_files()[0]))
    found = library.mynah_levels()
    if found:
        library.mynah_linear.argtypes = (_P, _P, _N, _P, _P)
        library.mynah_attend.argtypes = (_P, _N)
        library.mynah_pack.argtypes = (_P,)
        library.mynah_embed.argtypes = (_P, _P, _P, _N, _N)
        library.mynah_norm.argtypes = (_P, _P, _P, _P, _N, _N, ctypes.c_float)
        library.mynah_activate.argtypes = (ctypes.c_int, _P, _N)
        library.mynah_use_threads.argtypes = (_N,)
        library.mynah_use_threads(usable_cores())
        library.mynah_use_level(found - 1)
    return library
