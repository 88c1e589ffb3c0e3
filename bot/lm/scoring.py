"""How likely a base, or a character on it, finds texts."""

from collections.abc import Sequence

import torch

from bot.lm.adapter import Adapter
from bot.lm.base import Base
from bot.lm.batches import Corpus, Row
from bot.lm.forward import losses_by_row


def losses(base: Base, adapter: Adapter | None, rows: Sequence[Row]) -> list[float]:
    """The sum of the losses of each row's targets, in nats."""
    corpus = Corpus(rows, base.dtype, base.device)
    pairs = adapter.pairs(base.dtype) if adapter else {}
    bias = adapter.bias if adapter else torch.zeros(base.network.shape.vocabulary, device=base.device)
    return losses_by_row(base.network, pairs, bias, corpus)
