import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bot.errors import BadInput, NoSpace, TooLittleText, TrainingError
from bot.lm.base import Base, load_base
from bot.lm.batches import IGNORED, rows, shuffled_batches
from bot.lm.checkpoint import Checkpoints
from bot.lm.recipe import Recipe
from bot.lm.training import Preempted, Trained, TrainingStep, plan, rate, train
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset
from tests.lm.conftest import ARCHITECTURES
from tests.lm.peers import plain_model

Tiny = Callable[[str], Path]
RECIPE = Recipe(rank=4, embedding_rank=2, learning_rate=1e-2, bias_rate=5e-2, epochs=3, batch_tweets=8)
FILES = ("adapter_model.safetensors", "output_bias.safetensors", "adapter_config.json", "recipe.json")


@pytest.fixture
def base(tiny: Tiny) -> Base:
    return load_base(str(tiny("gpt2")), name="tiny")


class Run:
    """One attempt after another at one training."""

    def __init__(self, base: Base, dataset: Dataset, folder: Path, recipe: Recipe = RECIPE) -> None:
        self.base, self.dataset, self.recipe = base, dataset, recipe
        self.out, self.checkpoints = folder / "out", folder / "checkpoints"
        self.steps: list[TrainingStep] = []

    def go(self, *, stop_after: int | None = None, checkpoint_every_s: float = 60.0, seed: int = 7) -> Trained:
        first = len(self.steps)
        return train(
            self.base,
            self.dataset,
            self.recipe,
            out=self.out,
            checkpoints=self.checkpoints,
            seed=seed,
            report=self.steps.append,
            should_stop=lambda: stop_after is not None and len(self.steps) - first > stop_after,
            checkpoint_every_s=checkpoint_every_s,
        )

    def weights(self) -> dict[str, torch.Tensor]:
        return {n: t for file in FILES[:2] for n, t in load_file(self.out / file).items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in one.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_learns(tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str) -> None:
    base = load_base(str(tiny(architecture)))
    before = {n: base.network.matrix(n).clone() for n in (*base.network.linears, base.network.embedding)}
    run = Run(base, dataset, tmp_path)
    trained = run.go()
    assert trained.heldout_model < trained.heldout_base - 0.5
    assert trained.recipe == RECIPE
    assert all((run.out / file).is_file() for file in FILES)
    assert all(torch.equal(base.network.matrix(n), t) for n, t in before.items())
    assert json.loads((run.out / "recipe.json").read_text())["recipe"]["rank"] == 4
    assert json.loads((run.out / "adapter_config.json").read_text())["base_model_name_or_path"] == base.name


def test_the_progress_goes_forward_and_begins_with_the_base(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    run = Run(base, dataset, tmp_path)
    trained = run.go()
    first, *others = run.steps
    assert (first.fraction, first.eta_s, first.loss, first.heldout_loss) == (0.0, None, None, trained.heldout_base)
    assert all(a.fraction < b.fraction for a, b in pairwise(run.steps))
    assert all(step.eta_s is not None and step.loss is not None for step in others)
    assert run.steps[-1].fraction == 1.0
    assert min(s.heldout_loss for s in run.steps if s.heldout_loss) == trained.heldout_model
    assert len(run.steps) == 3 * 10 + 1


def test_the_heldout_loss_of_the_base_is_that_of_transformers_one_tweet_at_a_time(tiny: Tiny, dataset: Dataset, tmp_path: Path) -> None:
    base = load_base(str(tiny("gpt2")), dtype=torch.float32)
    trained = Run(base, dataset, tmp_path, replace(RECIPE, epochs=1)).go()
    model = plain_model(tiny("gpt2"))
    total = count = 0.0
    for row in rows(base, dataset.heldout):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.inputs])).logits[0].log_softmax(-1)
        wanted = [(at, target) for at, target in enumerate(row.targets) if target != IGNORED]
        total -= sum(float(logits[at, target]) for at, target in wanted)
        count += len(wanted)
    assert trained.heldout_base == pytest.approx(total / count, rel=1e-6)
    assert trained.heldout_tokens == count
    assert trained.heldout_bytes == sum(len(tweet.text.encode()) + 1 for tweet in dataset.heldout)


def test_one_seed_gives_the_same_weights_and_another_does_not(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    runs = [Run(base, dataset, tmp_path / str(i)) for i in range(3)]
    for run, seed in zip(runs, (7, 7, 8), strict=True):
        run.go(seed=seed)
    assert same(runs[0].weights(), runs[1].weights())
    assert not same(runs[0].weights(), runs[2].weights())


@pytest.mark.parametrize("stops", [(0,), (1,), (10,), (14, 3), (29,), (30,)])
def test_an_interrupted_training_ends_with_the_same_weights(base: Base, dataset: Dataset, tmp_path: Path, stops: tuple[int, ...]) -> None:
    whole = Run(base, dataset, tmp_path / "whole")
    expected = whole.go()
    run = Run(base, dataset, tmp_path / "parts")
    for steps in stops:
        if sum(stops) < 30:
            with pytest.raises(Preempted):
                run.go(stop_after=steps)
        assert not run.out.exists()
    trained = run.go()
    assert same(run.weights(), whole.weights())
    assert replace(trained, seconds=0) == replace(expected, seconds=0)


@pytest.mark.fault(13)
@pytest.mark.parametrize("harm", ["cut off", "bit flip", "no manifest", "empty folder"])
def test_with_a_damaged_checkpoint_the_weights_are_the_same_in_the_end(base: Base, dataset: Dataset, tmp_path: Path, harm: str) -> None:
    """A training that finds its newest checkpoint damaged goes on from the one before, and ends with the same weights bit for bit."""
    whole = Run(base, dataset, tmp_path / "whole")
    whole.go()
    run = Run(base, dataset, tmp_path / "parts")
    for _ in range(2):
        with pytest.raises(Preempted):
            run.go(stop_after=9)
    newest = max(run.checkpoints.glob("step-*"))
    content = bytearray((newest / "state.pt").read_bytes())
    match harm:
        case "cut off":
            (newest / "state.pt").write_bytes(content[: len(content) // 2])
        case "bit flip":
            content[len(content) // 2] ^= 1
            (newest / "state.pt").write_bytes(content)
        case "no manifest":
            (newest / "manifest.json").unlink()
        case _:
            (newest / "manifest.json").unlink()
            (newest / "state.pt").unlink()
    first = len(run.steps)
    run.go()
    assert run.steps[first].fraction == pytest.approx(9 / 30, abs=0.05)
    assert same(run.weights(), whole.weights())


@pytest.mark.fault(8)
@pytest.mark.parametrize("full_at", [1, 2, 5])
def test_a_disk_that_is_full_costs_nothing_but_time(
    base: Base, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: int
) -> None:
    """A training that met a full disk goes on from its older checkpoint, and ends with the same weights bit for bit."""
    whole = Run(base, dataset, tmp_path / "whole")
    whole.go()
    run = Run(base, dataset, tmp_path / "parts")
    saved = 0

    def fsync(_: int, real: Callable[[int], None] = os.fsync) -> None:
        nonlocal saved
        saved += 1
        if saved > 4 * full_at:  # two files and two folders make a checkpoint
            raise OSError(errno.ENOSPC, "No space left on device")
        real(_)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(NoSpace, match="disk is full"):
            run.go(checkpoint_every_s=0.0)
    assert 1 <= len(list(run.checkpoints.glob("step-*"))) <= 2
    assert not list(run.checkpoints.glob(".tmp-*"))
    first = len(run.steps)
    run.go()
    assert run.steps[first].fraction == pytest.approx((full_at - 1) / 30)
    assert same(run.weights(), whole.weights())


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    whole = Run(base, dataset, tmp_path / "whole")
    whole.go()
    run = Run(base, dataset, tmp_path / "killed")

    class Killed(BaseException):
        pass

    def report(step: TrainingStep) -> None:
        run.steps.append(step)
        if len(run.steps) == 18:
            raise Killed

    with pytest.raises(Killed):
        train(
            base,
            dataset,
            RECIPE,
            out=run.out,
            checkpoints=run.checkpoints,
            seed=7,
            report=report,
            should_stop=lambda: False,
            checkpoint_every_s=0.0,
        )
    newest = max(run.checkpoints.glob("step-*"))
    (newest / "state.pt").write_bytes(b"torn")
    before = len(run.steps)
    run.go()
    assert 0.4 < run.steps[before].fraction < 0.6
    assert same(run.weights(), whole.weights())


@pytest.mark.parametrize("lost", ["optimizer", "weights", "best", "state"])
def test_every_part_of_a_checkpoint_is_needed(
    base: Base, dataset: Dataset, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one part put back to what it was at the start, the end is another: the test above is not blind."""
    # For `best` the rate rises to the end and far too high, so that the best weights are not the last.
    recipe = replace(RECIPE, learning_rate=0.5, bias_rate=0.5, warmup=1.0, patience=9) if lost == "best" else RECIPE
    whole = Run(base, dataset, tmp_path / "whole", recipe)
    expected = whole.go()
    run = Run(base, dataset, tmp_path / "parts", recipe)
    kept: dict[str, object] = {}

    def spoil(_self: Checkpoints, step: int, state: dict[str, object]) -> None:
        kept.setdefault(lost, state[lost])
        original(_self, step, state | kept)

    original = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", spoil)
    for steps in (0, 29):
        with pytest.raises(Preempted):
            run.go(stop_after=steps)
    trained = run.go()
    assert not same(run.weights(), whole.weights()) or replace(trained, seconds=0) != replace(expected, seconds=0)


def test_it_stops_early_and_keeps_the_best(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    hot = replace(RECIPE, learning_rate=0.3, bias_rate=0.3, epochs=40, patience=2)
    run = Run(base, dataset, tmp_path, hot)
    trained = run.go()
    seen = [s.heldout_loss for s in run.steps]
    assert len(run.steps) < 400
    assert trained.heldout_model == min(s for s in seen if s is not None)
    again = Run(base, dataset, tmp_path / "again", replace(hot, epochs=1))
    assert trained.steps < len(run.steps) - 1
    assert again.go().heldout_base == trained.heldout_base


def test_a_loss_that_is_no_number_ends_in_one_sentence(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="lower learning rate"):
        Run(base, dataset, tmp_path, replace(RECIPE, learning_rate=1e30, epochs=30)).go()


def test_no_tweet_to_hold_out_is_refused(base: Base, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TooLittleText, match="0 held out"):
        Run(base, replace(dataset, heldout=()), tmp_path).go()


def test_rows_begin_with_the_start_and_end_unless_cut_or_too_long(base: Base) -> None:
    whole, cut, long = rows(base, [Kept(text="An old tram."), Kept(text="An old tram.", cut=True), Kept(text="canal " * 200)])
    tokenizer = base.tokenizer
    ids = tokenizer.encode("An old tram.")
    assert (whole.inputs, whole.targets) == ([tokenizer.start, *ids], [*ids, tokenizer.end])
    assert (cut.inputs, cut.targets) == (whole.inputs, [*ids, IGNORED])
    assert len(long.inputs) == len(long.targets) == base.context
    assert long.targets[-1] == IGNORED


def test_batches_hold_every_row_once_with_like_lengths() -> None:
    lengths = [i * 37 % 90 for i in range(203)]
    generator = torch.Generator().manual_seed(1)
    first, second = (shuffled_batches(lengths, 8, generator) for _ in range(2))
    for batches in (first, second):
        assert sorted(i for batch in batches for i in batch) == list(range(203))
        assert len(batches) == 26
    assert first != second
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in first)
    assert padded < 1.15 * sum(lengths)


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(i / 100, 0.1) for i in range(101)]
    assert (rates[0], max(rates), rates[10]) == (0.0, 1.0, 1.0)
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.0)


def test_a_plan_takes_overrides_and_refuses_unknown_ones(base: Base, dataset: Dataset) -> None:
    assert plan(base, dataset, {"epochs": 1}) == replace(plan(base, dataset), epochs=1)
    with pytest.raises(BadInput, match="no speed"):
        plan(base, dataset, {"speed": 11})
