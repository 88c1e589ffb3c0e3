"""The child process that trains: `python -m bot.executor.training_worker <attempt folder>`, the same on every executor.

It reads the tweets, cleans and splits them, trains, and judges the new model; `contract.py` says which files come and go. The model is
imported only when the file has turned out to be usable: a refusal need not wait for torch.
"""

import contextlib
import hashlib
import math
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from bot import sample
from bot.errors import MynahError, NoSpace
from bot.executor import files
from bot.executor.contract import FAILED, FENCED, NO_SPACE, OK, PREEMPTED, REFUSED, Result, TrainSpec
from bot.executor.fence import Fence, Superseded
from bot.executor.material import Material, MaterialReader
from bot.executor.outcome import state_of
from bot.executor.progress import ProgressLog, whole_eta
from bot.tweets import cleaning, dataset
from bot.tweets.files import read_source

if TYPE_CHECKING:
    from bot.lm.base import Base
    from bot.lm.evaluation import Evaluated
    from bot.lm.training import Trained, TrainingStep
    from bot.lm.verdict import Evaluation

_EXIT_CODES = {"failed": FAILED, "refused": REFUSED, "no_space": NO_SPACE}


class _StopSignal:
    """SIGTERM: in the training the next step saves; before it, and while the model is judged, there is nothing to save."""

    def __init__(self) -> None:
        self.came = False
        self.leave_at_once = True
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        if self.leave_at_once:
            sys.exit(PREEMPTED)


class TrainingAttempt:
    """One attempt, from `spec.json` to `result.json`."""

    def __init__(self, folder: Path, spec: TrainSpec) -> None:
        self._folder, self._spec = folder, spec
        self._model = folder / files.MODEL
        self._fence = Fence(folder.parent)
        self._stop = _StopSignal()
        self._progress = ProgressLog(folder / files.PROGRESS)
        self._started = time.monotonic()
        self._base, self._base_name = spec.base, spec.base_name

    def run(self) -> None:
        """Do it.

        Raises:
            MynahError: it cannot be done, or not now.
            Superseded: a newer attempt has taken its place.
            SystemExit: it was asked to stop, and may be gone on with.
        """
        self._progress.tell("starting")
        self._fence.watch(self._spec.attempt)
        self._model.mkdir(exist_ok=True)
        material = self._read()
        result = self._learn(material)
        result = replace(result, files={path.name: _seal(path) for path in sorted(self._model.iterdir())})
        self._fence.check(self._spec.attempt)
        files.write_result(self._folder, result)

    def _read(self) -> Material:
        """Read, clean and split the tweets, keeping the raw ones in `corpus.jsonl`, and choose the base by their language."""
        self._progress.tell("reading")
        with (self._folder / files.CORPUS).open("w", encoding="utf-8") as corpus:
            material = MaterialReader(self._spec, corpus, lambda share: self._progress.tell("reading", share)).read()
        for sentence in material.notes:
            self._warn(sentence)
        dataset.write_dataset(self._model / files.DATASET, material.dataset)
        if material.foreign and self._spec.multilingual is not None:
            self._base, self._base_name = self._spec.multilingual
        return material

    def _learn(self, material: Material) -> Result:
        """Train, judge the new model, and write its card: the result, but for the files' hashes."""
        self._progress.tell("loading")
        from bot.lm import base, training  # noqa: PLC0415  # takes seconds: not before the file has turned out to be usable

        loaded = base.load_base(self._base, name=self._base_name)
        self._stop.leave_at_once = False
        try:
            trained = training.train(
                loaded,
                material.dataset,
                training.plan(loaded, material.dataset, self._spec.recipe, preset=self._spec.preset),
                out=self._model,
                checkpoints=self._folder.parent / "checkpoints",
                seed=self._spec.seed,
                report=self._report,
                should_stop=self._should_stop,
            )
        except training.Preempted:
            sys.exit(PREEMPTED)
        self._stop.leave_at_once = True  # judging takes longer than a stop may, and starts again from the newest checkpoint
        self._warn(foreign_to_base(trained.heldout_base, loaded.network.shape.vocabulary, self._base_name))
        evaluated = self._evaluate(loaded, material, trained)
        self._stop.leave_at_once = False
        self._progress.tell("saving")
        self._write_card(material, trained, evaluated.evaluation)
        return self._result(material, trained, evaluated)

    def _warn(self, sentence: str | None) -> None:
        self._progress.note = " ".join(filter(None, (self._progress.note, sentence))) or None

    def _report(self, step: "TrainingStep") -> None:
        eta = whole_eta(step.eta_s, step.fraction)
        self._progress.tell("training", step.fraction, eta_s=eta, loss=step.loss, heldout_loss=step.heldout_loss)

    def _should_stop(self) -> bool:
        """Asked between two steps, and so before every checkpoint."""
        self._fence.check(self._spec.attempt)
        return self._stop.came

    def _evaluate(self, loaded: "Base", material: Material, trained: "Trained") -> "Evaluated":
        """Judge the new model; a sentence joins the warning where it should not be trusted. The same model is judged the same."""
        self._progress.tell("evaluating")
        from bot.lm import evaluation  # noqa: PLC0415  # see above
        from bot.lm.verdict import verdict  # noqa: PLC0415  # see above
        from bot.lm.vocabulary import words_read  # noqa: PLC0415  # see above

        found = evaluation.measure(loaded, self._model, material.dataset, trained)
        texts, of_base = evaluation.speak(self._base, self._model, self._between)
        evaluated = evaluation.judge(
            material.dataset, found, texts, [of_base, *self._rivals()], self._spec.blocked, words=words_read(self._base)
        )
        self._warn(verdict(evaluated.evaluation))
        return evaluated

    def _between(self, share: float) -> None:
        """Asked between the texts of the evaluation."""
        self._progress.tell("evaluating", share)
        if self._should_stop():
            sys.exit(PREEMPTED)

    def _rivals(self) -> Iterator[list[str]]:
        """What others write: the sample character, and the characters that the bot names and that are still there."""
        yield [kept.text for kept in cleaning.clean(read_source(sample.ARCHIVE)[1]).kept]
        for path in self._spec.others:
            with contextlib.suppress(FileNotFoundError):  # the character was deleted since
                yield [kept.text for kept in dataset.read_dataset(Path(path)).train]

    def _write_card(self, material: Material, trained: "Trained", evaluation: "Evaluation") -> None:
        from bot.lm.card import Card, render  # noqa: PLC0415  # see above

        card = Card(
            handle=self._spec.handle,
            name=material.name or self._spec.handle,
            base_name=self._base_name,
            accounts=material.parts,
            notes=material.notes,
            evaluation=evaluation,
            steps=trained.steps,
            seconds=trained.seconds,
            seed=self._spec.seed,
            dataset_sha256=material.dataset.sha256,
            trained_at=datetime.now(UTC),
            recipe=asdict(trained.recipe),
        )
        (self._model / files.CARD).write_text(render(card), encoding="utf-8")

    def _result(self, material: Material, trained: "Trained", evaluated: "Evaluated") -> Result:
        first, last = material.first_at, material.last_at
        return Result(
            counts=material.counts,
            parts=material.parts,
            language=material.language,
            profile_handle=material.profile_handle,
            profile_name=material.name,
            first_tweet_at=first.isoformat() if first else None,
            last_tweet_at=last.isoformat() if last else None,
            warning=self._progress.note,
            base=self._base,
            base_name=self._base_name,
            recipe=asdict(trained.recipe),
            heldout_base=trained.heldout_base,
            heldout_model=trained.heldout_model,
            steps=trained.steps,
            seconds=round(time.monotonic() - self._started, 1),
            dataset_sha256=material.dataset.sha256,
            evaluation=asdict(evaluated.evaluation),
            samples=evaluated.samples,
        )


def foreign_to_base(heldout_base: float, vocabulary: int, base_name: str) -> str | None:
    """A sentence where the base guesses these tweets worse than one who takes every token for equally likely, at ln(vocabulary) nats."""
    blind = math.log(vocabulary)
    if heldout_base <= blind:
        return None
    return (
        f"{base_name} does not know the language of these tweets (held-out loss {heldout_base:.1f}, blind guessing has {blind:.1f}): "
        "expect nonsense, and train on a multilingual base for better."
    )


def _seal(path: Path) -> str:
    """Make sure that the file is on the disk; its SHA-256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _give_up(folder: Path, error: MynahError) -> int:
    """Leave the sentence for the person, and the details in the log; the exit code that goes with it."""
    kind = type(error).__name__
    if isinstance(error, NoSpace):  # what is half written is in the way of everybody; the checkpoints are not
        shutil.rmtree(folder / files.MODEL, ignore_errors=True)
        (folder / files.CORPUS).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # on a full disk the exit code has to do
        files.write_result(folder, Result(error=str(error), kind=kind))
        traceback.print_exc()
    return _EXIT_CODES[state_of(kind)]


def main() -> int:
    """Work on the attempt in the folder named on the command line; the exit code."""
    folder = Path(sys.argv[1])
    try:
        TrainingAttempt(folder, files.read_spec(folder)).run()
    except Superseded:
        return FENCED
    except MynahError as error:
        return _give_up(folder, error)
    except OSError as error:
        if error.errno not in files.DISK_FULL:
            raise
        return _give_up(folder, NoSpace("The disk is full: free some space, and the training goes on by itself."))
    return OK


if __name__ == "__main__":
    sys.exit(main())
