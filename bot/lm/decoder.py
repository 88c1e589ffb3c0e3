"""One token more for every text on its way, in one pass: each row with its own character, its own length and its own place in the cache.

Rows come and go between passes. What depends on the processor lies with the base's arithmetic and its company: `arrays.py` and `native.py`
where `kernels.c` can work, else `tensors.py` and `choirs.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic

import numpy as np

from bot.lm.arithmetic import A, Array
from bot.lm.company import Company, Row
from bot.lm.resident import Resident
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


class Decoder(Generic[A]):
    """The texts on their way over one base."""

    _base: Resident[A]
    _company: Company[A]

    def __init__(self, base: Resident[A]) -> None:
        self._base = base
        self._free = list(range(SLOTS))
        self._company = base.company()
        self._cache: A | None = None

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

    def step(self) -> tuple[list[Row], Array]:
        """Take in every row's token: the rows, and the logits `[rows, vocabulary]` of the next ones."""
        company, network, arithmetic = self._company, self._base.network, self._base.arithmetic
        rows = company.gather()
        cache = self._reserve(max(row.length for row in rows) + 1)
        ids = arithmetic.numbers([row.token for row in rows])
        positions = arithmetic.numbers([row.length for row in rows])
        embedded = self._base.embed(ids)
        company.embed(ids, embedded)
        hidden = network.hidden(embedded, positions, company.linear, lambda layer, *qkv: company.attend(cache[layer], *qkv))
        logits = company.linear(network.head, hidden)
        company.finish(logits)
        for row in rows:
            row.length += 1
        return rows, arithmetic.told(logits)

    def _prefill(self, openings: list[tuple[Opening, list[int]]]) -> None:
        """All tokens but the last of openings and their slots, in one pass; each opening once for all of its rows."""
        arithmetic = self._base.arithmetic
        texts = [opening.ids[:-1] for opening, _ in openings]
        cache = self._reserve(max(map(len, texts)))
        told = self._company.apart([(opening.voice, len(ids)) for (opening, _), ids in zip(openings, texts, strict=True)])
        tokens, positions = (arithmetic.numbers(numbers) for numbers in _laid(texts))
        embedded = self._base.embed(tokens)
        told.embed(tokens, embedded)

        def attend(layer: int, q: A, k: A, v: A) -> A:
            outs = []
            for (_, slots), part in zip(openings, _stretches(texts), strict=True):
                known = part.stop - part.start
                cache[layer, 0][slots, :, :known] = k[part].swapaxes(0, 1)
                cache[layer, 1][slots, :, :known] = v[part].swapaxes(0, 1)
                outs.append(arithmetic.attention(q[part], k[part], v[part]))
            return arithmetic.joined(outs)

        self._base.network.hidden(embedded, positions, told.linear, attend)

    def _reserve(self, positions: int) -> A:
        """The cache, so long at least: `[layers, 2, slots, heads, positions, head_width]`."""
        room = 0 if self._cache is None else self._cache.shape[-2]
        if self._cache is not None and positions <= room:
            return self._cache
        shape = self._base.network.shape
        longer = max(_ROOM, 2 * room, positions)
        cache = self._base.arithmetic.room((shape.layers, 2, SLOTS, shape.key_heads, longer, shape.head_width))
        if self._cache is not None:
            cache[..., :room, :] = self._cache
        self._cache = cache
        return cache


def likelihoods(base: Resident[A], texts: Sequence[tuple[list[int], int]]) -> list[float]:
    """How likely the base itself finds texts: each one's tokens, and from which on they count. In nats, summed."""
    arithmetic, network = base.arithmetic, base.network
    entering = [ids[:-1] for ids, _ in texts]
    parts = _stretches(entering)
    tokens, positions = (arithmetic.numbers(numbers) for numbers in _laid(entering))

    def attend(_layer: int, q: A, k: A, v: A) -> A:
        return arithmetic.joined([arithmetic.attention(q[part], k[part], v[part]) for part in parts])

    hidden = network.hidden(base.embed(tokens), positions, lambda name, x: base.products[name](x), attend)
    targets = np.array([token for ids, _ in texts for token in ids[1:]])
    counted = [part.start + at for part, (ids, first) in zip(parts, texts, strict=True) for at in range(max(first - 1, 0), len(ids) - 1)]
    found = np.zeros(len(targets))
    for start in range(0, len(counted), _SCORED):
        block = counted[start : start + _SCORED]
        logits = arithmetic.told(base.products[network.head](hidden[block]))
        found[block] = logits[range(len(block)), targets[block]] - log_sums(logits)
    return [float(found[part].sum()) for part in parts]


def log_sums(logits: Array) -> Array:
    """For each row the logarithm of the sum of its exponentials."""
    most = logits.max(-1, keepdims=True)
    found: Array = np.log(np.exp(logits - most).sum(-1)) + most[:, 0]
    return found


def _laid(texts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Tokens of texts laid end to end, and their positions."""
    return [token for ids in texts for token in ids], [at for ids in texts for at in range(len(ids))]


def _stretches(texts: Sequence[Sequence[int]]) -> list[slice]:
    """Where each text lies then."""
    ends = list(accumulate(map(len, texts)))
    return [slice(end - len(ids), end) for ids, end in zip(texts, ends, strict=True)]
