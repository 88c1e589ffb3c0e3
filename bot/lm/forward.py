"""From a batch to the last hidden states and the losses, through a base and the pairs of one character."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bot.lm import cross_entropy
from bot.lm.adapter import Pair
from bot.lm.attention import attention
from bot.lm.batches import Batch, Corpus, sorted_batches
from bot.lm.lora import paired_embedding, paired_linear
from bot.lm.network import Linear, Network, StoredNetwork

AT_ONCE = 2048
"""Tokens in one batch where nothing is learnt."""


def total_loss(network: Network, pairs: Mapping[str, Pair], bias: Tensor, batch: Batch) -> Tensor:
    """Sum of the losses of a batch's targets in nats; gradients go to the pairs, of the base's type, and to the bias, on 32 bits."""
    return cross_entropy.cross_entropy(*_output(network, pairs, bias, batch))


def losses_by_row(network: Network, pairs: Mapping[str, Pair], bias: Tensor, corpus: Corpus, at_once: int = AT_ONCE) -> list[float]:
    """The sum of the losses of each row's targets in nats, without gradients; about `at_once` tokens in one batch."""
    found = torch.zeros(len(corpus), dtype=torch.float64)
    with torch.no_grad():
        for numbers in sorted_batches(corpus.lengths, at_once):
            batch = corpus.batch(numbers)
            parts = cross_entropy.losses(*_output(network, pairs, bias, batch))
            tweets = torch.tensor(numbers)[batch.layout.tweets[:, 0].cpu()]
            found.index_add_(0, tweets, parts.cpu().double())
    return found.tolist()


def enter(network: StoredNetwork, corpus: Corpus, first_layer: int, at_once: int = AT_ONCE) -> None:
    """Compute once what enters this layer, for every token of a corpus: the layers below have no pairs, so it never changes."""
    linear = _linear(network, {})
    parts: dict[int, Tensor] = {}
    with torch.no_grad():
        for numbers in sorted_batches(corpus.lengths, at_once):
            batch = corpus.batch(numbers)
            x = network.positioned(network.embed(batch.ids), batch.positions)
            for number in range(first_layer):
                x = network.layer(number, x, batch.positions, linear, attention(batch.layout))
            parts |= {numbers[i]: x[(batch.layout.tweets[:, 0] == i)][: corpus.lengths[numbers[i]]] for i in range(len(numbers))}
    corpus.entering = torch.cat([parts[i] for i in range(len(corpus))])
    corpus.first_layer = first_layer


def _output(network: Network, pairs: Mapping[str, Pair], bias: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Pair | None]:
    """What the loss is made of."""
    own = network.bias(network.head)
    hidden = _hidden(network, pairs, batch)
    return hidden, batch.targets, network.matrix(network.head), bias if own is None else bias + own, pairs.get(network.head)


def _hidden(network: Network, pairs: Mapping[str, Pair], batch: Batch) -> Tensor:
    positions, linear, attend = batch.positions, _linear(network, pairs), attention(batch.layout)
    if batch.entering is not None and isinstance(network, StoredNetwork):
        x = batch.entering
        for number in range(batch.first_layer, network.shape.layers):
            x = network.layer(number, x, positions, linear, attend)
        left: Tensor = network.normed(x)
        return left
    embedded = network.embed(batch.ids)
    pair = pairs.get(network.head)
    return network.hidden(embedded if pair is None else paired_embedding(embedded, batch.ids, pair), positions, linear, attend)


def _linear(network: Network, pairs: Mapping[str, Pair]) -> Linear:
    def linear(name: str, x: Tensor) -> Tensor:
        weight, bias = network.matrix(name), network.bias(name)
        pair = pairs.get(name)
        return functional.linear(x, weight, bias) if pair is None else paired_linear(x, weight, bias, pair)

    return linear
