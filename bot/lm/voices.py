"""What is kept in memory of the characters that spoke lately: each one's numbers, 16 bits wide, in one piece that is quick to copy."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bot.errors import TrainingError
from bot.lm.adapter_files import ADAPTER, BIAS, BIAS_NAME, LORA_A, LORA_B, PREFIX, check_vocabulary
from bot.lm.kernels import address
from bot.lm.spelling import Pieces, Spelling, read_alphabet
from bot.lm.vocabulary import words_read
from bot.lm.wording import Wording, read_wording

Layout = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of what lies in one piece, one after the other, as in the files: for each module with a pair, A `[rank, inputs]` and B
`[outputs, rank]`; the bias `[vocabulary]` last."""


@dataclass(frozen=True, eq=False)
class Voice:
    """One character."""

    layout: Layout
    numbers: NDArray[np.float16]
    """`[size of the layout]`."""
    spelling: Spelling
    at_start: NDArray[np.bool_]
    """Marks tokens that may not come where a character begins, `[vocabulary]`; those that end a tweet may."""
    wording: Wording | None
    """None where any word may be spelt."""


class Voices:
    """Loads characters, and keeps those that spoke last."""

    def __init__(self, base: str, pieces: Pieces, endings: list[int], *, cached: int) -> None:
        """`base`: as `load_base` takes it. `cached`: how many characters are kept."""
        self._base, self._pieces, self._endings, self._cached = base, pieces, endings, cached
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
            check_vocabulary(layout[-1][1][0], self._pieces.size, self._base)
            room = memoryview(bytearray(2 * size_of(layout)))
            end = 2 * size_of(stored)
            if adapter.readinto(room[:end]) + bias.readinto(room[end:]) != len(room):
                raise TrainingError(f"The files of {folder} are shorter than they say: train this character again.")
        spelling = Spelling(self._pieces, read_alphabet(folder))
        barred = ~spelling.allowed(b"")
        barred[self._endings] = False
        return Voice(layout, np.frombuffer(room, dtype=np.float16), spelling, barred, read_wording(folder, words_read(self._base)))


def _contents(file: BinaryIO) -> Layout:
    """What lies in a safetensors file of 16-bit numbers, in order; the file stands at the first number afterwards.

    Read here because safetensors makes a tensor of each piece, which takes four times as long as all the rest.
    """
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    pieces = sorted((entry["data_offsets"], name, entry) for name, entry in header.items() if name != "__metadata__")
    if any(entry["dtype"] != "F16" for _, _, entry in pieces):
        raise TrainingError(f"{file.name} has numbers that are not 16 bits wide: train this character again.")
    return tuple((name.removeprefix(PREFIX), tuple(entry["shape"])) for _, name, entry in pieces)


def size_of(layout: Layout) -> int:
    """How many numbers it has."""
    return sum(prod(shape) for _, shape in layout)


def pairs_at(voice: Voice, modules: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Where each module's A, B and bias lie in memory, and the rank: 0 for what the character has not. The last module has the bias."""
    starts, ranks, at = {}, {}, address(voice.numbers)
    for name, shape in voice.layout:
        starts[name], ranks[name] = at, shape[0]
        at += prod(shape) * voice.numbers.itemsize
    found = []
    for module in modules:
        a, b = module + LORA_A, module + LORA_B
        found.append((starts.get(a, 0), starts.get(b, 0), starts[BIAS_NAME] if module == modules[-1] else 0, ranks.get(a, 0)))
    return found
