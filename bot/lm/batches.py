"""Tweets as rows of ids, and rows as batches. One tweet is one row: no tweet sees another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bot.lm.base import Base
from bot.tweets.cleaning import Kept

IGNORED = -100
"""A target that teaches nothing."""
_POOL = 16
"""Batches whose tweets are sorted by length together: little padding, and the batches still differ from epoch to epoch."""


@dataclass(frozen=True)
class Row:
    """One tweet: at each place what is read, and what should come next."""

    inputs: list[int]
    targets: list[int]


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
        pool = order[at : at + size * _POOL]
        batches += _cut(sorted(pool, key=lambda i: lengths[i]), size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def sorted_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Every row's number once, the shortest rows first."""
    return _cut(sorted(range(len(lengths)), key=lambda i: lengths[i]), size)


def collate(batch: Sequence[Row], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(inputs, targets) `[rows, longest]`, padded on the right."""
    longest = max(len(row.inputs) for row in batch)
    inputs = torch.full((len(batch), longest), padding)
    targets = torch.full((len(batch), longest), IGNORED)
    for at, row in enumerate(batch):
        inputs[at, : len(row.inputs)] = torch.tensor(row.inputs)
        targets[at, : len(row.targets)] = torch.tensor(row.targets)
    return inputs.to(device), targets.to(device)


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[at : at + size] for at in range(0, len(order), size)]
