"""One token more for every text on its way, in one pass: each row with its own character, its own length and its own place in the cache.

Rows come and go between passes. No row's numbers depend on what other rows there are: products with the base's matrices are exact or of
a fixed size (`quantised.py`), those with a character's pairs are made for each row alone, and attention for each row over its own length.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm.quantised import Resident
from bot.lm.voices import Layout, Pair, Voice, laid_out, pairs_of, size_of

SLOTS = 32
"""Rows that may be on their way at once."""
_ROOM = 128
"""Positions in the cache at first."""
_SCORED = 64
"""Positions whose logits are held at once while texts are scored."""


@dataclass(eq=False)
class Row:
    """A text on its way."""

    voice: Voice
    slot: int
    length: int
    """Tokens in the cache."""
    token: int
    """The next one that goes in."""


class Decoder:
    """The texts on their way over one base."""

    def __init__(self, resident: Resident) -> None:
        self._base = resident
        self._free = list(range(SLOTS))
        self._choirs: dict[Layout, _Choir] = {}
        self._cache: Tensor | None = None

    @property
    def free(self) -> int:
        """How many rows may still join."""
        return len(self._free)

    def join(self, voice: Voice, ids: list[int], count: int) -> list[Row]:
        """So many rows begin with these tokens."""
        slots, self._free = self._free[:count], self._free[count:]
        rows = [Row(voice, slot, len(ids) - 1, ids[-1]) for slot in slots]
        self._reserve(len(ids))
        if len(ids) > 1:
            self._prefill(voice, ids[:-1], slots)
        self._choirs.setdefault(voice.layout, _Choir(voice.layout, self._base)).rows += rows
        return rows

    def leave(self, row: Row) -> None:
        """The text is done."""
        rows = self._choirs[row.voice.layout].rows
        # The last one takes its place, so that the numbers of the others lie where they lay.
        rows[rows.index(row)] = rows[-1]
        del rows[-1]
        self._free = sorted([*self._free, row.slot])
        if not rows:
            del self._choirs[row.voice.layout]
        if not self._choirs:
            self._cache = None

    def step(self) -> tuple[list[Row], Tensor]:
        """Take in every row's token: the rows, and the logits `[rows, vocabulary]` of the next ones."""
        parts = list(self._parts())
        rows = [row for choir in self._choirs.values() for row in choir.rows]
        self._reserve(max(row.length for row in rows) + 1)
        device, network = self._base.device, self._base.network
        ids = torch.tensor([row.token for row in rows], device=device)
        positions = torch.tensor([row.length for row in rows], device=device)
        embedded = self._base.embed(ids)
        for part in parts:
            part.embed(network.head, ids, embedded)

        def linear(name: str, x: Tensor) -> Tensor:
            y = self._base.products[name](x)
            for part in parts:
                part.add(name, x, y)
            return y

        groups = _groups(rows)
        hidden = network.hidden(embedded, positions, linear, lambda *asked: self._attend(groups, *asked))
        logits = linear(network.head, hidden)
        for part in parts:
            logits[part.rows] += part.bias
        for row in rows:
            row.length += 1
        return rows, logits

    def _parts(self) -> Iterator["_Part"]:
        at = 0
        for choir in self._choirs.values():
            for part in choir.parts(at):
                at = part.rows.stop
                yield part

    def _attend(self, groups: "list[_Group]", layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        assert self._cache is not None  # noqa: S101  # reserved
        keys, values = self._cache[layer]
        outs = []
        for group in groups:
            rows, slots, at = group.rows, group.slots, group.length
            keys[slots, :, at] = k[rows]
            values[slots, :, at] = v[rows]
            known = slice(0, at + 1)
            outs.append(_one_query(q[rows], keys[slots, :, known], values[slots, :, known]))
        return outs[0] if len(outs) == 1 else torch.cat(outs)

    def _prefill(self, voice: Voice, ids: list[int], slots: list[int]) -> None:
        """What a text begins with, once for all of its rows."""
        base, network = self._base, self._base.network
        choir = _Choir(voice.layout, base)
        choir.rows = [Row(voice, 0, 0, 0)]
        (part,) = choir.parts(0)
        tokens = torch.tensor(ids, device=base.device)
        embedded = base.embed(tokens)
        part.embed_all(network.head, tokens, embedded)

        def linear(name: str, x: Tensor) -> Tensor:
            y = base.products[name](x)
            part.add_all(name, x, y)
            return y

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            assert self._cache is not None  # noqa: S101  # reserved
            q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
            self._cache[layer, 0][slots, :, : len(ids)] = k
            self._cache[layer, 1][slots, :, : len(ids)] = v
            return _attention(q, k, v, causal=True)[0].transpose(0, 1).reshape(len(ids), -1)

        network.hidden(embedded, torch.arange(len(ids), device=base.device), linear, attend)

    def _reserve(self, positions: int) -> None:
        """Make the cache so long at least: `[layers, 2, slots, heads, positions, head_width]`."""
        room = 0 if self._cache is None else self._cache.shape[-2]
        if positions <= room:
            return
        shape = self._base.network.shape
        longer = max(_ROOM, 2 * room, positions)
        size = (shape.layers, 2, SLOTS, shape.key_heads, longer, shape.head_width)
        cache = torch.empty(size, dtype=self._base.dtype, device=self._base.device)
        if self._cache is not None:
            cache[..., :room, :] = self._cache
        self._cache = cache


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

    def __init__(self, layout: Layout, base: Resident) -> None:
        self.rows: list[Row] = []
        self._layout, self._base = layout, base
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
            wider = torch.empty(len(voices), size_of(self._layout), dtype=self._base.dtype, device=self._base.device)
            wider[: len(self._owners)] = self._numbers[: len(self._owners)] if self._owners else 0
            self._numbers = wider
        for place, voice in enumerate(voices):
            if place >= len(self._owners) or self._owners[place] is not voice:
                self._numbers[place].copy_(voice.numbers)
        self._owners[: len(voices)] = voices


class _Part:
    """Rows side by side, and each one's pairs."""

    def __init__(self, rows: slice, numbers: Tensor, layout: Layout) -> None:
        """`numbers`: `[rows, size of the layout]`."""
        self.rows = rows
        self._pairs: dict[str, Pair]
        self._pairs, self.bias = pairs_of(laid_out(numbers, layout))

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


def likelihoods(base: Resident, texts: list[tuple[list[int], int]]) -> list[float]:
    """How likely the base itself finds texts: each one's tokens, and from which on they count. In nats, summed."""
    lengths = [len(ids) - 1 for ids, _ in texts]
    tokens = torch.tensor([token for ids, _ in texts for token in ids[:-1]], device=base.device)
    positions = torch.cat([torch.arange(length, device=base.device) for length in lengths])

    def attend(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        outs = []
        for parts in zip(*(torch.split(t, lengths) for t in (q, k, v)), strict=True):
            one = _attention(*(t.transpose(0, 1)[None] for t in parts), causal=True)[0]
            outs.append(one.transpose(0, 1).reshape(one.shape[1], -1))
        return torch.cat(outs)

    hidden = base.network.hidden(base.embed(tokens), positions, lambda name, x: base.products[name](x), attend)
    targets = torch.tensor([token for ids, _ in texts for token in ids[1:]], device=base.device)
    counted = torch.cat([torch.arange(1, len(ids)) >= first for ids, first in texts]).to(base.device)
    found = torch.zeros(len(tokens), device=base.device)
    head = base.products[base.network.head]
    for block in torch.split(counted.nonzero()[:, 0], _SCORED):
        logits = head(hidden[block]).float()
        found[block] = logits.gather(-1, targets[block, None])[:, 0] - logits.logsumexp(-1)
    return [float(part.sum()) for part in torch.split(found, lengths)]


def _one_query(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of one query `[rows, heads, head_width]` for each row over `[rows, key_heads, positions, head_width]`.

    torch's own shares the work out among threads by the number of rows, and its last bits are then not those of a row alone.
    """
    rows, heads, width = q.shape
    k, v = k.flatten(0, 1), v.flatten(0, 1)
    shares = torch.bmm((q * width**-0.5).reshape(len(k), -1, width), k.mT).softmax(-1)
    return torch.bmm(shares, v).view(rows, heads * width)


def _attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
