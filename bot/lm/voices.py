"""What is kept in memory of the characters that spoke lately: each one's numbers, 16 bits wide, in one piece that is quick to copy."""

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from bot.lm.adapter import ADAPTER, BIAS
from bot.lm.spelling import Pieces, Spelling, read_alphabet

_PREFIX = "base_model.model."
_A, _B, _BIAS = ".lora_A.weight", ".lora_B.weight", "bias"

Layout = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of what lies in one piece, one after the other: for each module with a pair, A turned to `[inputs, rank]` and B turned
to `[rank, outputs]`, for that is how rows are multiplied by them fastest; the bias `[vocabulary]` last."""
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Voice:
    """One character."""

    layout: Layout
    numbers: Tensor
    """`[size of the layout]`, 16 bits wide, on the CPU."""
    spelling: Spelling
    at_start: Tensor
    """Marks tokens that may not come where a character begins, `[vocabulary]`; those that end a tweet may."""


class Voices:
    """Loads characters, and keeps those that spoke last."""

    def __init__(self, pieces: Pieces, endings: list[int], *, cached: int) -> None:
        """`cached`: how many characters are kept."""
        self._pieces, self._endings, self._cached = pieces, endings, cached
        self._known: OrderedDict[tuple[Path, int, int], Voice] = OrderedDict()

    def get(self, folder: Path) -> Voice:
        """The character in this folder; loaded anew when another one has come to lie there."""
        stamp = (folder / ADAPTER).stat()
        key = (folder, stamp.st_ino, stamp.st_mtime_ns)
        voice = self._known.pop(key, None) or self._load(folder)
        self._known[key] = voice
        while len(self._known) > self._cached:
            self._known.popitem(last=False)
        return voice

    def _load(self, folder: Path) -> Voice:
        stored = load_file(folder / ADAPTER)
        tensors = {n.removeprefix(_PREFIX): t.T for n, t in stored.items() if n.endswith((_A, _B))}
        tensors[_BIAS] = load_file(folder / BIAS)[_BIAS]
        layout = tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())
        numbers = torch.empty(size_of(layout), dtype=torch.float16)
        for name, place in laid_out(numbers[None], layout).items():
            place[0].copy_(tensors[name])
        spelling = Spelling(self._pieces, read_alphabet(folder))
        barred = ~spelling.allowed(b"")
        barred[self._endings] = False
        return Voice(layout, numbers, spelling, barred)


def size_of(layout: Layout) -> int:
    """How many numbers it has."""
    return sum(prod(shape) for _, shape in layout)


def laid_out(numbers: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Name → `[rows, …]`, views of `[rows, size of the layout]`."""
    views, at = {}, 0
    for name, shape in layout:
        views[name] = numbers[:, at : at + prod(shape)].unflatten(1, shape)  # type: ignore[no-untyped-call]  # torch types it not
        at += prod(shape)
    return views


def pairs_of(views: dict[str, Tensor]) -> tuple[dict[str, Pair], Tensor]:
    """Module → A `[rows, inputs, rank]` and B `[rows, rank, outputs]`; and the bias `[rows, vocabulary]`."""
    modules = [name.removesuffix(_A) for name in views if name.endswith(_A)]
    return {module: (views[module + _A], views[module + _B]) for module in modules}, views[_BIAS]
