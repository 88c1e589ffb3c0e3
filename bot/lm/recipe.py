"""The hyper-parameters of a training, and which are right for a base and a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from bot.errors import BadInput


@dataclass(frozen=True)
class Recipe:
    """How a character is trained: LoRA on every linear layer and a bias for each token of the vocabulary."""

    rank: int = 16
    """Of each LoRA pair; its scale is 1."""
    embedding_rank: int = 0
    """Of the pair that changes embedding and output layer together; 0 = they stay as they are."""
    learning_rate: float = 2e-3
    """Peak, of the LoRA matrices."""
    bias_rate: float = 2e-2
    """Peak, of the output bias."""
    epochs: int = 4
    """At most; training ends earlier when the held-out loss has stopped falling."""
    batch_tweets: int = 8
    """Tweets in one step."""
    warmup: float = 0.03
    """Share of all steps in which the rates rise from 0; after it they fall to 0 along a cosine."""
    clip: float = 1.0
    """Longest gradient, in the 2-norm."""
    evaluations_per_epoch: int = 2
    """How often the held-out loss is measured."""
    patience: int = 3
    """Evaluations without a better loss after which training ends."""


def default_recipe(base_parameters: int, tokens: int) -> Recipe:
    """The recipe for a base with so many parameters and a corpus of so many training tokens."""
    return Recipe()


def with_overrides(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with some fields set otherwise.

    Raises:
        BadInput: a field does not exist.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(overrides) - known):
        raise BadInput(f"A recipe has no {', '.join(unknown)}: it has {', '.join(sorted(known))}.")
    return replace(recipe, **overrides)
