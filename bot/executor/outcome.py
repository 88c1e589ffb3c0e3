"""How an attempt ended, judged by what it left behind."""

from pathlib import Path
from typing import Literal

from bot import errors
from bot.executor import contract, files
from bot.executor.contract import Outcome

Stopped = Literal["cancelled", "saving", "silent"]
"""Why the executor itself ended a worker: for good, to go on later, or because it no longer moved."""
State = Literal["failed", "refused", "no_space"]


def state_of(kind: str | None) -> State:
    """What an error of this class in `bot.errors` means for the job."""
    error = getattr(errors, kind or "", None)
    if not isinstance(error, type):
        return "failed"
    if issubclass(error, errors.NoSpace):
        return "no_space"
    return "refused" if issubclass(error, errors.BadInput | errors.NotAllowed | errors.SourceError) else "failed"


def judge(folder: Path, code: int | None, stopped: Stopped | None = None) -> Outcome:
    """The outcome of an attempt that has ended: by `result.json` if there is one, else by how and why the worker ended.

    Args:
        folder: the attempt's.
        code: the exit code, negative for a signal, None when nobody knows.
        stopped: why the executor ended it, if it did.
    """
    result = files.read_result(folder)
    if result is not None and result.error is None:
        return Outcome("succeeded", result)
    if result is not None:
        return Outcome(state_of(result.kind), result, result.error)
    if stopped == "cancelled":
        return Outcome("cancelled", None, "It was cancelled.")
    if stopped == "silent":
        return Outcome("failed", None, "The training made no progress for a long time and was stopped.")
    return _judge_code(folder, code, stopped)


def _judge_code(folder: Path, code: int | None, stopped: Stopped | None) -> Outcome:
    if stopped == "saving" or code in (contract.PREEMPTED, -15):  # -15: asked to stop before it had begun
        return Outcome("preempted", None, "It was interrupted and will go on.")
    if code == contract.NO_SPACE:
        return Outcome("no_space", None, "The disk is full: free some space, and the job will go on.")
    if code == contract.FENCED:
        return Outcome("fenced", None, "A newer attempt has taken its place.")
    if code is None:
        return Outcome("lost", None, "The training process is gone and left no result.")
    if code == -9:
        return Outcome("killed", None, "The training process was killed, probably because memory ran out.")
    said = files.last_line(folder)
    return Outcome("failed", None, f"The training process ended with exit code {code}" + (f": {said}" if said else "."))
