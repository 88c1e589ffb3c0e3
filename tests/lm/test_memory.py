"""A GPU whose memory does not hold a batch: it is computed in parts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bot.errors import TrainingError
from bot.lm.adapter_files import ADAPTER, BIAS
from bot.lm.base import Base, load_base
from bot.lm.batches import IGNORED, Batch, Corpus
from bot.lm.forward import total_loss
from bot.lm.recipe import Recipe
from bot.lm.training import Preempted, Trained, TrainingStep, train
from bot.tweets.dataset import Dataset

Tiny = Callable[[str], Path]
RECIPE = Recipe(rank=4, embedding_rank=2, learning_rate=1e-3, bias_rate=1e-2, epochs=1, batch_tweets=8)


class Memory:
    """Holds batches of so many targets; counts those that it held and those that it did not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, targets: int) -> None:
        self.targets, self.held, self.full = targets, 0, 0
        monkeypatch.setattr("bot.lm.training.total_loss", self)

    def __call__(self, *rest: object) -> Tensor:
        (batch,) = (part for part in rest if isinstance(part, Batch))
        if (batch.targets != IGNORED).sum() > self.targets:
            self.full += 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.held += 1
        return total_loss(*rest)  # type: ignore[arg-type]  # handed on as they came


@pytest.fixture
def base(tiny: Tiny) -> Base:
    return load_base(str(tiny("gpt2")), dtype=torch.float32)


def go(base: Base, dataset: Dataset, folder: Path, *, recipe: Recipe = RECIPE, stop_after: int = 99) -> tuple[Trained, list[TrainingStep]]:
    steps: list[TrainingStep] = []
    trained = train(
        base,
        dataset,
        recipe,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        seed=7,
        report=steps.append,
        should_stop=lambda: len(steps) > stop_after,
    )
    return trained, steps


def weights(folder: Path) -> dict[str, Tensor]:
    return {n: t.float() for file in (ADAPTER, BIAS) for n, t in load_file(folder / "out" / file).items()}


@pytest.mark.parametrize(
    ("targets", "halvings"),
    # With 51 the first parts of a batch in four fit and the last one does not: what they gave must not count twice.
    [(110, 1), (60, 2), (51, 3), (30, 3)],
)
def test_a_batch_too_large_is_learnt_in_parts_with_the_same_result(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: int, halvings: int
) -> None:
    expected, usual = go(base, dataset, tmp_path / "whole")
    memory = Memory(monkeypatch, targets)
    trained, steps = go(base, dataset, tmp_path / "parts")
    assert memory.full == halvings
    assert [s.loss for s in steps[1:]] == pytest.approx([s.loss for s in usual[1:]], rel=1e-5)
    assert trained.heldout_model == pytest.approx(expected.heldout_model, rel=1e-5)
    found, wanted = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_after_a_resume_the_parts_are_as_small_at_once(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, 60)
    with pytest.raises(Preempted):
        go(base, dataset, tmp_path, stop_after=3)
    before = memory.full
    go(base, dataset, tmp_path)
    assert before == memory.full > 0


def test_a_memory_that_does_not_hold_one_tweet_ends_in_one_sentence(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(monkeypatch, 3)
    with pytest.raises(TrainingError, match=r"^The GPU's memory does not hold one tweet of training: take a smaller base\.$"):
        go(base, dataset, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, first_layer=1, embedding_rank=0)])
def test_what_is_computed_without_gradients_takes_fewer_tokens_at_once(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    expected, _ = go(base, dataset, tmp_path / "whole", recipe=recipe)
    batch_of, most, full = Corpus.batch, 2, []

    def held(corpus: Corpus, numbers: list[int]) -> Batch:
        if not torch.is_grad_enabled() and len(numbers) > most:
            full.append(len(numbers))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return batch_of(corpus, numbers)

    monkeypatch.setattr(Corpus, "batch", held)
    trained, _ = go(base, dataset, tmp_path / "parts", recipe=recipe)
    assert full
    assert trained.heldout_model == pytest.approx(expected.heldout_model, rel=1e-5)
    most = 0
    with pytest.raises(TrainingError, match="does not hold one tweet"):
        go(base, dataset, tmp_path / "none", recipe=recipe)


def test_a_short_last_batch_is_divided_no_further_than_into_tweets(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight parts of a batch of three tweets are three."""
    few = replace(dataset, train=dataset.train[:11])
    memory = Memory(monkeypatch, 30)
    trained, steps = go(base, few, tmp_path, recipe=replace(RECIPE, epochs=2))
    assert (trained.recipe.batch_tweets, len(steps)) == (8, 1 + 4)
    assert memory.held >= 2 * 11
