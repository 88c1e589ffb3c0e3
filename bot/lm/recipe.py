"""The hyper-parameters of a training, and which are right for a base and what is taught."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from bot.errors import BadInput

SMALL_BASE = 30_000_000
"""Parameters below which a base is so weak that its embedding must learn too, and everything at a higher rank."""
FEW_TWEETS = 200
"""Fewer are gone through more often on a small base: at 100 that gains 0.10 nats, at 300 it costs 0.04."""
FOREIGN, SPELT = 0.42, 0.7
"""Tokens per character from which on a small base does not know the language, or must spell it letter by letter: on nano English tweets
have 0.35 at most, Danish and Spanish ones 0.47, Japanese ones 1.0."""
FOREIGN_EPOCHS, SPELT_EPOCHS = 6, 10
"""At most, of such tweets: ten are no better than six for Spanish, and up to 0.33 nats a token for Japanese (docs/performance.md)."""
STEP_TOKENS, LARGE_STEP_TOKENS = 128, 256
"""Tokens that one step should see, on a small base and on others, within `FEWEST_TWEETS` and `MOST_TWEETS`: GPT-2 124M learns 1.2 times as
many in a second by 256 as by 128, because its matrices are read and laid out anew for each step."""
ENOUGH_STEPS = 50
"""Steps of an epoch that a larger base takes at least before its steps grow past `STEP_TOKENS`."""
FEWEST_TWEETS, MOST_TWEETS = 4, 16
GPU_STEP_TOKENS = 3072
"""The same on a GPU, where a step takes as long whether it sees few tokens or many."""
FEWEST_STEPS = 20
"""Steps of an epoch that a GPU takes at least."""

Preset = Literal["default", "fast"]
"""`fast` trains the top third of the layers only, over what the others put out, which is computed once; see `default_recipe`."""


@dataclass(frozen=True)
class Taught:
    """How much is taught in an epoch."""

    tweets: int
    tokens: int
    characters: int

    @property
    def spelling(self) -> float:
        """Tokens per character."""
        return self.tokens / max(self.characters, 1)


@dataclass(frozen=True)
class Recipe:
    """How a character is trained: low-rank pairs beside the base's matrices and a bias for each token of the vocabulary."""

    rank: int = 16
    """Of the pair of each linear layer."""
    first_layer: int = 0
    """The lowest layer with pairs; what enters it is computed once for every tweet."""
    embedding_rank: int = 0
    """Of the pair that changes embedding and output layer together; 0 = they stay as they are."""
    learning_rate: float = 1e-3
    """Peak, of the pairs."""
    bias_rate: float = 1e-2
    """Peak, of the output bias."""
    epochs: int = 3
    """At most; training ends earlier when the held-out loss has stopped falling."""
    batch_tweets: int = 8
    """Tweets in one step."""
    warmup: float = 0.03
    """Share of all steps in which the rates rise from 0; after it they fall to 0 along a cosine."""
    clip: float = 1.0
    """Longest gradient, in the 2-norm."""
    evaluations_per_epoch: int = 2
    """How often the held-out loss is measured."""
    patience: int = 2
    """Training ends at the first evaluation after so many without a better loss."""


def default_recipe(base_parameters: int, layers: int, taught: Taught, *, preset: Preset = "default", on_gpu: bool = False) -> Recipe:
    """The recipe for a base with so many parameters and layers and what is taught.

    For small bases it was found by search on nano (docs/performance.md): no worse than full fine-tuning, at 6.5 MB a character.
    `fast` is for a language that the base knows: of one that it must learn, a small base trains all layers and the embedding all the same.
    """
    small = base_parameters < SMALL_BASE
    recipe = Recipe(batch_tweets=_batch(taught, small=small, on_gpu=on_gpu))
    if small:
        recipe = _of_small_base(recipe, taught)
    if preset == "fast" and not (small and taught.spelling > FOREIGN):
        recipe = replace(recipe, first_layer=layers - max(1, layers // 3), embedding_rank=0)
    return recipe


def _batch(taught: Taught, *, small: bool, on_gpu: bool) -> int:
    """Tweets of a step."""
    each = taught.tweets / max(taught.tokens, 1)
    wanted = round(STEP_TOKENS * each)
    if not small:
        wanted = max(wanted, min(round(LARGE_STEP_TOKENS * each), taught.tweets // ENOUGH_STEPS))
    batch = min(max(wanted, FEWEST_TWEETS), MOST_TWEETS)
    return max(batch, min(round(GPU_STEP_TOKENS * each), taught.tweets // FEWEST_STEPS)) if on_gpu else batch


def _of_small_base(recipe: Recipe, taught: Taught) -> Recipe:
    recipe = replace(recipe, rank=64, embedding_rank=64, learning_rate=2e-3)
    if taught.spelling > FOREIGN:
        epochs = SPELT_EPOCHS if taught.spelling > SPELT else FOREIGN_EPOCHS
        return replace(recipe, learning_rate=3e-3, epochs=epochs, patience=4)
    return replace(recipe, epochs=5) if taught.tweets < FEW_TWEETS else recipe


def with_overrides(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with some fields set otherwise.

    Raises:
        BadInput: a field does not exist.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(overrides) - known):
        raise BadInput(f"A recipe has no {', '.join(unknown)}: it has {', '.join(sorted(known))}.")
    return replace(recipe, **overrides)
