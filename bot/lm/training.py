"""Teaching a base to speak as one character, tweet by tweet, until the tweets it has not seen stop getting more likely."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bot.errors import TooLittleText, TrainingError
from bot.lm.adapter import Adapter
from bot.lm.base import Base
from bot.lm.batches import IGNORED, Row, collate, rows, shuffled_batches, sorted_batches
from bot.lm.checkpoint import Checkpoints
from bot.lm.recipe import Recipe, default_recipe, with_overrides
from bot.lm.spelling import write_alphabet
from bot.tweets.dataset import Dataset

RECIPE = "recipe.json"
EVALUATED_AT_ONCE = 16
"""Held-out tweets in one batch."""


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

    @property
    def best_loss(self) -> float:
        return min(self.losses)

    @property
    def since_best(self) -> int:
        """Evaluations since the best one."""
        return len(self.losses) - 1 - self.losses.index(self.best_loss)


def plan(base: Base, dataset: Dataset, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The default recipe for this base and dataset, with some fields set otherwise.

    Raises:
        BadInput: an override names no field of a recipe.
    """
    taught = rows(base, dataset.train)
    recipe = default_recipe(base.parameters, sum(len(row.inputs) for row in taught), len(taught))
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
        TrainingError: the loss is no longer a number.
    """
    identity = {"base": base.name, "dataset": dataset.sha256, "recipe": asdict(recipe), "seed": seed}
    training = _Training(base, dataset, recipe, seed, Checkpoints(checkpoints, identity))
    with training.adapter.applied(base.model):
        trained = training.run(report, should_stop, checkpoint_every_s)
    training.adapter.load_state(training.best)
    training.adapter.save(out, base.model, base_name=base.name)
    write_alphabet(out, (tweet.text for tweet in dataset.train))
    record = asdict(trained) | identity
    (out / RECIPE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return trained


class _Training:
    def __init__(self, base: Base, dataset: Dataset, recipe: Recipe, seed: int, checkpoints: Checkpoints) -> None:
        self.base, self.recipe, self.seed, self.checkpoints = base, recipe, seed, checkpoints
        self.train_rows, self.heldout_rows = rows(base, dataset.train), rows(base, dataset.heldout)
        if not self.train_rows or not self.heldout_rows:
            found = f"{len(self.train_rows)} to learn from and {len(self.heldout_rows)} held out"
            raise TooLittleText(f"Training needs tweets to learn from and some to hold out, and has {found}.")
        generator = torch.Generator().manual_seed(seed)
        self.adapter = Adapter.fresh(base.model, rank=recipe.rank, embedding_rank=recipe.embedding_rank, generator=generator)
        for tensor in self.adapter.state().values():
            tensor.requires_grad_()
        self.best = self._weights()
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(self.adapter.tensors.values()), "peak": recipe.learning_rate},
                {"params": [self.adapter.bias], "peak": recipe.bias_rate},
            ],
            weight_decay=0.0,
            fused=True,
        )
        self.steps_per_epoch = math.ceil(len(self.train_rows) / recipe.batch_tweets)
        self.steps = self.steps_per_epoch * recipe.epochs
        self.state = _State()
        self.order: tuple[int, list[list[int]]] | None = None

    def run(self, report: Callable[[TrainingStep], None], should_stop: Callable[[], bool], checkpoint_every_s: float) -> Trained:
        self._resume()
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
        )

    def _step(self) -> float:
        """One optimiser step on the batch that belongs to this step number."""
        epoch, at = divmod(self.state.step, self.steps_per_epoch)
        batch = self._batches(epoch)[at]
        share = rate((self.state.step + 0.5) / self.steps, self.recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        total, count = self._loss([self.train_rows[i] for i in batch])
        loss = total / count
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(list(self.adapter.state().values()), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"Training went wrong at step {self.state.step}: the loss is {value}; try a lower learning rate.")
        return value

    def _loss(self, batch: Sequence[Row]) -> tuple[Tensor, int]:
        """Sum of the cross-entropies in nats, and over how many targets."""
        inputs, targets = collate(batch, self.base.tokenizer.end, self.base.device)
        with torch.autocast(self.base.device.type, dtype=self.base.autocast, enabled=self.base.autocast is not None):
            # Padding stands on the right, where causal attention hides it: no mask is needed, and positions start at 0 in every row.
            logits = self.base.model(input_ids=inputs, use_cache=False).logits
        total = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum", ignore_index=IGNORED)
        return total, int((targets != IGNORED).sum())

    def _batches(self, epoch: int) -> list[list[int]]:
        """The epoch's batches, the same for one seed and epoch whenever they are asked for."""
        if self.order is None or self.order[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed + 1 + epoch)
            lengths = [len(row.inputs) for row in self.train_rows]
            self.order = (epoch, shuffled_batches(lengths, self.recipe.batch_tweets, generator))
        return self.order[1]

    def _evaluation_due(self) -> bool:
        every = max(1, self.steps_per_epoch // self.recipe.evaluations_per_epoch)
        step = self.state.step
        return step != self.state.evaluated and (step % every == 0 or step == self.steps)

    def _evaluate(self) -> None:
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in sorted_batches([len(row.inputs) for row in self.heldout_rows], EVALUATED_AT_ONCE):
                part, targets = self._loss([self.heldout_rows[i] for i in batch])
                total, count = total + float(part), count + targets
        self.state.losses.append(total / count)
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
            "optimizer": self.optimizer.state_dict(),
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
        self.optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])


def rate(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at this share of all steps: up along a line, then down to 0 along a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
