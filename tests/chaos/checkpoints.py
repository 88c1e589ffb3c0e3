"""The checkpoints of a real training, written by the real code, killed at every change of a file.

    python -m tests.chaos.checkpoints <folder> [last moment]

Each attempt is a forked copy of this process, which has imported torch once. Prints what was found as one line of JSON.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import torch

from bot.lm.checkpoint import Checkpoints
from tests.chaos.judge import Verdict
from tests.chaos.trap import Trap

STEPS = 4
IDENTITY = {"base": "nano", "seed": 1}


def train(folder: Path, told: Path, note: Path, at: int) -> None:
    """Go on from the newest checkpoint, saving each step and telling of it once it is saved; die at moment `at`."""
    trap = Trap(at, note)
    trap.watch_files(folder)
    kept = Checkpoints(folder / "checkpoints", IDENTITY)
    found = kept.newest()
    for step in range(int(found["step"]) + 1 if found else 1, STEPS + 1):
        kept.save(step, {"step": step, "weights": torch.full((64,), float(step))})
        told.write_text(str(step))


def in_a_copy(folder: Path, told: Path, note: Path, at: int) -> bool:
    """Do it in a forked copy of this process; whether that was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, told, note, at)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 1:
        raise RuntimeError(f"the training failed, see above (moment {at})")
    return status != 0


def judge(folder: Path, told: Path) -> list[str]:
    """What is wrong after a death: the last step that was told of, or a later one, must be there whole."""
    least = int(told.read_text()) if told.exists() else 0
    found = Checkpoints(folder / "checkpoints", IDENTITY).newest()
    step = int(found["step"]) if found else 0
    bad = [] if step >= least else [f"step {least} was saved, and {step} is what is found"]
    if found and not torch.equal(found["weights"], torch.full((64,), float(step))):
        bad.append(f"step {step} has other weights than were saved")
    return bad


def enumerate_checkpoints(folder: Path, last: int | None = None) -> Verdict:
    """Every moment once, or those up to the last."""
    verdict = Verdict()
    for at in itertools.count(1):
        place = folder / str(at)
        place.mkdir(parents=True)
        told, note = folder / "told", folder / "note"
        told.unlink(missing_ok=True)
        killed = in_a_copy(place, told, note, at) and (last is None or at <= last)
        label = f"checkpoint, {at} {note.read_text().strip() if note.exists() else ''}"
        verdict.bad += [f"{label}: {what}" for what in judge(place, told)]
        in_a_copy(place, told, note, 0)
        left = sorted(path.name for path in (place / "checkpoints").iterdir())
        # One too many may stay until the next save, when the death came as it was about to go.
        if left[-2:] != [f"step-{step:06d}" for step in (STEPS - 1, STEPS)] or len(left) > 3:
            verdict.bad.append(f"{label}: after the next attempt {left} are left")
        shutil.rmtree(place)
        if not killed:
            return verdict
        verdict.points += 1
        verdict.kills += 1
        verdict.where["checkpoint file"] += 1
    raise AssertionError


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(vars(enumerate_checkpoints(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))))  # noqa: T201
