"""Rows with their characters on torch alone, for any processor or GPU.

Products with the base's matrices are exact or of a fixed size (`quantised.py`), those with a character's pairs are made for each row alone,
and attention for each row over its own length: no row's last bits are then others than if it were alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from bot.lm.adapter import Pair
from bot.lm.adapter_files import BIAS_NAME, LORA_A, LORA_B
from bot.lm.company import Company, Row, Told
from bot.lm.resident import Product
from bot.lm.tensors import Tensors
from bot.lm.voices import Layout, Voice, size_of

Products = Mapping[str, Product[Tensor]]


class Choirs(Company[Tensor]):
    """See `bot.lm.company.Company`."""

    def __init__(self, products: Products, head: str, tensors: Tensors) -> None:
        """`products`: of the base's matrices; `head`: name of the output layer."""
        self._products, self._head, self._tensors = products, head, tensors
        self._choirs: dict[Layout, _Choir] = {}
        self._parts: list[_Part] = []
        self._groups: list[_Group] = []

    def join(self, rows: list[Row]) -> None:
        """See `Company`."""
        layout = rows[0].voice.layout
        self._choirs.setdefault(layout, _Choir(layout, self._tensors)).rows += rows

    def leave(self, row: Row) -> None:
        """See `Company`."""
        rows = self._choirs[row.voice.layout].rows
        # The last one takes its place, so that the numbers of the others lie where they lay.
        rows[rows.index(row)] = rows[-1]
        del rows[-1]
        if not rows:
            del self._choirs[row.voice.layout]

    def gather(self) -> list[Row]:
        """See `Company`."""
        self._parts, at = [], 0
        for choir in self._choirs.values():
            self._parts += choir.parts(at)
            at += len(choir.rows)
        rows = [row for choir in self._choirs.values() for row in choir.rows]
        self._groups = _groups(rows)
        return rows

    def embed(self, ids: Tensor, embedded: Tensor) -> None:
        """See `Company`."""
        for part in self._parts:
            part.embed(self._head, ids, embedded)

    def linear(self, name: str, x: Tensor) -> Tensor:
        """See `Company`."""
        y = self._products[name](x)
        for part in self._parts:
            part.add(name, x, y)
        return y

    def attend(self, cache: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Company`."""
        keys, values = cache
        outs = []
        for group in self._groups:
            rows, slots, at = group.rows, group.slots, group.length
            keys[slots, :, at] = k[rows]
            values[slots, :, at] = v[rows]
            known = slice(0, at + 1)
            outs.append(_one_query(q[rows], keys[slots, :, known], values[slots, :, known]))
        return outs[0] if len(outs) == 1 else torch.cat(outs)

    def finish(self, logits: Tensor) -> None:
        """See `Company`."""
        for part in self._parts:
            logits[part.rows] += part.bias

    def apart(self, stretches: list[tuple[Voice, int]]) -> "_Apart":
        """See `Company`."""
        parts, at = [], 0
        for voice, tokens in stretches:
            choir = _Choir(voice.layout, self._tensors)
            choir.rows = [Row(voice, 0, 0, 0)]
            parts.append((slice(at, at + tokens), choir.parts(0)[0]))
            at += tokens
        return _Apart(parts, self._products, self._head)


class _Apart(Told[Tensor]):
    """See `bot.lm.company.Told`."""

    def __init__(self, parts: list[tuple[slice, "_Part"]], products: Products, head: str) -> None:
        self._parts, self._products, self._head = parts, products, head

    def embed(self, ids: Tensor, embedded: Tensor) -> None:
        """See `Told`."""
        for tokens, part in self._parts:
            part.embed_all(self._head, ids[tokens], embedded[tokens])

    def linear(self, name: str, x: Tensor) -> Tensor:
        """See `Told`."""
        y = self._products[name](x)
        for tokens, part in self._parts:
            part.add_all(name, x[tokens], y[tokens])
        return y


@dataclass(frozen=True)
class _Group:
    """Rows of one length in slots side by side."""

    rows: slice
    slots: slice
    length: int


def _groups(rows: list[Row]) -> list[_Group]:
    groups, first = [], 0
    for at in range(1, len(rows) + 1):
        row = rows[first]
        if at == len(rows) or (rows[at].length, rows[at].slot) != (row.length, row.slot + at - first):
            groups.append(_Group(slice(first, at), slice(row.slot, row.slot + at - first), row.length))
            first = at
    return groups


class _Choir:
    """Rows whose characters' numbers are laid out alike, and those numbers as they are multiplied."""

    def __init__(self, layout: Layout, tensors: Tensors) -> None:
        self.rows: list[Row] = []
        self._layout, self._tensors = layout, tensors
        self._numbers = torch.empty(0)
        self._owners: list[Voice] = []
        """Whose numbers lie in each place."""

    def parts(self, first: int) -> list["_Part"]:
        """The rows in parts, in order; `first`: the number of the first row."""
        voices = list(dict.fromkeys(row.voice for row in self.rows))
        if 2 * len(voices) > len(self.rows):
            self._place([row.voice for row in self.rows])
            return [_Part(slice(first, first + len(self.rows)), self._numbers[: len(self.rows)], self._layout)]
        # Several rows of one character: its numbers are held once.
        voices.sort(key=lambda voice: self._owners.index(voice) if voice in self._owners else len(self._owners))
        self._place(voices)
        self.rows.sort(key=lambda row: (voices.index(row.voice), row.slot))
        parts = []
        for number, voice in enumerate(voices):
            count = sum(row.voice is voice for row in self.rows)
            parts.append(_Part(slice(first, first + count), self._numbers[number : number + 1].expand(count, -1), self._layout))
            first += count
        return parts

    def _place(self, voices: list[Voice]) -> None:
        """Make the numbers of these characters lie in this order; what lies there already stays."""
        if len(voices) > len(self._numbers):
            wider = torch.empty(len(voices), size_of(self._layout), dtype=self._tensors.dtype, device=self._tensors.device)
            wider[: len(self._owners)] = self._numbers[: len(self._owners)] if self._owners else 0
            self._numbers = wider
        for place, voice in enumerate(voices):
            if place >= len(self._owners) or self._owners[place] is not voice:
                self._numbers[place].copy_(torch.from_numpy(voice.numbers))
        self._owners[: len(voices)] = voices


class _Part:
    """Rows side by side, and each one's pairs."""

    def __init__(self, rows: slice, numbers: Tensor, layout: Layout) -> None:
        """`numbers`: `[rows, size of the layout]`."""
        self.rows = rows
        self._pairs: dict[str, Pair]
        self._pairs, self.bias = _pairs_of(_laid_out(numbers, layout))

    def add(self, name: str, x: Tensor, y: Tensor) -> None:
        """Add to the output of a layer what each row's pair makes of its input."""
        if name in self._pairs:
            a, b = self._pairs[name]
            y[self.rows, None].baddbmm_(torch.bmm(x[self.rows, None], a), b)

    def embed(self, head: str, ids: Tensor, embedded: Tensor) -> None:
        """The same for the embedding, whose pair is that of the output layer."""
        if head in self._pairs:
            a, b = self._pairs[head]
            each = torch.arange(len(b), device=ids.device)
            embedded[self.rows, None].baddbmm_(b[each, :, ids[self.rows]][:, None], a.mT)

    def add_all(self, name: str, x: Tensor, y: Tensor) -> None:
        """As `add`, for many tokens of one character."""
        if name in self._pairs:
            a, b = self._pairs[name]
            y.addmm_(x @ a[0], b[0])

    def embed_all(self, head: str, ids: Tensor, embedded: Tensor) -> None:
        """As `embed`, for many tokens of one character."""
        if head in self._pairs:
            a, b = self._pairs[head]
            embedded.addmm_(b[0][:, ids].T, a[0].T)


def _one_query(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of one query `[rows, heads, head_width]` for each row over `[rows, key_heads, positions, head_width]`.

    torch's own shares the work out among threads by the number of rows, and its last bits are then not those of a row alone.
    """
    rows, heads, width = q.shape
    k, v = k.flatten(0, 1), v.flatten(0, 1)
    shares = torch.bmm((q * width**-0.5).reshape(len(k), -1, width), k.mT).softmax(-1)
    return torch.bmm(shares, v).view(rows, heads * width)


def _laid_out(numbers: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Name → `[rows, …]`, views of `[rows, size of the layout]`."""
    views, at = {}, 0
    for name, shape in layout:
        views[name] = numbers[:, at : at + prod(shape)].unflatten(1, shape)  # type: ignore[no-untyped-call]  # torch types it not
        at += prod(shape)
    return views


def _pairs_of(views: dict[str, Tensor]) -> tuple[dict[str, Pair], Tensor]:
    """Module → A `[rows, inputs, rank]` and B `[rows, rank, outputs]`; and the bias `[rows, vocabulary]`."""
    modules = [name.removesuffix(LORA_A) for name in views if name.endswith(LORA_A)]
    return {module: (views[module + LORA_A].mT, views[module + LORA_B].mT) for module in modules}, views[BIAS_NAME]
