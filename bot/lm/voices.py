"""What is kept in memory of the characters that spoke lately: each one's numbers, 16 bits wide, in one piece that is quick to copy."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from bot.errors import TrainingError
from bot.lm.adapter import ADAPTER, BIAS
from bot.lm.spelling import Pieces, Spelling, read_alphabet

_PREFIX = "base_model.model."
_A, _B, _BIAS = ".lora_A.weight", ".lora_B.weight", "bias"

Layout = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of what lies in one piece, one after the other, as in the files: for each module with a pair, A `[rank, inputs]` and B
`[outputs, rank]`; the bias `[vocabulary]` last."""
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
        with (folder / ADAPTER).open("rb") as adapter, (folder / BIAS).open("rb") as bias:
            stored = _contents(adapter)
            layout = (*stored, *_contents(bias))
            room = memoryview(bytearray(2 * size_of(layout)))
            end = 2 * size_of(stored)
            if adapter.readinto(room[:end]) + bias.readinto(room[end:]) != len(room):
                raise TrainingError(f"The files of {folder} are shorter than they say: train this character again.")
        spelling = Spelling(self._pieces, read_alphabet(folder))
        barred = ~spelling.allowed(b"")
        barred[self._endings] = False
        return Voice(layout, torch.frombuffer(room, dtype=torch.float16), spelling, barred)


def _contents(file: BinaryIO) -> Layout:
    """What lies in a safetensors file of 16-bit numbers, in order; the file stands at the first number afterwards.

    Read here because safetensors makes a tensor of each piece, which takes four times as long as all the rest.
    """
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    pieces = sorted((entry["data_offsets"], name, entry) for name, entry in header.items() if name != "__metadata__")
    if any(entry["dtype"] != "F16" for _, _, entry in pieces):
        raise TrainingError(f"{file.name} has numbers that are not 16 bits wide: train this character again.")
    return tuple((name.removeprefix(_PREFIX), tuple(entry["shape"])) for _, name, entry in pieces)


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


def pairs_at(voice: Voice, modules: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Where each module's A, B and bias lie in memory, and the rank: 0 for what the character has not. The last module has the bias."""
    starts, ranks, at = {}, {}, voice.numbers.data_ptr()
    for name, shape in voice.layout:
        starts[name], ranks[name] = at, shape[0]
        at += prod(shape) * voice.numbers.itemsize
    found = []
    for module in modules:
        a, b = module + _A, module + _B
        found.append((starts.get(a, 0), starts.get(b, 0), starts[_BIAS] if module == modules[-1] else 0, ranks.get(a, 0)))
    return found


def pairs_of(views: dict[str, Tensor]) -> tuple[dict[str, Pair], Tensor]:
    """Module → A `[rows, inputs, rank]` and B `[rows, rank, outputs]`; and the bias `[rows, vocabulary]`."""
    modules = [name.removesuffix(_A) for name in views if name.endswith(_A)]
    return {module: (views[module + _A].mT, views[module + _B].mT) for module in modules}, views[_BIAS]
