"""Tweets as rows of ids, and rows as batches: laid end to end, without padding. One tweet is one row: no tweet sees another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bot.lm.attention import Layout
from bot.lm.base import Base
from bot.tweets.cleaning import Kept

IGNORED = -100
"""A target that teaches nothing."""
_ROUND, _FEW = 32, 256
"""A batch has a multiple of so many tokens; of half as many, if it has few."""
_POOL = 16
"""Batches whose tweets are sorted by length together: little padding, and the batches still differ from epoch to epoch."""


@dataclass(frozen=True)
class Row:
    """One tweet: at each place what is read, and what should come next."""

    inputs: list[int]
    targets: list[int]


@dataclass(frozen=True)
class Batch:
    """Some rows end to end, T tokens in all. To keep their number round, rows are lengthened by tokens without a target."""

    ids: Tensor
    """`[T]`"""
    positions: Tensor
    """`[T]`"""
    targets: Tensor
    """`[T]`, `IGNORED` where there is none."""
    layout: Layout
    entering: Tensor | None
    """`[T, width]`: what enters the first layer, where it is known already."""
    first_layer: int
    """The layer that this enters."""


class Corpus:
    """Rows laid end to end once; batches are cut out of them."""

    def __init__(self, rows: Sequence[Row], dtype: torch.dtype, device: torch.device) -> None:
        """`dtype`: that of the activations."""
        self.lengths = [len(row.inputs) for row in rows]
        self.counts = [sum(target != IGNORED for target in row.targets) for row in rows]
        """Targets that teach."""
        self._sizes = torch.tensor(self.lengths)
        self._starts = self._sizes.cumsum(0) - self._sizes
        self._inputs = torch.tensor([i for row in rows for i in row.inputs])
        self._targets = torch.tensor([i for row in rows for i in row.targets])
        self._dtype, self._device = dtype, device
        self.entering: Tensor | None = None
        """`[all tokens, width]`: what enters the first layer, where it has been computed."""
        self.first_layer = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, numbers: Sequence[int]) -> Batch:
        """The rows of these numbers."""
        layout = Layout.of(_filled([self.lengths[i] for i in numbers]), self._dtype)
        chosen, tweets, places = torch.tensor(numbers), layout.tweets[:, 0], layout.places[:, 0]
        real = places < self._sizes[chosen][tweets]
        # What lengthens a row is the start of the next one: it stands behind all that counts, so it may be anything.
        at = (self._starts[chosen][tweets] + places).clamp_(max=len(self._inputs) - 1)
        return Batch(
            ids=self._inputs[at].to(self._device),
            positions=(places * real).to(self._device),
            targets=self._targets[at].masked_fill_(~real, IGNORED).to(self._device),
            layout=layout.to(self._device),
            entering=None if self.entering is None else self.entering[at.to(self.entering.device)],
            first_layer=self.first_layer,
        )


def rows(base: Base, tweets: Sequence[Kept]) -> list[Row]:
    """Each tweet led by the start token. Its last target is end-of-text, unless it was cut or is longer than the base's context."""
    found = []
    for tweet in tweets:
        ids = base.tokenizer.encode(tweet.text)
        room = base.context - 1
        ends = not tweet.cut and len(ids) <= room
        ids = ids[:room]
        found.append(Row([base.tokenizer.start, *ids], [*ids, base.tokenizer.end if ends else IGNORED]))
    return found


def shuffled_batches(lengths: Sequence[int], size: int, generator: torch.Generator) -> list[list[int]]:
    """Every row's number once, in batches of rows of similar length, in random order."""
    order = torch.randperm(len(lengths), generator=generator).tolist()
    batches: list[list[int]] = []
    for at in range(0, len(order), size * _POOL):
        pool = sorted(order[at : at + size * _POOL], key=lambda i: lengths[i])
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def sorted_batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Every row's number once, the shortest rows first, in batches of at most so many tokens or of one row."""
    batches: list[list[int]] = []
    room = 0
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if lengths[i] > room:
            batches.append([])
            room = tokens
        batches[-1].append(i)
        room -= lengths[i]
    return batches


def _filled(lengths: list[int]) -> list[int]:
    """The lengths with the shortest ones raised until their sum is round.

    For each new size of a matrix the CPU's library writes a program, which takes longer than running it on a small matrix.
    """
    filled = list(lengths)
    for _ in range(-sum(lengths) % (_ROUND if sum(lengths) > _FEW else _ROUND // 2)):
        filled[filled.index(min(filled))] += 1
    return filled
