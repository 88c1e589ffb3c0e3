"""Writing `progress.jsonl`: how far a training is, as one number that never falls."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bot.executor.contract import Progress, Stage

_EVERY_S = 0.5
_SHARES: dict[Stage, tuple[float, float]] = {
    "starting": (0.0, 0.0),
    "reading": (0.0, 0.05),
    "loading": (0.05, 0.1),
    "training": (0.1, 0.9),
    "evaluating": (0.9, 0.97),
    "saving": (0.97, 1.0),
}
"""Where each stage begins and ends in the whole."""
_AFTER_TRAINING = (1.0 - 0.9) / (0.9 - 0.1)
"""What comes after the training, as a share of it."""


class ProgressLog:
    """Appends to `progress.jsonl`: every change of the stage, and else twice in a second."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._told: tuple[Stage, float] | None = None
        self._fraction = 0.0
        self.note: str | None = None
        """Stands in every line from now on: a reader may see the newest only."""

    def tell(
        self, stage: Stage, share: float = 0.0, *, eta_s: float | None = None, loss: float | None = None, heldout_loss: float | None = None
    ) -> None:
        """Say where the training stands.

        Args:
            stage: what goes on.
            share: of this stage, 0 to 1.
            eta_s: seconds left in all.
            loss: newest training loss, nats per token.
            heldout_loss: newest held-out loss, nats per token.
        """
        begin, end = _SHARES[stage]
        self._fraction = max(self._fraction, round(begin + (end - begin) * share, 4))
        now = self._monotonic()
        if self._told is not None and self._told[0] == stage and now - self._told[1] < _EVERY_S:
            return
        self._told = (stage, now)
        progress = Progress(stage, self._fraction, eta_s, _finite(loss), _finite(heldout_loss), self.note)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(progress), ensure_ascii=False) + "\n")


def whole_eta(training_eta_s: float | None, share: float) -> float | None:
    """Seconds left in all, when so many of the training are and this share of it is done."""
    if training_eta_s is None or share >= 1:
        return None
    return round(training_eta_s + training_eta_s / (1 - share) * _AFTER_TRAINING, 1)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None
