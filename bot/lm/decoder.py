"""One token more for every text on its way, in one pass: each row with its own character, its own length and its own place in the cache.

Rows come and go between passes. What depends on the processor lies with the company: `native.py` where `kernels.c` can work, else
`choirs.py`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm.choirs import Choirs
from bot.lm.company import Company, Row
from bot.lm.native import Natives
from bot.lm.quantised import Resident
from bot.lm.voices import Voice

SLOTS = 32
"""Rows that may be on their way at once."""
_ROOM = 128
"""Positions in the cache at first."""
_SCORED = 64
"""Positions whose logits are held at once while texts are scored."""


@dataclass(frozen=True)
class Opening:
    """How some texts of one character begin."""

    voice: Voice
    ids: list[int]
    texts: int


class Decoder:
    """The texts on their way over one base."""

    def __init__(self, resident: Resident) -> None:
        self._base = resident
        self._free = list(range(SLOTS))
        self._company: Company = Natives(resident) if resident.native else Choirs(resident)
        self._cache: Tensor | None = None

    @property
    def free(self) -> int:
        """How many rows may still join."""
        return len(self._free)

    def join(self, openings: list[Opening]) -> list[list[Row]]:
        """Texts begin: the rows of each opening."""
        joined = []
        for opening in openings:
            slots, self._free = self._free[: opening.texts], self._free[opening.texts :]
            joined.append([Row(opening.voice, slot, len(opening.ids) - 1, opening.ids[-1]) for slot in slots])
        longer = [(opening, [row.slot for row in rows]) for opening, rows in zip(openings, joined, strict=True) if len(opening.ids) > 1]
        if longer:
            self._prefill(longer)
        for rows in joined:
            self._company.join(rows)
        return joined

    def leave(self, row: Row) -> None:
        """The text is done."""
        self._company.leave(row)
        self._free = sorted([*self._free, row.slot])
        if len(self._free) == SLOTS:
            self._cache = None

    def step(self) -> tuple[list[Row], Tensor]:
        """Take in every row's token: the rows, and the logits `[rows, vocabulary]` of the next ones."""
        company, network, device = self._company, self._base.network, self._base.device
        rows = company.gather()
        cache = self._reserve(max(row.length for row in rows) + 1)
        ids = torch.tensor([row.token for row in rows], device=device)
        positions = torch.tensor([row.length for row in rows], device=device)
        embedded = self._base.embed(ids)
        company.embed(ids, embedded)
        hidden = network.hidden(embedded, positions, company.linear, lambda layer, *qkv: company.attend(cache[layer], *qkv))
        logits = company.linear(network.head, hidden)
        company.finish(logits)
        for row in rows:
            row.length += 1
        return rows, logits

    def _prefill(self, openings: list[tuple[Opening, list[int]]]) -> None:
        """All tokens but the last of openings and their slots, in one pass; each opening once for all of its rows."""
        lengths = [len(opening.ids) - 1 for opening, _ in openings]
        cache = self._reserve(max(lengths))
        told = self._company.apart([(opening.voice, length) for (opening, _), length in zip(openings, lengths, strict=True)])
        tokens = torch.tensor([token for opening, _ in openings for token in opening.ids[:-1]], device=self._base.device)
        positions = torch.cat([torch.arange(length, device=self._base.device) for length in lengths])
        embedded = self._base.embed(tokens)
        told.embed(tokens, embedded)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            outs = []
            for (_, slots), length, *parts in zip(openings, lengths, *(torch.split(t, lengths) for t in (q, k, v)), strict=True):
                queries, keys, values = (t.transpose(0, 1)[None] for t in parts)
                cache[layer, 0][slots, :, :length] = keys.to(cache.dtype)
                cache[layer, 1][slots, :, :length] = values.to(cache.dtype)
                outs.append(_attention(queries, keys, values, causal=True)[0].transpose(0, 1).reshape(length, -1))
            return torch.cat(outs)

        self._base.network.hidden(embedded, positions, told.linear, attend)

    def _reserve(self, positions: int) -> Tensor:
        """The cache, so long at least: `[layers, 2, slots, heads, positions, head_width]`."""
        room = 0 if self._cache is None else self._cache.shape[-2]
        if self._cache is not None and positions <= room:
            return self._cache
        shape = self._base.network.shape
        longer = max(_ROOM, 2 * room, positions)
        size = (shape.layers, 2, SLOTS, shape.key_heads, longer, shape.head_width)
        cache = torch.empty(size, dtype=torch.float16 if self._base.native else self._base.dtype, device=self._base.device)
        if self._cache is not None:
            cache[..., :room, :] = self._cache
        self._cache = cache
        return cache


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


def _attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
