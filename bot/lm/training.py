"""Teaching a base to speak as one character, tweet by tweet, until the tweets it has not seen stop getting more likely."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from bot.errors import BadInput, TooLittleText, TrainingError
from bot.lm.adapter import Adapter
from bot.lm.base import Base
from bot.lm.batches import Corpus, rows, shuffled_batches
from bot.lm.checkpoint import Checkpoints
from bot.lm.forward import AT_ONCE, enter, losses_by_row, total_loss
from bot.lm.network import StoredNetwork
from bot.lm.recipe import Preset, Recipe, Taught, default_recipe, with_overrides
from bot.lm.spelling import write_alphabet
from bot.lm.trainable import Trainable
from bot.lm.vocabulary import words_read
from bot.lm.wording import write_words
from bot.tweets.dataset import Dataset

RECIPE = "recipe.json"
T = TypeVar("T")


class Preempted(Exception):
    """Training was asked to stop and has saved a checkpoint."""


@dataclass(frozen=True)
class TrainingStep:
    """How far training is."""

    fraction: float
    """0 to 1, never falling."""
    eta_s: float | None
    """Seconds left; None before the first step."""
    loss: float | None
    """Of the newest batch, nats per token."""
    heldout_loss: float | None
    """Newest, nats per token; the first is that of the base."""


@dataclass(frozen=True)
class Trained:
    """What training came to."""

    heldout_base: float
    """Held-out loss of the base, nats per token."""
    heldout_model: float
    """Held-out loss of the kept weights."""
    steps: int
    """Optimiser steps to the kept weights."""
    seconds: float
    """Spent training, earlier attempts that this one went on from included."""
    recipe: Recipe
    heldout_tokens: int
    """Targets over which the held-out loss is the mean."""
    heldout_bytes: int
    """Bytes of the held-out texts in UTF-8, and one for the end of each: tokens / bytes turns nats per token into nats per byte."""


@dataclass
class _State:
    """Where training stands; with the tensors this is all that a checkpoint holds."""

    step: int = 0
    evaluated: int = -1
    """Step of the newest evaluation."""
    losses: list[float] = field(default_factory=list)
    """Held-out losses; the first is that of the base."""
    best_step: int = 0
    seconds: float = 0.0
    parts: int = 1
    """In how many parts a step is computed, so that each fits into the memory."""

    @property
    def best_loss(self) -> float:
        return min(self.losses)

    @property
    def since_best(self) -> int:
        """Evaluations since the best one."""
        return len(self.losses) - 1 - self.losses.index(self.best_loss)


def plan(base: Base, dataset: Dataset, overrides: Mapping[str, Any] | None = None, preset: Preset = "default") -> Recipe:
    """The recipe of a preset for this base and dataset, with some fields set otherwise.

    Raises:
        BadInput: an override names no field of a recipe.
    """
    taught = rows(base, dataset.epoch)
    tokens, characters = sum(len(row.inputs) for row in taught), sum(len(tweet.text) for tweet in dataset.epoch)
    layers, on_gpu = base.network.shape.layers, base.device.type == "cuda"
    recipe = default_recipe(base.parameters, layers, Taught(len(taught), tokens, characters), preset=preset, on_gpu=on_gpu)
    return with_overrides(recipe, overrides or {})


def train(
    base: Base,
    dataset: Dataset,
    recipe: Recipe,
    *,
    out: Path,
    checkpoints: Path,
    seed: int,
    report: Callable[[TrainingStep], None],
    should_stop: Callable[[], bool],
    checkpoint_every_s: float = 60.0,
) -> Trained:
    """Train, and write the best adapter into `out`. Goes on from the newest checkpoint of the same training, if there is one.

    In one environment (machine, threads, versions) the result is bit for bit the same, however often it was interrupted. The base is
    left as it was.

    Raises:
        Preempted: `should_stop` said so; a checkpoint is saved.
        NoSpace: the disk is full.
        TooLittleText: no tweet to learn from, or none held out.
        BadInput: the recipe leaves out layers of a base whose layers cannot be told apart.
        TrainingError: the loss is no longer a number.
    """
    identity = {"base": base.name, "dataset": dataset.sha256, "recipe": asdict(recipe), "seed": seed}
    training = _Training(base, dataset, recipe, seed, Checkpoints(checkpoints, identity))
    trained = training.run(report, should_stop, checkpoint_every_s)
    training.adapter.load_state(training.best)
    training.adapter.save(out, base.network, base_name=base.name)
    write_alphabet(out, (tweet.text for tweet in dataset.train))
    if words_read(base.name) is not None:
        write_words(out, (tweet.text for tweet in dataset.train))
    record = asdict(trained) | identity
    (out / RECIPE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return trained


class _Training:
    def __init__(self, base: Base, dataset: Dataset, recipe: Recipe, seed: int, checkpoints: Checkpoints) -> None:
        self.base, self.recipe, self.seed, self.checkpoints = base, recipe, seed, checkpoints
        taught, heldout = rows(base, dataset.epoch), rows(base, dataset.heldout)
        if not taught or not heldout:
            found = f"{len(taught)} to learn from and {len(heldout)} held out"
            raise TooLittleText(f"Training needs tweets to learn from and some to hold out, and has {found}.")
        self.corpus, self.heldout = (Corpus(part, base.dtype, base.device) for part in (taught, heldout))
        self.heldout_bytes = sum(len(tweet.text.encode()) + 1 for tweet in dataset.heldout)
        fresh = Adapter.fresh(
            base.network,
            rank=recipe.rank,
            embedding_rank=recipe.embedding_rank,
            first_layer=recipe.first_layer,
            generator=torch.Generator().manual_seed(seed),
        )
        self.trainable = Trainable(fresh, base.dtype, learning_rate=recipe.learning_rate, bias_rate=recipe.bias_rate)
        self.adapter = self.trainable.adapter
        self.best = self._weights()
        self.steps_per_epoch = math.ceil(len(self.corpus) / recipe.batch_tweets)
        self.steps = self.steps_per_epoch * recipe.epochs
        self.state = _State()
        self.order: tuple[int, list[list[int]]] | None = None
        self.at_once = AT_ONCE

    def run(self, report: Callable[[TrainingStep], None], should_stop: Callable[[], bool], checkpoint_every_s: float) -> Trained:
        self._resume()
        self._enter()
        started, first = time.monotonic(), self.state.step
        spent, saved, loss = self.state.seconds, started, None
        while True:
            if self._evaluation_due():
                self._evaluate()
                if self.state.since_best > self.recipe.patience:
                    break
            now = time.monotonic()
            self.state.seconds = spent + now - started
            report(self._progress(loss, (now - started) / (self.state.step - first) if self.state.step > first else None))
            if self.state.step == self.steps:
                break
            stop = should_stop()
            if stop or now - saved >= checkpoint_every_s:
                self._save()
                saved = now
            if stop:
                raise Preempted
            loss = self._step()
        return Trained(
            heldout_base=self.state.losses[0],
            heldout_model=self.state.best_loss,
            steps=self.state.best_step,
            seconds=round(self.state.seconds, 1),
            recipe=self.recipe,
            heldout_tokens=sum(self.heldout.counts),
            heldout_bytes=self.heldout_bytes,
        )

    def _enter(self) -> None:
        """Compute what enters the first layer with pairs."""
        first, network = self.recipe.first_layer, self.base.network
        if not first:
            return
        if not isinstance(network, StoredNetwork):
            raise BadInput(f"The layers of {self.base.name} cannot be told apart, so all of them are trained: take the default preset.")
        if self.recipe.embedding_rank:
            raise BadInput("A recipe that leaves out layers cannot train the embedding under them: set first_layer or embedding_rank to 0.")
        for corpus in (self.corpus, self.heldout):
            self._fitting(partial(enter, network, corpus, first))

    def _step(self) -> float:
        """One optimiser step on the batch that belongs to this step number."""
        epoch, at = divmod(self.state.step, self.steps_per_epoch)
        batch = self._batches(epoch)[at]
        while True:
            try:
                value = self._accumulate(batch)
                break
            except torch.cuda.OutOfMemoryError as error:
                if self.state.parts >= len(batch):
                    raise _no_memory() from error
            self._halve()
        share = rate((self.state.step + 0.5) / self.steps, self.recipe.warmup)
        self.trainable.step(share, self.recipe.clip)
        self.state.step += 1
        if not math.isfinite(value):
            raise TrainingError(f"Training went wrong at step {self.state.step}: the loss is {value}; try a lower learning rate.")
        return value

    def _accumulate(self, batch: list[int]) -> float:
        """Gather the gradients of a batch's loss, a part at a time; the loss in nats per token."""
        count = sum(self.corpus.counts[i] for i in batch)
        size = math.ceil(len(batch) / self.state.parts)
        self.trainable.clear()
        value = 0.0
        for at in range(0, len(batch), size):
            loss = total_loss(self.base.network, self.trainable.pairs, self.trainable.bias, self.corpus.batch(batch[at : at + size]))
            loss = loss / count
            torch.autograd.backward(loss)
            self.trainable.gather()
            value += float(loss.detach())
        return value

    def _fitting(self, work: Callable[[int], T]) -> T:
        """What is done without gradients, with so many tokens at once as the GPU's memory holds."""
        while True:
            try:
                return work(self.at_once)
            except torch.cuda.OutOfMemoryError as error:
                if self.at_once == 1:  # a batch has one tweet at least
                    raise _no_memory() from error
            self.at_once //= 2
            torch.cuda.empty_cache()

    def _halve(self) -> None:
        self.state.parts *= 2
        torch.cuda.empty_cache()

    def _batches(self, epoch: int) -> list[list[int]]:
        """The epoch's batches, the same for one seed and epoch whenever they are asked for."""
        if self.order is None or self.order[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed + 1 + epoch)
            self.order = (epoch, shuffled_batches(self.corpus.lengths, self.recipe.batch_tweets, generator))
        return self.order[1]

    def _evaluation_due(self) -> bool:
        every = max(1, self.steps_per_epoch // self.recipe.evaluations_per_epoch)
        step = self.state.step
        return step != self.state.evaluated and (step % every == 0 or step == self.steps)

    def _evaluate(self) -> None:
        found = self._fitting(partial(losses_by_row, self.base.network, self.trainable.pairs, self.trainable.bias, self.heldout))
        self.state.losses.append(sum(found) / sum(self.heldout.counts))
        self.state.evaluated = self.state.step
        if self.state.since_best == 0:
            self.state.best_step = self.state.step
            self.best = self._weights()

    def _progress(self, loss: float | None, seconds_per_step: float | None) -> TrainingStep:
        left = self.steps - self.state.step
        return TrainingStep(
            fraction=self.state.step / self.steps,
            eta_s=None if seconds_per_step is None else round(left * seconds_per_step, 1),
            loss=loss,
            heldout_loss=self.state.losses[-1],
        )

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.adapter.state().items()}

    def _save(self) -> None:
        state = {
            "state": asdict(self.state),
            "weights": self._weights(),
            "best": self.best,
            "optimizer": self.trainable.moments(),
            "random": torch.get_rng_state(),
        }
        self.checkpoints.save(self.state.step, state)

    def _resume(self) -> None:
        """Go on from the newest checkpoint. The order of the batches needs no record: it follows from seed and step."""
        torch.manual_seed(self.seed)
        saved = self.checkpoints.newest()
        if saved is None:
            return
        self.state = _State(**saved["state"])
        self.adapter.load_state(saved["weights"])
        self.best = saved["best"]
        self.trainable.narrow()
        self.trainable.load_moments(saved["optimizer"])
        torch.set_rng_state(saved["random"])


def _no_memory() -> TrainingError:
    return TrainingError("The GPU's memory does not hold one tweet of training: take a smaller base.")


def rate(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at this share of all steps: up along a line, then down to 0 along a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
