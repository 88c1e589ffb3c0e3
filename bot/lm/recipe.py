"""The hyper-parameters of a training, and which are right for a base and a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from bot.errors import BadInput

SMALL_BASE = 30_000_000
"""Parameters below which a base is so weak that its embedding must learn too, and everything at a higher rank."""
FEW_TWEETS = 200
"""Fewer are gone through more often on a small base: at 100 that gains 0.10 nats, at 300 it costs 0.04."""
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
"""`fast` trains the top third of the layers only, over what the others put out, which is computed once."""


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


def default_recipe(
    base_parameters: int, layers: int, tokens: int, tweets: int, *, preset: Preset = "default", on_gpu: bool = False
) -> Recipe:
    """The recipe for a base with so many parameters and layers and a corpus of so many training tokens and tweets.

    For small bases it was found by search on nano (docs/performance.md): no worse than full fine-tuning, at 5 MB a character.
    """
    small = base_parameters < SMALL_BASE
    each = tweets / max(tokens, 1)
    wanted = round(STEP_TOKENS * each)
    if not small:
        wanted = max(wanted, min(round(LARGE_STEP_TOKENS * each), tweets // ENOUGH_STEPS))
    batch = min(max(wanted, FEWEST_TWEETS), MOST_TWEETS)
    if on_gpu:
        batch = max(batch, min(round(GPU_STEP_TOKENS * each), tweets // FEWEST_STEPS))
    recipe = Recipe(batch_tweets=batch)
    if small:
        epochs = 5 if tweets < FEW_TWEETS else recipe.epochs
        recipe = replace(recipe, rank=64, embedding_rank=64, learning_rate=2e-3, epochs=epochs)
    return replace(recipe, first_layer=layers - max(1, layers // 3), embedding_rank=0) if preset == "fast" else recipe


def with_overrides(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with some fields set otherwise.

    Raises:
        BadInput: a field does not exist.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(overrides) - known):
        raise BadInput(f"A recipe has no {', '.join(unknown)}: it has {', '.join(sorted(known))}.")
    return replace(recipe, **overrides)
